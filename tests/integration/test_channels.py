"""How data comes into a container, and how a container is started: contract 1.1, 1.4 and 1.6."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.kit import HEAD, Project, outcome

pytestmark = pytest.mark.usefixtures("contained")

SAY_FILES = HEAD + (
    'files = {str(p.relative_to(DATA)): p.read_text() for p in sorted(DATA.rglob("*")) '
    "if p.is_file()}\n"
    "say(json.dumps(files))\n"
    'say((CONFIG / "inputdataconfig.json").read_text())\n'
)

READ_TWO_EPOCHS = (
    HEAD
    + """
import time

def epoch(number):
    path = DATA / f"training_{number}"
    while not path.exists():
        time.sleep(0.01)
    with path.open("rb") as pipe:
        return pipe.read().hex()

say(json.dumps([epoch(0), epoch(1)]))
say((CONFIG / "inputdataconfig.json").read_text())
"""
)


def said(project: Project, settings: str, *flags: str) -> tuple[object, object]:
    """Train, and return the two JSON lines that the program wrote."""
    project.configure(settings)
    project.devkit("train", "--name", "job", *flags).succeeded()
    first, second = project.devkit("logs", "job").succeeded().out.splitlines()
    return json.loads(first), json.loads(second)


def write(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.mark.contract("1.2-b", "1.4-a", "1.4-b", "1.6-a", "1.6-z")
def test_a_folder_and_a_file_are_channels(project: Project) -> None:
    """Contract 1.4, 1.6."""
    project.write(train=SAY_FILES)
    write(project.root, {"data/a.csv": b"1", "data/sub/b.csv": b"2", "one file.csv": b"3"})
    files, config = said(
        project,
        "[train.channels]\n"
        'training = { source = "data", content_type = "text/csv" }\n'
        'single = "one file.csv"\n',
    )
    assert files == {
        "training/a.csv": "1",
        "training/sub/b.csv": "2",
        "single/one file.csv": "3",
    }
    plain = {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    assert config == {"training": {"ContentType": "text/csv", **plain}, "single": plain}


@pytest.mark.contract("1.6-m", "1.6-q")
def test_a_manifest_chooses_files(project: Project) -> None:
    """Contract 1.6."""
    project.write(train=SAY_FILES)
    manifest = json.dumps([{"prefix": "data/"}, "b.csv", "sub/c.csv"]).encode()
    write(
        project.root,
        {"data/a.csv": b"1", "data/b.csv": b"2", "data/sub/c.csv": b"3", "m.json": manifest},
    )
    files, _ = said(
        project, '[train.channels]\ntraining = { source = "m.json", data_type = "ManifestFile" }\n'
    )
    assert files == {"training/b.csv": "2", "training/sub/c.csv": "3"}
    assert not list(project.root.glob(".devkit/jobs/*/inputs"))


@pytest.mark.contract("1.2-c", "1.4-e", "1.6-e", "1.6-w")
def test_a_pipe_is_fed_once_an_epoch(project: Project) -> None:
    """Contract 1.6."""
    project.write(train=READ_TWO_EPOCHS)
    write(project.root, {"data/a": gzip.compress(b"one "), "data/b": gzip.compress(b"two")})
    epochs, config = said(
        project,
        "[train.channels]\n"
        'training = { source = "data", input_mode = "Pipe", compression = "Gzip" }\n',
    )
    assert epochs == [b"one two".hex()] * 2
    assert config == {
        "training": {
            "TrainingInputMode": "Pipe",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    }


@pytest.mark.contract("1.6-j")
def test_pipes_and_files_stand_side_by_side(project: Project) -> None:
    """Contract 1.6: InputMode of a channel goes over that of the job."""
    project.write(
        train=READ_TWO_EPOCHS.replace('say((CONFIG / "inputdataconfig.json").read_text())', "")
        + 'say(json.dumps((DATA / "extra" / "x").read_text()))\n'
    )
    write(project.root, {"data/a": b"piped", "extra/x": b"filed"})
    epochs, text = said(
        project,
        '[train]\ninput_mode = "Pipe"\n[train.channels]\ntraining = "data"\n'
        'extra = { source = "extra", input_mode = "File" }\n',
    )
    assert (epochs, text) == ([b"piped".hex()] * 2, "filed")


def test_a_pipe_that_cannot_be_fed_fails_the_job(project: Project) -> None:
    """Contract 1.6: what is not gzip is no Gzip channel."""
    project.write(train=READ_TWO_EPOCHS)
    write(project.root, {"data/a": b"this is not gzip"})
    project.configure(
        "[train.channels]\n"
        'training = { source = "data", input_mode = "Pipe", compression = "Gzip" }\n'
    )
    failed = project.devkit("train", "--name", "job")
    assert failed.code != 0
    assert "gzip" in failed.err.lower()
    assert "Traceback" not in failed.err
    recorded = outcome(project.job("job"))
    assert recorded["status"] == "Failed"
    assert "gzip" in recorded["failure_reason"].lower()


@pytest.mark.contract("1.9-j")
def test_a_manifest_that_names_no_file_is_refused(project: Project) -> None:
    """Contract 1.6."""
    project.write(train=SAY_FILES)
    manifest = json.dumps([{"prefix": "data/"}, "missing.csv"]).encode()
    write(project.root, {"data/a.csv": b"1", "m.json": manifest})
    project.configure(
        '[train.channels]\ntraining = { source = "m.json", data_type = "ManifestFile" }\n'
    )
    project.devkit("train").failed(2, "missing.csv")


@pytest.mark.contract("1.1-a", "1.1-b", "1.1-c", "1.1-d", "1.1-f")
@pytest.mark.parametrize(
    ("settings", "started"),
    [
        ("", ["train"]),
        ("arguments = ['show', '--fast']", ["show", "--fast"]),
        ("entrypoint = ['show', 'a b']", ["show", "a b"]),
        ("entrypoint = ['show']\narguments = ['train']", ["show", "train"]),
    ],
)
def test_a_job_is_started_as_the_request_says(
    project: Project, settings: str, started: list[str]
) -> None:
    """Contract 1.1."""
    show = HEAD + "say(json.dumps([Path(sys.argv[0]).name, *sys.argv[1:]]))\nsay('{}')\n"
    project.write(train=show, show=show)
    assert said(project, f"[train]\n{settings}\n") == (started, {})


@pytest.mark.contract("1.6-a", "1.6-l", "1.6-p")
def test_an_s3_prefix_is_fetched_from_the_s3_of_the_settings(
    project: Project, s3: tuple[str, Any]
) -> None:
    """Contract 1.6: S3Prefix."""
    address, client = s3
    client.create_bucket(Bucket="bucket")
    for key, body in {"data/a.csv": b"1", "data/sub/b.csv": b"2", "other/c.csv": b"3"}.items():
        client.put_object(Bucket="bucket", Key=key, Body=body)
    project.write(train=SAY_FILES)
    files, _ = said(
        project,
        f'[s3]\nendpoint_url = "{address}"\n[train.channels]\ntraining = "s3://bucket/data/"\n',
    )
    assert files == {"training/a.csv": "1", "training/sub/b.csv": "2"}


def test_a_channel_in_s3_without_an_s3_is_refused(project: Project) -> None:
    project.write(train=SAY_FILES, config="[train.channels]\na = 's3://bucket/data'\n")
    project.devkit("train").failed(2, "the settings name no S3", "[s3] endpoint_url")
    assert not project.store.exists()
