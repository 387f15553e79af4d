"""No command waits for the experiment record; a process beside it brings the record up to the ledger."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from kairos.app import beside, following
from kairos.app.beside import lag
from kairos.app.project import Project
from kairos.app.recording import Record
from kairos.cli import main
from kairos.errors import AdapterError
from kairos.ledger import SqliteLedger
from kairos.store.locks import is_held

PIPELINE = "from kairos import step\n\n\n@step\ndef rows(*, many: int = 3) -> int:\n    return many\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one step."""
    (tmp_path / "kairos.toml").write_text('[project]\nname = "one"\n')
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    return tmp_path


def kairos(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Types a command as a user does, who sets nothing; stderr has every module that it loads."""
    environment = {name: value for name, value in os.environ.items() if name != "KAIROS_RECORD"}
    command = [sys.executable, "-X", "importtime", "-m", "kairos.cli", "-C", str(root), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def loaded(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Packages that a command loaded."""
    lines = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.partition(".")[0] for line in lines}


def recorded(root: Path) -> list[str]:
    """Names of the runs in the project's record, in the order in which they were made."""
    path = root / ".kairos" / "mlflow.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM runs WHERE status = 'FINISHED' ORDER BY rowid").fetchall()
    return [name for (name,) in found]


def wait_until_told(root: Path) -> None:
    """Waits for the process beside; it ends by itself."""
    deadline = time.monotonic() + 120
    with Project(root) as project:
        while Record.is_behind(project) or is_held(project.home / "following.lock"):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_runs_are_recorded_beside_the_commands_once_and_in_order(root: Path) -> None:
    """However fast they follow each other; none of them loads MLflow."""
    for many in (1, 2, 3):
        assert "mlflow" not in loaded(
            kairos(root, "run", "--window", "2011-01-01..2011-01-31", "-p", f"rows.many={many}")
        )
    wait_until_told(root)
    assert recorded(root) == [entry.subject for entry in SqliteLedger(root / ".kairos" / "ledger.db").read()]
    assert len(recorded(root)) == 3
    (root / ".kairos" / "following.lock").unlink()
    again = kairos(root, "run", "--window", "2011-01-01..2011-01-31")
    assert {"mlflow", "sqlalchemy"} & loaded(again) == set()
    assert "reused" not in again.stderr
    assert not (root / ".kairos" / "following.lock").exists()  # nothing new came of it: no process was started either


def test_a_server_that_is_down_holds_up_no_command_and_is_told(root: Path) -> None:
    """The run is a fact; the next command says why the record lags, and nothing is lost."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"  # nobody answers there
        (root / "kairos.toml").write_text(f'[project]\nname = "one"\n[tracking]\nmlflow = "{url}"\n')
        first = kairos(root, "run", "--window", "2011-01-01..2011-01-31")
        assert f"note: the experiment record lags behind the ledger, and is told later: {url} does not" in first.stderr
        assert "finished" in first.stdout
        deadline = time.monotonic() + 120
        while not (root / ".kairos" / "following.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
    with Project(root) as project:
        assert Record.is_behind(project)
        assert "MLflow did not take run" in str(lag(project))
    (root / "kairos.toml").write_text('[project]\nname = "one"\n')  # an address at which somebody is
    kairos(root, "run", "--window", "2011-01-01..2011-01-31", "-p", "rows.many=4")
    wait_until_told(root)
    assert len(recorded(root)) == 2
    with Project(root) as project:
        assert lag(project) is None


def test_only_one_process_tells(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one ends at once; the one that tells looks again when it has let go."""
    told = list[Project]()

    class Told:
        """A record to which a fact is added while it is told."""

        is_behind = staticmethod(lambda project: len(told) < 2)

        def __init__(self, project: Project) -> None:
            told.append(project)

        def __enter__(self) -> None:
            following.follow(told[-1])  # as another process

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(following, "Record", Told)
    with Project(root) as project:
        project.home.mkdir()
        following.follow(project)
    assert len(told) == 2


def test_what_went_wrong_is_kept_until_it_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the next command, which says it."""

    class Refused:
        """A record that is down."""

        is_behind = staticmethod(lambda project: True)

        def __init__(self, project: Project) -> None:
            raise AdapterError("down")

    monkeypatch.setattr(following, "Record", Refused)
    with Project(root) as project:
        project.home.mkdir()
        with pytest.raises(AdapterError):
            following.follow(project)
        assert lag(project) == "down"
        (project.home / "following.json").write_text("{")
        assert lag(project) is None


@pytest.mark.parametrize("way", ["", "wait", "later"])
def test_an_address_that_cannot_be_used_is_refused_before_anything_runs(
    root: Path, way: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever waits for the record."""
    (root / "kairos.toml").write_text('[project]\nname = "one"\n[tracking]\nmlflow = "localhost:5000"\n')
    monkeypatch.setenv("KAIROS_RECORD", way)
    assert main(["-C", str(root), "run", "--window", "2011-01-01..2011-01-31"]) != 0
    assert "MLflow server cannot be used" in capsys.readouterr().err
    with Project(root) as project:
        assert list(project.ledger.read()) == []


def test_a_command_waits_for_the_record_or_leaves_it_to_a_later_one(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``KAIROS_RECORD=later`` no process tells it; with ``wait`` it is up to the ledger when the command ends."""
    monkeypatch.setenv("KAIROS_RECORD", "later")
    monkeypatch.setattr(beside, "start", pytest.fail)
    assert main(["-C", str(root), "run", "--window", "2011-01-01..2011-01-31"]) == 0
    with Project(root) as project:
        assert Record.is_behind(project)
    assert recorded(root) == []
    monkeypatch.setenv("KAIROS_RECORD", "wait")
    assert main(["-C", str(root), "run", "--window", "2011-01-01..2011-01-31", "-p", "rows.many=4"]) == 0
    assert len(recorded(root)) == 2
    assert json.loads((root / ".kairos" / "recorded.json").read_bytes())["seq"] == 2
