"""``run``, ``runs``, ``show`` and ``rebuild`` as a person or a CI log sees them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kairos.cli import run_screen
from kairos.pipeline.result import StepEvent
from tests.cli.said import Said

Type = Callable[..., Said]

PIPELINE = """
from pathlib import Path
import time
from kairos import step

@step
def a() -> int:
    return 1

@step
def b(a: int, *, k: int = 2) -> int:
    while Path("hold").exists():
        Path("held").touch()
        time.sleep(0.01)
    return a * k

@step(retries=1, retry_wait="0.01s")
def c(b: int) -> int:
    if not Path("tried").exists():
        Path("tried").touch()
        raise OSError("busy")
    return b
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of three steps."""
    (tmp_path / "kairos.toml").write_text('[project]\nname = "p"\nwindow = "2011-01-03..2011-01-23"\n')
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    return tmp_path


def test_a_run_reads_well_in_a_log(project: Path, type_in: Type) -> None:
    """A line with its time for each event, and no control codes; a retry is told with its reason."""
    (project / "tried").touch()
    planned = type_in(project, "run", "--plan")
    assert "3 would run, 0 depend" in planned.out
    (project / "tried").unlink()
    said = type_in(project, "run", "--why")
    assert said.code == 0
    assert "\x1b" not in said.out
    assert "\r" not in said.out
    events = [line for line in said.out.splitlines() if re.match(r"\d\d:\d\d:\d\d  ", line)]
    assert [re.sub(r"[\d.]+ s\)", "T)", line[10:]) for line in events] == [
        "a             started", "a             because it has not run before", "a             ran (T)",
        "b             started", "b             because it has not run before", "b             ran (T)",
        "c             started", "c             because it has not run before",
        "c             failed, try 2 of 2 in 0.01 s: Step 'c' failed (pipeline.py, line 21): OSError: busy",
        "c             ran (T)",
    ]  # fmt: skip


def test_parts_of_a_pipeline_are_run_and_a_run_is_shown(project: Path, type_in: Type) -> None:
    """``--until`` stops behind a step, ``--from`` begins at one; ``show`` tells steps, times, params and code."""
    (project / "tried").touch()
    first = json.loads(type_in(project, "run", "--until", "b", "--json").out)
    assert [step["step"] for step in first["steps"]] == ["a", "b"]
    again = json.loads(type_in(project, "run", "--from", "b", "-p", "b.k=5", "--json").out)
    assert [step["status"] for step in again["steps"]] == ["reused", "ran", "ran"]
    plan = json.loads(type_in(project, "run", "--plan", "--json").out)
    assert [(step["step"], step["what"]) for step in plan] == [("a", "reuse"), ("b", "reuse"), ("c", "run")]
    shown = type_in(project, "show", again["id"])
    assert f"run {again['id']} finished" in shown.out
    assert "1 of 3 steps reused" in shown.out
    assert re.search(r"^b +ran +[\d.]+ s +k=5 +a \w{8} +b \w{8}$", shown.out, re.MULTILINE)
    assert "b ran because it is forced" in shown.out or "param k: 2 -> 5" in shown.out
    body = json.loads(type_in(project, "show", again["id"][:5], "--json").out)
    assert body["kept"]["files"].endswith(".dir")
    assert body["steps"][1]["elapsed_s"] > 0
    same = type_in(project, "rebuild", again["id"])
    assert (same.code, same.out.splitlines()[-1]) == (0, "identical")


def test_a_run_that_was_killed_is_reported_dead(project: Path, type_in: Type) -> None:
    """Within seconds, and with the step at which it was; the next run goes on."""
    (project / "hold").touch()
    with subprocess.Popen(
        [sys.executable, "-m", "kairos.cli", "-C", str(project), "run"], stdout=subprocess.DEVNULL
    ) as run:
        while not (project / "held").exists():
            assert run.poll() is None
            time.sleep(0.01)
        time.sleep(1.5)  # the file tells of a step with the next beat
        (alive,) = json.loads(type_in(project, "runs", "--json").out)
        assert (alive["status"], alive["pid"]) == ("running", run.pid)
        run.send_signal(signal.SIGKILL)
        run.wait()
    started = time.monotonic()
    said = type_in(project, "runs")
    assert time.monotonic() - started < 5
    assert re.search(rf"{alive['run']} +dead .* pid {run.pid} +at b$", said.out, re.MULTILINE)
    shown = type_in(project, "show", alive["run"])
    assert "its process was killed" in shown.out
    assert re.search(r"^b +killed", shown.out, re.MULTILINE)
    (project / "hold").unlink()
    (project / "tried").touch()
    assert type_in(project, "run").code == 0
    listed = json.loads(type_in(project, "runs", "--json").out)
    assert [(one["run"] == alive["run"], one["status"]) for one in listed] == [(False, "finished"), (True, "dead")]


def test_a_run_that_is_killed_as_it_is_recorded_is_not_lost(project: Path, type_in: Type) -> None:
    """Its steps had ended, and the ledger does not know of it yet."""
    (project / "tried").touch()
    code = (
        "import os, sys; from kairos.app.project import Project; from kairos.cli import main; "
        "Project.tell_all = lambda *_, **__: os._exit(9); main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "-C", str(project), "run"]
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 9
    said = type_in(project, "runs")
    assert re.search(r"^r\w{10} +dead .* before it was recorded$", said.out, re.MULTILINE)
    name = said.out.splitlines()[1].split()[0]
    assert "its process was killed" in type_in(project, "show", name).out
    assert type_in(project, "run").code == 0
    said = type_in(project, "runs")
    assert [line.split()[1] for line in said.out.splitlines()] == ["status", "finished", "dead"]


def test_a_rebuild_that_differs_ends_with_one(project: Path, type_in: Type) -> None:
    """And names the step and what explains it."""
    (project / "tried").touch()
    text = PIPELINE.replace("return a * k", "return a * k + time.time_ns()")
    (project / "pipeline.py").write_text(text)
    run = json.loads(type_in(project, "run", "--json").out)["id"]
    said = type_in(project, "rebuild", run)
    assert said.code == 1
    assert "diverged first at step 'b'" in said.out
    assert "chance: made twice here from equal inputs with the seed 0, it gives two results" in said.out


def test_a_reused_step_is_told_with_its_own_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where it is told later, with what happened next; of many the time of the last."""
    times = iter(f"10:00:{second:02}" for second in range(60))
    monkeypatch.setattr(run_screen, "_now", lambda: next(times))
    with run_screen.RunScreen(why=False) as screen:
        screen.note(StepEvent(step="a", what="started"))
        screen.note(StepEvent(step="b", what="reused"))
        screen.note(StepEvent(step="c", what="reused"))
        screen.note(StepEvent(step="a", what="ran", elapsed_s=3.0))
        for number in range(13):
            screen.note(StepEvent(step=f"d{number}", what="reused"))
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["10:00:00", "a", "started"],
        ["10:00:01", "b", "reused"],
        ["10:00:02", "c", "reused"],
        ["10:00:03", "a", "ran", "(3.0", "s)"],
        ["10:00:16", "13", "steps", "reused,", "from", "d0", "to", "d12"],
    ]
