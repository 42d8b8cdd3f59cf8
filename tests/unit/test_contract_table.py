"""docs/contract.md says which test shows what; here it is held to that."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.contract_table import BEGIN, END, ROOT, Showing, problems, table, with_table
from tests.statements import STATEMENTS, Statement

ENGINE = "tests/contract/test_engine.py"
SHOWN = Statement("1.1-a", "It is started so.")
DECIDED = Statement("1.1-b", "It has <one> name | two.", undocumented=True)
OPEN = Statement("1.2-a", "It is on Mars.", untested="not yet: Mars")


def test_every_statement_has_a_test_or_a_reason_and_the_document_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.contract_table", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_statements_are_in_the_order_of_their_sections() -> None:
    def place(statement: Statement) -> tuple[list[int], int, str]:
        letters = statement.id.rpartition("-")[2]
        return [int(part) for part in statement.section.split(".")], len(letters), letters

    assert list(STATEMENTS) == sorted(STATEMENTS, key=place)


def test_a_statement_without_test_and_reason_is_a_problem() -> None:
    assert list(problems([SHOWN, OPEN], [])) == [
        "1.1-a: neither a test shows it nor is there a reason: It is started so."
    ]


def test_a_mark_that_names_no_statement_is_a_problem() -> None:
    marks = [Showing("1.1-a", "t.py::test_a", "docker"), Showing("1.1-z", "t.py::test_z", "—")]
    assert list(problems([SHOWN], marks)) == ["1.1-z: no such statement; marked: t.py::test_z"]


def test_a_reason_that_a_test_has_overtaken_is_a_problem() -> None:
    (problem,) = problems([OPEN], [Showing("1.2-a", "t.py::test_a", "docker")])
    assert problem == "1.2-a: it has a test now; take its reason away: not yet: Mars"


def test_an_id_that_is_there_twice_is_a_problem() -> None:
    assert "1.2-a: two statements have this id" in problems([OPEN, OPEN], [])


def test_a_row_is_a_statement_with_a_test_and_its_engines() -> None:
    marks = [
        Showing("1.1-a", f"{ENGINE}::test_b", "process"),
        Showing("1.1-a", f"{ENGINE}::test_b", "docker"),
        Showing("1.1-a", "tests/unit/test_contract.py::test_a", "—"),
        Showing("1.1-b", "tests/unit/test_contract.py::test_a", "—"),
    ]
    engines = f"[contract/test_engine.py::test_b](../{ENGINE})"
    pure = "[unit/test_contract.py::test_a](../tests/unit/test_contract.py)"
    assert table([SHOWN, DECIDED, OPEN], marks).splitlines()[2:] == [
        f"| **1.1-a** It is started so. | 1.1 | docker, process | {engines} |",
        f"| | | — | {pure} |",
        f"| **1.1-b** It has \\<one> name \\| two. *(undocumented)* | 1.1 | — | {pure} |",
        "| **1.2-a** It is on Mars. | 1.2 | — | *not yet: Mars* |",
    ]


def test_what_is_around_the_table_stays() -> None:
    document = f"# Title\n\n{BEGIN}\nold\n{END}\n\nmore\n"
    once = with_table(document, "new")
    assert once == f"# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\nmore\n"
    assert with_table(once, "new") == once
    with pytest.raises(ValueError, match="has no lines"):
        with_table("# Title\n", "new")
