"""Why a container's program did not start, from what the engine said and the file itself."""

from __future__ import annotations

from dataclasses import dataclass

from devkit.engines.base import ProgramFile

# What shells and env exit with when a program cannot be executed or found.
NOT_EXECUTABLE, NOT_FOUND = 126, 127


@dataclass(frozen=True)
class Diagnosis:
    """A reason in one sentence, and what to do about it."""

    reason: str
    remedy: str


def explain(program: str, file: ProgramFile | None) -> Diagnosis | None:
    """What is wrong with ``train`` or ``serve``, as far as the file shows it.

    Args:
        program: The name the container was started with.
        file: What the container's PATH has under that name.

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
        return _explain_interpreter(program, file, first_line, bool(found))
    if file.head.startswith((b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe")):
        return _explain_binary(program, file)
    return Diagnosis(
        f"exec format error: {file.path} has no #! line",
        f"start {program} with the line #!/usr/bin/env python3",
    )


def _explain_interpreter(
    program: str, file: ProgramFile, first_line: bytes, whole: bool
) -> Diagnosis | None:
    if whole and first_line.endswith(b"\r"):
        return Diagnosis(
            f"{file.path} has Windows line ends (CRLF): its #! line asks for an interpreter whose "
            r"name ends in \r",
            f"convert it (sed -i 's/\\r$//' {program}) and keep it so: "
            f"'{program} text eol=lf' in .gitattributes",
        )
    return None


def _explain_binary(program: str, file: ProgramFile) -> Diagnosis | None:
    if file.head.startswith(b"\x7fELF"):
        return None
    return Diagnosis(
        f"exec format error: {file.path} is a program for another operating system",
        f"build {program} for linux/amd64",
    )
