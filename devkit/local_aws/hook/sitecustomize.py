"""Sends what a Python program asks of amazonaws.com to the local AWS instead.

``AWS_ENDPOINT_URL`` is enough for most clients. Some code spells an address out: the SageMaker SDK
does, for STS. Python imports this module at its start, from ``PYTHONPATH``, in whatever environment
the program has: nothing of devkit is imported, and as little as can be of anything else. The
program's own ``sitecustomize`` runs as it would without this one.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib takes 10 ms
_MODULE = "botocore.handlers"
_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".on.aws")
_BUCKET = r"(.+)\.s3(?:-accelerate|-fips|-[a-z]+-[a-z]+-\d)?\."


def _local(url: str, endpoint: str) -> str:
    """The URL at the endpoint, or the same one where it is not AWS's."""
    import re  # noqa: PLC0415 - only where botocore is, which needs it too

    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    name = host.partition(":")[0].lower()
    if scheme not in ("http", "https") or not name.endswith(_AWS):
        return url
    bucket = re.match(_BUCKET, name)
    in_path = f"/{bucket[1]}" if bucket else ""
    return f"{endpoint.rstrip('/')}{in_path}{slash or '/'}{path}"


def _redirect(params: Any, **_: Any) -> None:
    """The handler of ``before-call``, which comes before a request is signed."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if endpoint and isinstance(params, dict) and "url" in params:
        params["url"] = _local(params["url"], endpoint)


class _Finder:
    """Adds the handler to those that every session of botocore begins with."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find botocore's list of handlers, and see to what it is loaded by."""
        del path, target
        if name != _MODULE:
            return None
        from importlib.util import find_spec  # noqa: PLC0415 - only where it is needed

        sys.meta_path.remove(self)
        spec = find_spec(name)
        loader: Any = None if spec is None else spec.loader
        if loader is None:
            return spec
        load = loader.exec_module

        def exec_module(module: Any) -> None:
            load(module)
            module.BUILTIN_HANDLERS.append(("before-call", _redirect))

        loader.exec_module = exec_module
        return spec


def _run_the_next() -> None:
    """Run the ``sitecustomize`` that this one stands before."""
    this = sys.modules.pop("sitecustomize", None)
    sys.path[:] = [each for each in sys.path if os.path.abspath(each) != _HERE]  # noqa: PTH100
    try:
        import sitecustomize  # type: ignore[import-not-found] # noqa: F401, PLC0415 - another one
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        if this is not None:
            sys.modules.setdefault("sitecustomize", this)


if __name__ == "sitecustomize":
    sys.meta_path.insert(0, _Finder())
    _run_the_next()
