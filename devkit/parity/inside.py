"""The probe: a shell script that a training job is started with, and what it says.

It comes as a channel, so the image is run as it is; §1.1 of the contract has such jobs. It says
what it finds on standard output, which reaches devkit from everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

CHANNEL = "devkit-parity"
FOLDER = Path(__file__).parent / "probe"
ENTRYPOINT = ("/bin/sh", f"/opt/ml/input/data/{CHANNEL}/probe.sh")
AREAS = ("configuration", "environment", "container", "folders", "data")

_MARK = "devkit-parity "
_CONFIG = "config/"
_LISTS = ("environment", "folders", "files")
_FIELDS = 2


def facts_of(lines: Iterable[str], words: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What the probe said, by area; nothing where it did not come to its end.

    Args:
        lines: The job's.
        words: What is written in place of what is different in every job, such as its name.
    """
    said = dict(_said(lines, words))
    if "end" not in said:
        return {}
    return {
        "configuration": dict(_configuration(said)),
        "environment": dict(_pairs(said["environment"].split("\0"), "=")),
        "container": {
            name.replace("_", " "): value.strip()
            for name, value in said.items()
            if name not in (*_LISTS, "end") and not name.startswith(_CONFIG)
        },
        "folders": _by_path(said["folders"]),
        "data": _by_path(said["files"]),
    }


def _said(lines: Iterable[str], words: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each subject with what was said of it; its lines are parts of one."""
    parts: dict[str, list[str]] = {}
    for line in lines:
        fields = line.partition(_MARK)[2].split(" ") if line.startswith(_MARK) else []
        if len(fields) == _FIELDS:
            parts.setdefault(fields[0], []).append(fields[1].strip())
    for subject, texts in parts.items():
        text = bytes.fromhex("".join(texts)).decode("utf-8", errors="replace")
        for found, word in words.items():
            text = text.replace(found, word)
        yield subject, text


def _configuration(said: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for subject, text in said.items():
        if not subject.startswith(_CONFIG):
            continue
        file = subject.removeprefix(_CONFIG)
        try:
            document = json.loads(text)
        except ValueError:
            yield file, text
        else:
            yield from _leaves(f"{file}: ", document)


def _leaves(name: str, value: object) -> Iterator[tuple[str, str]]:
    """An object's members, and theirs; a list is one value."""
    if not isinstance(value, dict) or not value:
        yield name.removesuffix("."), json.dumps(value, sort_keys=True)
        return
    for key, member in value.items():
        yield from _leaves(f"{name}{key}.", member)


def _by_path(text: str) -> dict[str, str]:
    """Lines of a value and a path."""
    return {path: value for value, path in _pairs(text.splitlines(), " ")}


def _pairs(texts: Iterable[str], separator: str) -> Iterator[tuple[str, str]]:
    for text in texts:
        first, found, second = text.partition(separator)
        if found:
            yield first, second
