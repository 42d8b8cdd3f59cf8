"""The folders, who works on them, and the index."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from devkit.errors import NotFound, StoreError
from devkit.index import Entry, Index
from devkit.job import Outcome, Status
from devkit.store import Store, write_atomically

REQUEST = {"engine": "process", "image": "fake:dev", "started": "2026-01-02T03:04:05+00:00"}
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def outcome(status: Status = Status.COMPLETED) -> Outcome:
    return Outcome(
        status=status,
        secondary_status=status.value,
        exit_code=0,
        failure_reason=None,
        started=STARTED,
        ended=STARTED + timedelta(seconds=2),
        metrics={"loss": 0.5},
    )


def test_the_store_ignores_itself_in_git(store: Store) -> None:
    assert (store.root / ".gitignore").read_text() == "*\n"


def test_a_claimed_run_is_listed_as_running(store: Store) -> None:
    claim = store.claim("job", "a", REQUEST)
    [entry] = store.entries("job")
    assert (entry.name, entry.status, entry.engine) == ("a", "InProgress", "process")
    assert store.owner(claim.run) is not None
    claim.release(finished=True)
    assert store.owner(claim.run) is None


def test_a_name_is_taken_once(store: Store) -> None:
    store.claim("job", "a", REQUEST).release(finished=True)
    with pytest.raises(StoreError, match="already a job named 'a'"):
        store.claim("job", "a", REQUEST)
    store.claim("server", "a", REQUEST).release(finished=True)


def test_an_outcome_comes_back_as_it_was_written(store: Store) -> None:
    claim = store.claim("job", "a", REQUEST)
    claim.run.write_outcome(outcome())
    claim.release(finished=True)
    assert claim.run.outcome() == outcome()


def test_a_run_with_an_owner_is_not_abandoned(store: Store) -> None:
    claim = store.claim("job", "a", REQUEST)
    assert Store(store.root.parent).abandoned() == []
    claim.release(finished=True)


def test_a_run_whose_process_was_killed_is_abandoned(store: Store) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from devkit.store import Store\n"
        f"Store(Path({str(store.root.parent)!r})).claim('job', 'a', {REQUEST!r})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -9
    [claim] = store.abandoned()
    assert claim.run.name == "a"
    assert store.abandoned() == []  # it has an owner now: this process
    claim.release(finished=True)
    assert store.abandoned() == []


def test_what_is_not_finished_is_abandoned_again(store: Store) -> None:
    store.claim("job", "a", REQUEST).release(finished=False)
    [claim] = store.abandoned()
    claim.release(finished=True)


def test_a_lost_index_is_made_from_the_folders(store: Store) -> None:
    claim = store.claim("job", "a", REQUEST)
    claim.run.write_outcome(outcome())
    claim.release(finished=True)
    (store.root / "index.sqlite").unlink()
    [entry] = store.entries("job")
    assert (entry.name, entry.status) == ("a", "Completed")


def test_a_damaged_index_is_made_anew(store: Store) -> None:
    store.claim("job", "a", REQUEST).release(finished=True)
    (store.root / "index.sqlite").write_bytes(b"not a database, not at all" * 100)
    assert [entry.name for entry in store.entries("job")] == ["a"]


def test_a_folder_deleted_by_hand_is_not_listed(store: Store) -> None:
    claim = store.claim("job", "a", REQUEST)
    claim.release(finished=True)
    for path in sorted(claim.run.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    claim.run.folder.rmdir()
    assert store.entries("job") == []


def test_a_running_run_is_not_deleted(store: Store) -> None:
    claim = store.claim("job", "a", REQUEST)
    with pytest.raises(StoreError, match="is running"):
        store.delete(claim.run)
    claim.release(finished=True)
    store.delete(claim.run)
    assert not claim.run.folder.exists()
    assert store.entries("job") == []


@pytest.mark.parametrize("name", ["", "nobody", "../active", "a/b"])
def test_an_unknown_name_is_not_found(store: Store, name: str) -> None:
    with pytest.raises(NotFound, match="there is no job or server"):
        store.find(name)


def test_a_project_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / ".devkit").write_text("a file is in the way")
    with pytest.raises(StoreError, match="cannot write"):
        Store(tmp_path)


def test_a_failed_write_leaves_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_outcome_cut_off_by_a_crash_is_none(store: Store) -> None:
    claim = store.claim("job", "a", REQUEST)
    (claim.run.folder / "outcome.json").write_text('{"status": "Comp')
    assert claim.run.outcome() is None
    claim.release(finished=True)


def test_what_is_put_while_the_index_is_made_anew_is_not_lost(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite")
    index.rebuild([])
    new = Entry("job", "new", "InProgress", "process", "i", "2026", None, None)
    putting = threading.Thread(target=index.put, args=(new,))

    def entries() -> Iterator[Entry]:
        putting.start()
        putting.join(0.2)  # in vain: it has to wait
        yield Entry("job", "old", "Completed", "process", "i", "2025", "2025", None)

    index.rebuild(entries())
    putting.join()
    assert [entry.name for entry in index.entries("job")] == ["old", "new"]
