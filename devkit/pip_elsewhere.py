"""pip for another Python on another machine: run by pip's own Python, not imported by devkit.

``pip install --platform … --python-version …`` chooses the wheels of the other Python, and yet
evaluates markers (``; python_version < "3.11"``) for the one that it runs on. So what is only
needed there would be missing there. The first argument is a JSON document of markers' values.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module


def main() -> None:
    """Run pip with the arguments that follow."""
    there = json.loads(sys.argv.pop(1))
    markers = import_module("pip._vendor.packaging.markers")
    here = markers.default_environment
    vars(markers)["default_environment"] = lambda: {**here(), **there}
    sys.exit(import_module("pip._internal.cli.main").main())


if __name__ == "__main__":
    main()
