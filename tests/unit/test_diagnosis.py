"""Why a program did not start, from the file alone."""

from __future__ import annotations

import pytest

from devkit.diagnosis import explain
from devkit.engines.base import ProgramFile


def file(head: bytes, mode: int = 0o755) -> ProgramFile:
    return ProgramFile("/opt/program/train", mode, head)


@pytest.mark.parametrize(
    ("found", "reason", "remedy"),
    [
        (None, 'exec: "train": executable file not found in $PATH', "ENV PATH="),
        (file(b"#!/bin/sh\n", 0o644), "is not executable", "chmod +x train"),
        (file(b"#!/usr/bin/env python3\r\nx"), "Windows line ends", "sed -i"),
        (file(b"import sys\n"), "has no #! line", "#!/usr/bin/env python3"),
        (file(b"MZ\x90\x00"), "another operating system", "linux/amd64"),
    ],
)
def test_the_reason_and_the_remedy_are_told(
    found: ProgramFile | None, reason: str, remedy: str
) -> None:
    diagnosis = explain("train", found)
    assert diagnosis is not None
    assert reason in diagnosis.reason
    assert remedy in diagnosis.remedy


@pytest.mark.parametrize("head", [b"#!/usr/bin/env python3\nx\r\n", b"\x7fELF\x02", b"#!/bin/sh"])
def test_nothing_is_made_up_about_a_good_file(head: bytes) -> None:
    assert explain("train", file(head)) is None
