"""``tune`` as a person or a CI log sees it: killed, beside another one, and stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from kairos.app.project import Project
from kairos.cli import main
from tests.app.searches import PIPELINE, write
from tests.cli.said import TypeIn

WAITING = PIPELINE.replace(
    "    return DummyRegressor(",
    """    import time
    from pathlib import Path
    while Path("hold").exists() and len(train) < 600:  # trials, not the runs that are compared at the end
        Path("held").touch()
        time.sleep(0.01)
    return DummyRegressor(""",
)
GO = ("tune", "demand", "--space", "demand.level=80..120", "--seed", "3")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose trials wait while there is a file."""
    return write(tmp_path / "toy", WAITING)


def begin(project: Path, *more: str) -> subprocess.Popen[str]:
    """A command in a process of its own."""
    words = [sys.executable, "-m", "kairos.cli", "-C", str(project), *GO, *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(is_so: object, process: subprocess.Popen[str]) -> None:
    """Waits for a file, for as long as the process lives."""
    while not Path(str(is_so)).exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def trials(project: Path) -> list[tuple[str, Sequence[object]]]:
    """Name and params of each that is written down."""
    with Project(project) as opened:
        entries = list(opened.ledger.read(kinds=["run.tried"]))
    return [(entry.body["trial"], list(entry.body["searched"].values())) for entry in entries]


def test_a_search_that_was_killed_goes_on(project: Path, type_in: TypeIn) -> None:
    """From what is written down; Ctrl-C says what is kept, and ends with 130."""
    assert type_in(project, *GO, "--trials", "2").code == 0
    had = trials(project)
    assert [name for name, _ in had][:3] == ["current", "0", "1"]
    for ending in (signal.SIGKILL, signal.SIGINT):
        (project / "hold").touch()
        process = begin(project, "--trials", "4", "--workers", "2")
        until(project / "held", process)
        process.send_signal(ending)
        out, err = process.communicate(timeout=60)
        assert process.returncode == (-9 if ending == signal.SIGKILL else 130)
        assert "It goes on: 2 trials are over." in out
        if ending == signal.SIGINT:
            assert "0 trials of this search are over and kept. The same command goes on." in err
        (project / "hold").unlink()
        (project / "held").unlink()
        assert trials(project) == had
    said = type_in(project, *GO, "--trials", "4", "--json", "--register")
    assert said.code == 0
    assert said.json["outcome"]["verdict"] == "better"
    assert said.json["registered"] == ["demand@1"]
    assert [trial["number"] for trial in said.json["trials"]] == [0, 1, 2, 3]
    verified = type_in(project, "ledger", "verify")
    assert verified.code == 0


def test_two_commands_at_one_study_share_it(project: Path) -> None:
    """No trial is made twice, both give the same answer, and one end is written."""
    (project / "hold").touch()
    first = begin(project, "--trials", "6", "--json")
    until(project / "held", first)
    second = begin(project, "--trials", "6")
    until_waits = time.monotonic() + 60
    while len(trials(project)) < 1 and time.monotonic() < until_waits:
        time.sleep(0.05)
    time.sleep(0.5)
    (project / "hold").unlink()
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    told, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    numbers = [name for name, _ in trials(project) if name.isdigit()]
    assert sorted(numbers) == ["0", "1", "2", "3", "4", "5"]
    assert f"study {json.loads(out)['study']} of demand: 6 trials" in told
    assert "6 trials: 6 finished." in told
    with Project(project) as opened:
        assert len(list(opened.ledger.read(kinds=["study.began"]))) == 1
        assert len(list(opened.ledger.read(kinds=["study.judged"]))) == 1


def test_a_search_reads_well_in_a_log(project: Path, type_in: TypeIn) -> None:
    """Whole lines; what it searches, what it sees, each trial, and what is thought of the best; and how to make it."""
    said = type_in(project, *GO, "--trials", "5")
    assert said.code == 0
    assert "\x1b" not in said.out
    assert "demand.level  80 to 120, now 120.0" in said.out
    assert "The 168 rows of split.holdout" in said.out
    assert "Trials see 2011-01-03..2011-01-31 and are judged on 168 rows of it" in said.out
    assert "It beats the current params by more than chance would make." in said.out
    command = said.out.rpartition("kairos run ")[2].strip().splitlines()[0]
    assert f"make these the defaults: {command.rpartition('-p ')[2].replace('=', ' = ')}" in said.out
    listed = type_in(project, "runs")
    assert len(listed.out.splitlines()) == 2
    assert "searched" in listed.out
    assert "trial" in listed.out
    assert len(type_in(project, "runs", "--trials").out.splitlines()) == 8  # five, those that were compared, the head
    study = listed.out.splitlines()[1].split()[0]
    chosen = type_in(
        project, "runs", "--where", f"study = {study} and state = finished", "--columns", "trial,demand.level"
    )
    assert len(chosen.out.splitlines()) == 8
    assert type_in(project, "runs", "--where", "trial >= 3", "--columns", "trial").out.split() == ["trial", "4", "3"]
    assert f"study {study} of demand searched" in type_in(project, "show", study[:6]).out
    made = type_in(project, "run", *command.replace("'", "").split())
    assert made.code == 0
    assert "reused" in made.out
    assert "demand@1 is registered" in made.out


def test_what_cannot_be_searched_is_told(project: Path, type_in: TypeIn) -> None:
    """A mistyped range is a usage error in words and as JSON; a failed search says so and ends with 1."""
    wrong = type_in(project, "tune", "demand", "--space", "demand.levle=1..2", "--json")
    assert (wrong.code, wrong.error["hint"]) == (2, "Did you mean 'demand.level'?")
    assert main(["-C", str(project), "tune", "demand", "--space", "demand.level=1..2", "--time-limit", "soon"]) == 2


def test_only_what_beats_the_current_params_is_registered(project: Path, type_in: TypeIn) -> None:
    """With ``--register``: where nothing beats them nothing is, and the search says so."""
    kept = type_in(project, *GO, "--trials", "2", "-p", "demand.level=100.0", "--register")
    assert kept.code == 0
    assert "None beats the current params" in kept.out
    assert "registered" not in kept.out
