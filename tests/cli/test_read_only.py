"""A project that may only be read: what reads works, what writes says so in one sentence and does nothing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kairos.app.place import SETTINGS_FILE
from kairos.app.project import Project
from tests.e2e.commands import COMMAND
from tests.monitor.logs import prediction
from tests.unprivileged import NO_PRIVILEGE, needs_permissions

pytestmark = needs_permissions


@pytest.fixture
def closed(toy: Path) -> Iterator[Path]:
    """A project with facts and predictions, of which nothing may be written any more."""
    with closing(Project(toy, actor="tester").predictions.writer("w")) as writer:
        writer.append([prediction(hour, 0.5) for hour in range(2)])
    allow(toy, writes=False)
    yield toy
    allow(toy, writes=True)


def allow(folder: Path, *, writes: bool) -> None:
    """Lets its owner write in a folder and below, or not."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200 if writes else path.stat().st_mode & ~0o222)


def typed(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What a command in that folder says to somebody whom permissions stop."""
    return subprocess.run([*NO_PRIVILEGE, *COMMAND, *words], cwd=folder, capture_output=True, text=True, check=False)


def test_what_reads_works(closed: Path) -> None:
    """And leaves nothing behind."""
    before = sorted(closed.rglob("*"))
    for words, said in (
        (("status",), "demand@1, live since"),
        (("live",), "demand@1 since"),
        (("models",), "demand@4"),
        (("why", "demand"), "demand:"),
        (("ledger", "log"), "live: made up"),
        (("labels",), "demand: A day counts"),
    ):
        found = typed(closed, *words)
        assert (found.returncode, found.stderr) == (0, ""), words
        assert said in found.stdout, words
    found = typed(closed, "explain", "p0")
    assert "no finished run 'r1'" in found.stderr, "it found the answer, and this toy has no run behind it"
    assert sorted(closed.rglob("*")) == before


def test_what_writes_is_refused_in_one_sentence(closed: Path) -> None:
    """Nothing was done, and it says what can be done instead."""
    for words in (("run",), ("freeze", "demand", "--reason", "x"), ("up",)):
        found = typed(closed, *words)
        assert (found.returncode, found.stdout) == (1, ""), words
        assert found.stderr.startswith(
            "error: This command writes, and the project's folder may only be read by you; nothing was done.\n"
        )
        assert str(closed) in found.stderr


def test_facts_that_a_writer_was_killed_with_are_read(toy: Path) -> None:
    """They lie in SQLite's own log beside the file, which only a writer may put away."""
    project = Project(toy, actor="tester")
    project.tell("freeze.begun", subject="demand", body={"until": None, "reason": "the last fact"})
    home = toy / ".kairos"
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        shutil.copy(home / name, toy / name)
    project.ledger.close()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        shutil.move(toy / name, home / name)
    assert (home / "ledger.db-wal").stat().st_size
    allow(toy, writes=False)
    try:
        assert "the last fact" in typed(toy, "ledger", "log").stdout
    finally:
        allow(toy, writes=True)


def test_a_project_without_facts_has_none(tmp_path: Path) -> None:
    """It is read as one that was never used."""
    (tmp_path / SETTINGS_FILE).write_text('[project]\nname = "toy"\n')
    allow(tmp_path, writes=False)
    try:
        found = typed(tmp_path, "models")
        assert (found.returncode, found.stderr) == (0, "")
        assert found.stdout == "No version is registered yet. Type: kairos run\n"
    finally:
        allow(tmp_path, writes=True)
    assert [path.name for path in tmp_path.iterdir()] == [SETTINGS_FILE]
