"""A registry of images on this machine: Debian's docker-registry."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.kit import eventually

PROGRAM = "docker-registry"
PASSWORD_FILE = "AWS:$2b$05$bz.ch0cQprwlOvFn1OZHceygqJNConxUzOqB2ikj2.JzQ3U1IaGT.\n"

_CONFIGURATION = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@contextmanager
def registry(folder: Path, *, locked: bool = False) -> Iterator[str]:
    """Run one; gives its ``host:port``.

    Args:
        folder: Where it keeps what it is given.
        locked: Whether it asks for the user ``AWS`` with the password ``secret``.
    """
    program = require_registry()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = _CONFIGURATION.format(folder=folder, port=port)
    if locked:
        (folder / "passwords").write_text(PASSWORD_FILE)
        configuration += f"auth: {{htpasswd: {{realm: here, path: {folder}/passwords}}}}\n"
    (folder / "config.yml").write_text(configuration)
    process = subprocess.Popen(
        [program, "serve", str(folder / "config.yml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _answers(port), f"{PROGRAM} does not answer")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def require_registry() -> str:
    """The program; skips without it, or fails where there has to be one."""
    program = shutil.which(PROGRAM)
    if program is None:
        reason = f"{PROGRAM} is not installed (Debian's package of that name)"
        if os.environ.get("DEVKIT_REQUIRE_REGISTRY") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return program


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
