"""Why a container's program did not start, from what the engine said and the file itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from devkit.engines.base import ProgramFile

# What shells and env exit with when a program cannot be executed or found.
NOT_EXECUTABLE, NOT_FOUND = 126, 127

_REFUSAL = re.compile(
    r"exec \S+: (no such file or directory|exec format error|permission denied)", re.IGNORECASE
)


@dataclass(frozen=True)
class Diagnosis:
    """A reason in one sentence, and what to do about it."""

    reason: str
    remedy: str


def refusal(lines: Sequence[str]) -> str | None:
    """What the runtime wrote in the program's place, where it could not execute it.

    Newer ones (runc 1.1) find out only after the start: such a container has ended with exit code
    1, and this is all it wrote.
    """
    return lines[0] if len(lines) == 1 and _REFUSAL.fullmatch(lines[0]) else None


def explain(program: str, file: ProgramFile | None, refused: str = "") -> Diagnosis | None:
    """What is wrong with ``train`` or ``serve``, as far as the file shows it.

    Args:
        program: The name the container was started with.
        file: What the container's PATH has under that name.
        refused: What was said when it could not be executed.

    Returns:
        ``None`` where nothing is wrong with the file.
    """
    if file is None:
        return Diagnosis(
            f'exec: "{program}": executable file not found in $PATH',
            f"put an executable file named {program} into the image, and its folder on PATH "
            "(ENV PATH=/opt/program:$PATH)",
        )
    if not file.mode & 0o111:
        return Diagnosis(
            f"exec {program} failed: Permission denied: {file.path} is not executable",
            f"chmod +x {program}, and commit that bit: git update-index --chmod=+x {program}",
        )
    first_line, found, _ = file.head.partition(b"\n")
    if first_line.startswith(b"#!"):
        return _explain_interpreter(program, file, first_line, bool(found), refused)
    if file.head.startswith((b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe")):
        return _explain_binary(program, file)
    return Diagnosis(
        f"exec format error: {file.path} has no #! line",
        f"start {program} with the line #!/usr/bin/env python3",
    )


def _explain_interpreter(
    program: str, file: ProgramFile, first_line: bytes, whole: bool, refused: str
) -> Diagnosis | None:
    if whole and first_line.endswith(b"\r"):
        return Diagnosis(
            f"{file.path} has Windows line ends (CRLF): its #! line asks for an interpreter whose "
            r"name ends in \r",
            f"convert it (sed -i 's/\\r$//' {program}) and keep it so: "
            f"'{program} text eol=lf' in .gitattributes",
        )
    interpreter = first_line[2:].split()[:1]
    if interpreter and "no such file" in refused.lower():
        name = interpreter[0].decode("utf-8", errors="replace")
        return Diagnosis(
            f"{file.path} asks for the interpreter {name}, which is not there",
            f"install {name} in the image, or start {program} with #!/usr/bin/env python3",
        )
    return None


def _explain_binary(program: str, file: ProgramFile) -> Diagnosis | None:
    if file.head.startswith(b"\x7fELF"):
        return None
    return Diagnosis(
        f"exec format error: {file.path} is a program for another operating system",
        f"build {program} for linux/amd64",
    )
