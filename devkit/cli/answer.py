"""A server's answer as a result: JSON for machines, and what the server sent for people."""

from __future__ import annotations

import base64
import json
from typing import Any

from devkit.cli.terminal import Terminal


def fields(answer: Any) -> dict[str, Any]:
    """The fields of a JSON document that hold an answer: bytes are in ``answer_base64``."""
    if isinstance(answer, bytes):
        return {"answer_base64": base64.b64encode(answer).decode()}
    return {"answer": answer}


def show(answer: Any, terminal: Terminal) -> None:
    """Print a decoded answer; bytes and text as they are."""
    if isinstance(answer, bytes):
        terminal.raw(answer)
    else:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        terminal.raw(text.encode() + (b"" if text.endswith("\n") else b"\n"))
