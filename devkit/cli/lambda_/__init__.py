"""devkit lambda: package functions of Lambda."""

from __future__ import annotations

from devkit.cli.lambda_ import package

COMMANDS = (package,)
