"""One host's ``/opt/ml``: written before its container starts, collected after it has ended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from devkit import archives, contract
from devkit.channels.locations import Location
from devkit.channels.plan import InputMode, inputdataconfig_entry
from devkit.channels.s3_reading import S3Client
from devkit.contract import JsonValue
from devkit.engines.base import Container, Folder, Mount
from devkit.job import TrainingJob
from devkit.model_source import model_folder

# More of a failure file than this is not worth keeping: SageMaker shows 1024 characters of it.
_FAILURE_BYTES = 1024 * 1024
_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class OptMl:
    """What a container is given as its ``/opt/ml``."""

    folders: tuple[Folder, ...]
    mounts: tuple[Mount, ...]


def for_training(root: Path, job: TrainingJob, host: str, data: Sequence[Mount]) -> OptMl:
    """Write the ``/opt/ml`` of one training host under ``root`` (§1.2 to §1.6).

    ``data`` are the mounts of its channels. They are read-only, where SageMaker gives a copy that
    a container may write to (see docs/adr/0003).
    """
    channels = [each for each in job.channels if job.share(each, host) is not None]
    config = root / contract.CONFIG_FOLDER
    config.mkdir(parents=True)
    _write(config / "hyperparameters.json", contract.hyperparameters_json(job.hyperparameters))
    _write(
        config / "inputdataconfig.json",
        {channel.name: inputdataconfig_entry(channel) for channel in channels},
    )
    _write(
        config / "resourceconfig.json",
        contract.resourceconfig_json(host, job.groups),
    )
    for channel in channels:
        if channel.input_mode is not InputMode.PIPE:
            (root / contract.DATA_FOLDER / channel.name).mkdir(parents=True)
    (root / contract.DATA_FOLDER).mkdir(exist_ok=True)
    (root / "model").mkdir()
    (root / contract.OUTPUT_DATA_FOLDER).mkdir(parents=True)
    folders = [
        Folder(target=target, source=root / Path(target).name)
        for target in (contract.INPUT, contract.MODEL, contract.OUTPUT)
    ]
    if job.checkpoints is not None:
        folders.append(Folder(target=job.checkpoints.path, source=checkpoint_folder(root)))
    return OptMl(tuple(folders), tuple(data))


def checkpoint_folder(root: Path) -> Path:
    """Where checkpoints are fetched to before :func:`for_training` is called."""
    return root / _CHECKPOINTS


def for_serving(root: Path, model: Location | None, s3: Callable[[], S3Client]) -> OptMl:
    """Make a model ready to be mounted read-only (§2.2); ``s3`` gives the client for one in S3."""
    folder = model_folder(model, root / "model", s3)
    return OptMl((), (Mount(target=contract.MODEL, source=folder),))


def collect_model(containers: Sequence[Container], destination: Path) -> None:
    """Write ``model.tar.gz``: members relative to ``/opt/ml/model``; empty is fine (§1.8).

    What several hosts wrote is merged. Where two wrote the same file, that of the later host wins
    (undocumented; the local mode's source says that the service overwrites).
    """
    written = _Written()
    with archives.archive_writer(destination) as writer:
        for container in reversed(containers):
            with container.read_folder(contract.MODEL) as stream:
                for member, name, content in archives.members(stream):
                    if written.take(name, folder=member.isdir()):
                        writer.add(member, name, content)


def collect_output(containers: Sequence[Container], destination: Path) -> list[bytes | None]:
    """Write ``output.tar.gz``, merged as :func:`collect_model` does.

    The archive's members are relative to ``/opt/ml/output/data`` (§1.8).

    Returns:
        The failure file of each container, or ``None`` where it wrote none.
    """
    written = _Written()
    with archives.archive_writer(destination) as writer:
        failures = [_add_output(each, writer, written) for each in reversed(containers)]
    return failures[::-1]


class _Written:
    """The names an archive has, so that it has each once and none inside a file."""

    def __init__(self) -> None:
        self._folders: dict[str, bool] = {}

    def take(self, name: str, *, folder: bool) -> bool:
        """Whether there is room for this name; from now on it is taken."""
        above = (str(parent) for parent in PurePosixPath(name).parents)
        if name in self._folders or not all(self._folders.get(each, True) for each in above):
            return False
        self._folders[name] = folder
        return True


def _add_output(
    container: Container, writer: archives.ArchiveWriter, written: _Written
) -> bytes | None:
    failure: bytes | None = None
    data = Path(contract.OUTPUT_DATA_FOLDER).name
    with container.read_folder(contract.OUTPUT) as stream:
        for member, path, content in archives.members(stream):
            name = path.removeprefix(f"{data}/")
            if path == "failure" and content is not None:
                failure = content.read(_FAILURE_BYTES)
            elif name != path and written.take(name, folder=member.isdir()):
                writer.add(member, name, content)
    return failure


def discard_artifacts(root: Path) -> None:
    """Remove what a process wrote in place, once it is in the archives and the storage."""
    for name in ("model", "output", _CHECKPOINTS):
        shutil.rmtree(root / name, ignore_errors=True)


def _write(path: Path, value: JsonValue) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
