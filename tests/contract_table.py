"""The table of docs/contract.md: which test shows which statement, and on which engine.

``python -m tests.contract_table`` writes it; ``--check`` only says what is wrong. Tests are
collected, not run: neither needs an engine.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.statements import STATEMENTS, Statement

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "contract.md"
FOLDERS = ("tests/contract", "tests/engines", "tests/integration", "tests/unit")
"""Where devkit is tested. tests/image is about the example image, and needs what that needs."""

BEGIN = "<!-- python -m tests.contract_table writes what follows -->"
END = "<!-- end of what python -m tests.contract_table writes -->"
PURE = "—"
_HEAD = "| statement | § | engine | test |\n|---|---|---|---|"


@dataclass(frozen=True, order=True)
class Showing:
    """A test that shows a statement on an engine."""

    statement: str
    test: str
    """Its file and name, without parameters."""
    engine: str
    """docker, process, or PURE where no engine has a part in it."""


class _Collector:
    """Remembers what pytest has collected."""

    def __init__(self) -> None:
        self.showings: set[Showing] = set()
        self.skipped: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped.append(f"{report.nodeid} is skipped: {report.longrepr}")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            test = item.nodeid.partition("[")[0]
            for marker in item.iter_markers("contract"):
                for statement in marker.args:
                    self.showings.add(Showing(statement, test, _engine(item)))


def _marked(root: Path, folders: Sequence[str]) -> list[Path]:
    """The modules that show a statement; others may need what is not installed here."""
    modules = (path for folder in folders for path in (root / folder).rglob("test_*.py"))
    return sorted(path for path in modules if "mark.contract(" in path.read_text("utf-8"))


def collect(folders: Sequence[str] = FOLDERS, root: Path = ROOT) -> set[Showing]:
    """What the marked tests show.

    Raises:
        RuntimeError: The tests cannot be collected; with what pytest says.
    """
    collector = _Collector()
    said = io.StringIO()
    options = ["--collect-only", "--quiet", "-p", "no:cacheprovider", f"--rootdir={root}"]
    with contextlib.redirect_stdout(said):
        code = pytest.main([*options, *map(str, _marked(root, folders))], [collector])
    if code != pytest.ExitCode.OK or collector.skipped:
        why = "\n".join([*collector.skipped, said.getvalue()])
        raise RuntimeError(f"the tests cannot all be collected:\n{why}")
    return collector.showings


def _engine(item: pytest.Item) -> str:
    """The engine that a test runs on, by its parameters, its mark, its fixtures or its folder."""
    callspec = getattr(item, "callspec", None)
    parameters = {} if callspec is None else callspec.params
    for fixture in ("engine", "engine_kind"):
        if fixture in parameters:
            return "docker" if parameters[fixture] == "docker" else "process"
    if item.get_closest_marker("docker") is not None:
        return "docker"
    fixtures = getattr(item, "fixturenames", ())
    return "process" if "process_project" in fixtures or "engines" in item.path.parts else PURE


def problems(statements: Sequence[Statement], showings: Iterable[Showing]) -> Iterator[str]:
    """What is wrong between the statements and the tests' marks."""
    ids = [statement.id for statement in statements]
    for twice in sorted({each for each in ids if ids.count(each) > 1}):
        yield f"{twice}: two statements have this id"
    tests = _by_statement(showings)
    for unknown in sorted(set(tests) - set(ids)):
        yield f"{unknown}: no such statement; marked: {', '.join(tests[unknown])}"
    for statement in statements:
        shown = statement.id in tests
        if not shown and statement.untested is None:
            yield f"{statement.id}: neither a test shows it nor is there a reason: {statement.text}"
        if shown and statement.untested is not None:
            yield f"{statement.id}: it has a test now; take its reason away: {statement.untested}"


def table(statements: Sequence[Statement], showings: Iterable[Showing]) -> str:
    """The statements in their order, with the tests of each."""
    tests = _by_statement(showings)
    rows = [row for statement in statements for row in _rows(statement, tests.get(statement.id))]
    return "\n".join([_HEAD, *rows])


def _rows(statement: Statement, tests: dict[str, list[str]] | None) -> Iterator[str]:
    text = statement.text + (" *(undocumented)*" if statement.undocumented else "")
    first = f"| **{statement.id}** {_cell(text)} | {statement.section} "
    if not tests:
        yield f"{first}| {PURE} | *{_cell(statement.untested or '')}* |"
        return
    for number, (test, engines) in enumerate(sorted(tests.items())):
        file, _, name = test.partition("::")
        link = f"[{file.removeprefix('tests/')}::{name}](../{file})"
        yield f"{'| | ' if number else first}| {', '.join(engines)} | {link} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


def _by_statement(showings: Iterable[Showing]) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for showing in sorted(showings):
        found.setdefault(showing.statement, {}).setdefault(showing.test, []).append(showing.engine)
    return found


def with_table(document: str, generated: str) -> str:
    """The document with a new table between its two marks.

    Raises:
        ValueError: It has no such marks.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT} has no lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table, or check it; say what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(arguments).check
    showings = collect()
    wrong = list(problems(STATEMENTS, showings))
    document = DOCUMENT.read_text("utf-8")
    wanted = with_table(document, table(STATEMENTS, showings))
    if check and document != wanted:
        wrong.append("docs/contract.md is not up to date: python -m tests.contract_table")
    if not check:
        DOCUMENT.write_text(wanted, "utf-8")
    sys.stdout.writelines(f"{each}\n" for each in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
