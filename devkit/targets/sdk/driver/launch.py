"""Starts a program of this folder: ``python launch.py serve``.

The folder is made a package by a name that nobody has, without any folder on ``sys.path`` whose
modules could be taken for others.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib takes 10 ms
_PACKAGE = "devkit_sdk_driver"


def main(program: str) -> int:
    """Run a program; its exit code."""
    spec = importlib.util.spec_from_file_location(
        _PACKAGE,
        os.path.join(_HERE, "__init__.py"),  # noqa: PTH118
        submodule_search_locations=[_HERE],
    )
    assert spec is not None  # noqa: S101 - the file is beside this one
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = module
    spec.loader.exec_module(module)
    code: int = importlib.import_module(f"{_PACKAGE}.{program}").main(sys.argv[2:])
    return code


if __name__ == "__main__":
    sys.path[:] = [each for each in sys.path if os.path.abspath(each) != _HERE]  # noqa: PTH100
    sys.exit(main(sys.argv[1]))
