"""Experiments of the real Sacred report to a project with one line; its folders and documents are what is imported.

Each experiment runs in a process of its own, as a user's does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kairos.adapters.sacred import SacredRun, read_folder
from kairos.app.importing import import_sacred
from kairos.app.project import Project
from kairos.errors import NotFound
from kairos.experiments import RunRecord, runs

EXPERIMENT = """
import sys
import time
from pathlib import Path

from sacred import SETTINGS, Experiment
from sacred.observers import FileStorageObserver
from kairos.adapters.sacred import KairosObserver

SETTINGS.CAPTURE_MODE = "sys"
ex = Experiment("noise", save_git_info=False)
ex.observers.append(KairosObserver())
if "beside" in sys.argv:
    ex.observers.append(FileStorageObserver("beside"))


@ex.config
def config():
    fit = {"rate": 0.1}
    fails = waits = False


@ex.main
def main(_run, fit, fails, waits):
    print("fitting")
    for step in range(3):
        _run.log_scalar("loss", fit["rate"] / (step + 1), step)
    Path("model.txt").write_text("depth 3")
    _run.add_artifact("model.txt")
    if waits:
        _run._emit_heartbeat()
        Path("waiting").touch()
        time.sleep(100)
    if fails:
        raise ValueError("no such depth")
    return 0.75


ex.run(config_updates={word: True for word in sys.argv[1:] if word in ("fails", "waits")})
"""
COMMAND = (sys.executable, "-W", "ignore", "noise.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with an experiment in a folder of it."""
    (tmp_path / "kairos.toml").write_text('[project]\nname = "noise"\n')
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "noise.py").write_text(EXPERIMENT)
    return tmp_path / "inside"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], cwd=folder, capture_output=True, text=True, check=False)


def told(folder: Path) -> list[RunRecord]:
    with Project(folder.parent) as project:
        return runs(project.ledger)


def test_a_run_is_a_fact_when_it_ends_and_leaves_nothing(folder: Path) -> None:
    """Completed and failed ones, each with its metrics; their files are in the store alone."""
    assert run(folder).returncode == 0
    assert run(folder, "fails").returncode != 0
    first, second = told(folder)
    assert (first.status, first.metrics) == ("finished", {"loss": 0.1 / 3, "result": 0.75})
    assert (second.status, second.failure) == ("failed", "noise: ValueError: no such depth")
    assert first.params["fit.rate"] == "0.1"
    places = folder.parent / ".kairos" / "sacred"
    assert not [path for name in ("1", "2") for path in (places / name).iterdir()]


def test_another_observer_keeps_the_run_as_well(folder: Path) -> None:
    """Under a number that this one has used before, too; what both keep says the same."""
    for words in ((), ("beside",)):
        done = run(folder, *words)
        assert done.returncode == 0, done.stderr
    (beside,) = read_folder(folder / "beside")
    assert isinstance(beside, SacredRun)
    last = told(folder)[-1]
    assert (len(told(folder)), last.params) == (2, beside.params)
    assert last.metrics["loss"] == beside.points[2].value


def test_a_run_that_is_killed_is_there_while_it_runs_and_after(folder: Path) -> None:
    """With all that it told until then; ``kairos import sacred`` takes it."""
    process = subprocess.Popen([*COMMAND, "waits"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not (folder / "waiting").exists() and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not told(folder)
    with Project(folder.parent) as project:
        (one,) = import_sacred(project, [project.home / "sacred"])
    assert (one.status, one.is_new) == ("RUNNING", True)
    (record,) = told(folder)
    assert (record.status, record.metrics) == ("failed", {"loss": 0.1 / 3})


def test_an_experiment_goes_on_where_the_project_cannot_be_told(folder: Path) -> None:
    """Its run stays, and a warning says what to type."""
    ledger = folder.parent / ".kairos" / "ledger.db"
    ledger.parent.mkdir()
    ledger.write_text("no ledger, but something else")
    done = subprocess.run([sys.executable, "noise.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "could not be reported to Kairos" in done.stderr
    assert "import sacred" in done.stderr
    kept = folder.parent / ".kairos" / "sacred" / "1" / "run.json"
    assert json.loads(kept.read_text())["status"] == "COMPLETED"


@pytest.mark.filterwarnings("ignore:pkg_resources:UserWarning", "ignore:Deprecated call to:DeprecationWarning")
def test_without_a_project_it_says_so(tmp_path: Path) -> None:
    """When the experiment is set up, not when it ends."""
    from kairos.adapters.sacred import KairosObserver

    with pytest.raises(NotFound, match="no project to report to"):
        KairosObserver(tmp_path)
