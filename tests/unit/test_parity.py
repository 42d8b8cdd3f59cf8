"""Facts of places: how they are read, compared and reported."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from devkit.errors import InvocationFailed
from devkit.parity import html, report
from devkit.parity.artifacts import has, members
from devkit.parity.asking import answers, requests
from devkit.parity.comparing import ABSENT, Comparison, Expected, compare
from devkit.parity.expected import EXPECTED
from devkit.parity.facts import Kind, Observed
from devkit.parity.inside import facts_of
from devkit.runtime_client import Reply

RULE = Expected(
    kinds=frozenset({"process"}),
    area="environment",
    name="LANG",
    value=r"\(absent\)",
    source="ADR 0002",
    sentence="it has no variables of the image",
)


def seen(place: Kind, **environment: str) -> Observed:
    return Observed(place=place, facts={"environment": environment}, timings_s={"train": 1.5})


def compared(*observed: Observed) -> Comparison:
    return compare(observed, [RULE])


def test_places_with_the_same_facts_do_not_differ() -> None:
    found = compared(seen("docker", LANG="C"), seen("process", LANG="C"))

    assert found.differences == []


def test_a_difference_with_a_reason_is_expected() -> None:
    found = compared(seen("docker", LANG="C"), seen("process"))

    (difference,) = found.expected
    assert (difference.name, difference.reference_value, difference.value) == ("LANG", "C", ABSENT)
    assert difference.expected is RULE
    assert found.unexpected == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (seen("docker", LANG="C"), seen("process", LANG="de")),
        (seen("docker", LANG="C"), seen("sagemaker-local")),
        (seen("docker", LANG="C", TERM="x"), seen("process", LANG="C")),
        (seen("docker"), seen("process", LANG="C")),
    ],
    ids=["another value", "another place", "another name", "the other way round"],
)
def test_a_reason_is_for_its_places_names_and_values_only(
    first: Observed, second: Observed
) -> None:
    assert len(compared(first, second).unexpected) == 1


def test_the_place_that_others_are_compared_with_may_be_what_differs() -> None:
    found = compared(seen("process"), seen("sagemaker-local", LANG="C"))

    assert found.unexpected == []


def test_an_area_that_was_not_seen_in_a_place_is_one_difference() -> None:
    found = compare([seen("docker", LANG="C", TERM="x"), Observed(place="process", facts={})], [])

    (difference,) = found.unexpected
    assert (difference.name, difference.reference_value, difference.value) == (
        "(seen)",
        "yes",
        "no",
    )


def test_what_the_platform_sets_may_be_missing_nowhere() -> None:
    missing = compare([seen("docker", TRAINING_JOB_NAME="x"), seen("process")], EXPECTED)
    of_the_image = compare([seen("docker", LD_LIBRARY_PATH="x"), seen("process")], EXPECTED)

    assert len(missing.unexpected) == 1
    assert of_the_image.unexpected == []


def test_every_reason_names_its_source() -> None:
    for rule in EXPECTED:
        assert rule.source.startswith(("contract, section ", "ADR ", "docs/")), rule
        assert rule.kinds


# --- the report -------------------------------------------------------------------------------


@pytest.fixture
def comparison() -> Comparison:
    found = compared(
        seen("docker", LANG="C", HOME="/root"), seen("process", HOME="<script>alert(1)</script>")
    )
    return replace(found, left_out={"sagemaker-local": "no SDK is installed"})


def test_the_text_has_tables_reasons_and_both_values(comparison: Comparison) -> None:
    text = report.text(comparison)

    assert "environment  2 facts  1 UNEXPECTED" in text
    assert "train       1.5      1.5" in text
    assert (
        "expected in process (ADR 0002): it has no variables of the image\n  environment: LANG"
        in text
    )
    assert "unexpected: environment: HOME\n  docker: /root\n  process: <script>" in text
    assert "left out: sagemaker-local: no SDK is installed" in text
    assert text.endswith("docker, process: 1 unexpected difference, 1 expected one")


def test_the_document_has_all_of_it(comparison: Comparison) -> None:
    document = report.document(comparison)

    assert document["places"] == ["docker", "process"]
    assert document["expected"] == [
        {
            "area": "environment",
            "name": "LANG",
            "docker": "C",
            "process": ABSENT,
            "place": "process",
            "expected": {"source": "ADR 0002", "because": "it has no variables of the image"},
        }
    ]
    assert document["left_out"] == {"sagemaker-local": "no SDK is installed"}


def test_the_page_is_whole_by_itself_and_no_value_is_markup(comparison: Comparison) -> None:
    page = html.page(comparison)

    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "src=" not in page
    assert "href=" not in page
    assert "prefers-color-scheme: dark" in page


# --- what the probe says ----------------------------------------------------------------------


def line(subject: str, text: str) -> str:
    return f"devkit-parity {subject} {text.encode().hex()}"


PROBE = (
    line("arguments", ""),
    line("process_id", "1"),
    line("environment", "TRAINING_JOB_NAME=parity-1\0LANG=C\0"),
    line("folders", "writable /opt/ml/model\nread-only /opt/ml/input/data/a b\n"),
    line("files", "12 /opt/ml/input/data/a b/c d.csv\n"),
    line("config/hyperparameters.json", '{"eta": "0.1"}'),
    line("config/resourceconfig.json", '{"hosts": ["algo-1"], "topology": null}'),
    line("end", "end"),
)


def test_what_the_probe_says_are_facts_by_area() -> None:
    facts = facts_of(["a line of the engine's", *PROBE], {"parity-1": "<job>"})

    assert facts == {
        "configuration": {
            "hyperparameters.json: eta": '"0.1"',
            "resourceconfig.json: hosts": '["algo-1"]',
            "resourceconfig.json: topology": "null",
        },
        "environment": {"TRAINING_JOB_NAME": "<job>", "LANG": "C"},
        "container": {"arguments": "", "process id": "1"},
        "folders": {"/opt/ml/model": "writable", "/opt/ml/input/data/a b": "read-only"},
        "data": {"/opt/ml/input/data/a b/c d.csv": "12"},
    }


def test_long_values_come_in_parts() -> None:
    first, second = line("hostname", "algo-1"), line("hostname", "-abcde")

    facts = facts_of([*PROBE[:-1], first, second, PROBE[-1]], {})

    assert facts["container"]["hostname"] == "algo-1-abcde"


def test_a_probe_that_did_not_come_to_its_end_saw_nothing() -> None:
    assert facts_of(PROBE[:-1], {}) == {}


# --- artifacts and answers --------------------------------------------------------------------


def test_the_files_of_an_archive_are_told_by_size_and_checksum(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        folder = tarfile.TarInfo("sub")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        file = tarfile.TarInfo("./sub/weights")
        file.size = 2
        tar.addfile(file, io.BytesIO(b"42"))

    found = members(archive, root="/opt/ml/model/")

    assert found == {
        "(archive of)": "/opt/ml/model/",
        "/opt/ml/model/sub/weights": "2 bytes, SHA-256 73475cb40a568e8d…",
    }
    assert members(None, root="/opt/ml/model/") == {"(archive of)": "none"}
    assert has(archive, "sub")
    assert not has(archive, "weights")


class Server:
    """Answers by content type, or with an error."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self._errors = errors

    def reply(
        self, data: bytes, *, content_type: str | None = None, accept: str | None = None
    ) -> Reply:
        del accept
        error = self._errors.get(content_type or "")
        if error is not None:
            raise InvocationFailed(error)
        return Reply(200, "text/csv", data)


@pytest.mark.parametrize(
    "error",
    [
        'Received client error (415) from primary with message "no "such" type"',
        (
            "InvokeEndpoint failed: ModelError: "
            "Received client error (415) from primary with message "
            '"no "such" type". See https://us-east-1.console.aws.amazon.com/ in account 1 for more.'
        ),
        'Received client error (415) from primary with message "{"Message": "no \\"such\\" type"}"',
        'InvokeEndpoint failed: 415: no "such" type',
    ],
    ids=["here", "by the API", "of the front", "of the API itself"],
)
def test_errors_are_the_same_facts_whoever_passes_them_on(error: str) -> None:
    unknown = "application/x-devkit-parity"

    facts = answers(Server({unknown: error}), requests(b"1,2", "text/csv"))

    assert facts["unknown content type: status"] == "415"
    assert facts["unknown content type: error"] == 'no "such" type'
    assert facts["the project's: body"] == "1,2"
    assert facts["the project's: content type"] == "text/csv"
    assert facts["7 MB: body"].startswith("7340032 bytes, SHA-256 ")
