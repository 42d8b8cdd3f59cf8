"""Which buckets there are: on the disk, and in moto's memory."""

from __future__ import annotations

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import S3Backend, s3_backends

from devkit.fake_s3 import versions
from devkit.fake_s3.catalogue import Catalogue
from devkit.fake_s3.files import delete_tree
from devkit.fake_s3.layout import Layout
from devkit.fake_s3.objects import FileBucket

_REGION = "us-east-1"  # of a bucket that was made by hand


class Registry:
    """Brings moto's register of buckets in line with the folder; called by one thread at a time."""

    def __init__(self, layout: Layout, catalogue: Catalogue) -> None:
        self._layout, self._catalogue = layout, catalogue

    def names(self) -> set[str]:
        """All buckets on the disk, those that were made by hand too."""
        return {*self._layout.bucket_folders(), *self._catalogue.buckets()}

    def known(self) -> set[str]:
        """All buckets in moto's memory."""
        return set(s3_backends.bucket_accounts)

    def loaded(self, name: str) -> FileBucket | None:
        """A bucket in moto's memory, if it is one of this store's."""
        if name not in s3_backends.bucket_accounts:
            return None
        partition, account = s3_backends.bucket_accounts[name]
        bucket = s3_backends[account][partition].buckets.get(name)
        return bucket if isinstance(bucket, FileBucket) else None

    def sync(self, name: str) -> bool:
        """Let moto know a bucket that is on the disk, and no other; whether it is new here."""
        folder = self._layout.bucket_folder(name)
        if folder is not None and not folder.is_dir():
            if self.loaded(name) is not None or self._catalogue.bucket(name) is not None:
                self._forget(name)
            return False
        if name in s3_backends.bucket_accounts:
            return False
        text = self._catalogue.bucket(name)
        if text is not None:
            bucket, tags = versions.read_bucket(name, text)
            backend_of(bucket).buckets[name] = bucket
            if tags:
                backend_of(bucket).tagger.tags[bucket.arn] = tags
        elif folder is not None:
            bucket = FileBucket.new(name, DEFAULT_ACCOUNT_ID, _REGION)
            backend_of(bucket).buckets[name] = bucket
        return text is None and folder is not None

    def evict(self, name: str) -> None:
        """Take a bucket out of moto's memory; it is read again when it is asked for."""
        bucket = self.loaded(name)
        if bucket is None:
            return
        del s3_backends.bucket_accounts[name]
        del backend_of(bucket).buckets[name]
        tags = backend_of(bucket).tagger.tags
        for arn in [each for each in tags if f"{each}/".startswith(f"{bucket.arn}/")]:
            del tags[arn]

    def _forget(self, name: str) -> None:
        """A bucket's folder was removed by hand: so is the bucket."""
        with self._catalogue.transaction():
            self._catalogue.delete_bucket(name)
        delete_tree(self._layout.kept_folder(name))
        self.evict(name)


def backend_of(bucket: FileBucket) -> S3Backend:
    """The part of moto that has a bucket, and the tags of what is in it."""
    return s3_backends[bucket.account_id][bucket.partition]
