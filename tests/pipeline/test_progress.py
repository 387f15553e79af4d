"""How a run gets on is in a file; a run whose process was killed is known as dead at once."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kairos.pipeline.progress import Progress, read_progress, read_unended
from kairos.pipeline.result import StepEvent
from tests.pipeline.projects import NOW, WINDOW, Place

RUN = """
import sys, time
from pathlib import Path
from kairos.pipeline.progress import Progress
from kairos.pipeline.result import StepEvent
from tests.pipeline.projects import NOW, WINDOW
with Progress(Path(sys.argv[1]), window=WINDOW, started_at=NOW) as progress:
    progress.note(StepEvent(step="a", what="ran", elapsed_s=1.0))
    progress.note(StepEvent(step="b", what="started", why=("param x: 1 -> 2",)))
    progress._write()
    print("on", flush=True)
    time.sleep(600)
"""


def test_a_killed_run_is_dead_at_once(tmp_path: Path) -> None:
    """Where it was is known; nobody has to wait for a beat that does not come."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"on\n"
        (told,) = read_progress(tmp_path)
        assert (told.state, told.at, told.pid) == ("running", ("b",), child.pid)
        child.kill()
        child.wait()
    started = time.monotonic()
    (told,) = read_progress(tmp_path)
    assert time.monotonic() - started < 1
    assert (told.state, told.at, told.steps["a"]["state"]) == ("dead", ("b",), "ran")
    assert not told.has_result
    assert told.steps["b"]["why"] == ["param x: 1 -> 2"]


def test_another_machines_run_is_dead_without_a_beat(tmp_path: Path) -> None:
    """Its lock says nothing here, so its beat has to."""
    with Progress(tmp_path, window=WINDOW, started_at=NOW):
        (path,) = tmp_path.glob("*.json")
        told = json.loads(path.read_bytes())
        for age_s, state in ((2, "running"), (60, "dead"), (7200, "dead")):
            far = tmp_path / f"far{age_s}.json"
            far.write_text(json.dumps({**told, "host": "elsewhere"}))
            os.utime(far, (time.time() - age_s,) * 2)
            assert {one.name: one.state for one in read_progress(tmp_path)}[far.stem] == state


@pytest.mark.parametrize("age_s", [-3000.0, 3000.0])
def test_another_machines_run_lives_while_it_beats(tmp_path: Path, age_s: float) -> None:
    """Whatever the clocks say: its file looks old, or from a time to come, and is written again."""
    with Progress(tmp_path, window=WINDOW, started_at=NOW):
        (path,) = tmp_path.glob("*.json")
        far, over = tmp_path / "far.json", threading.Event()
        text = json.dumps({**json.loads(path.read_bytes()), "host": "elsewhere"})

        def beat() -> None:
            while not over.wait(0.5):
                far.with_suffix(".new").write_text(text)
                os.utime(far.with_suffix(".new"), (time.time() - age_s,) * 2)
                os.replace(far.with_suffix(".new"), far)

        thread = threading.Thread(target=beat)
        thread.start()
        time.sleep(1.0)
        assert {one.name: one.state for one in read_progress(tmp_path)}["far"] == "running"
        over.set()
        thread.join()


def test_a_run_that_ended_keeps_its_times_under_its_id(place: Place, tmp_path: Path) -> None:
    """A run in which nothing ran, as its pipeline cannot, leaves no file."""
    with Progress(tmp_path / "runs", window=WINDOW, started_at=NOW) as progress:
        result = place.run("@step\ndef a() -> int: return 1", on_event=progress.note)
        progress.made(result)
        (told,) = read_progress(tmp_path / "runs")
        assert (told.name, told.state, told.has_result) == (result.id, "running", True)
        progress.end(result)
    (told,) = read_progress(tmp_path / "runs")
    assert (told.name, told.state, told.steps["a"]["state"]) == (result.id, "finished", "ran")
    assert told.steps["a"]["elapsed_s"] >= 0
    with pytest.raises(ValueError, match="wrong"), Progress(tmp_path / "none", window=WINDOW, started_at=NOW):
        raise ValueError("wrong")
    assert list((tmp_path / "none").iterdir()) == []


def test_a_dead_run_outlives_the_files_of_those_that_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ended is in the ledger, so its file may go; that a run was killed is told by its file alone."""
    monkeypatch.setattr("kairos.pipeline.progress._KEPT", 4)
    told = {"window": str(WINDOW), "pid": 1, "host": socket.gethostname(), "steps": {}}
    for day in range(1, 10):
        state, name = ("running", "20110201T000000000000-1") if day == 1 else ("finished", f"r{day}")
        at = datetime(2011, 2, day, tzinfo=UTC).isoformat()
        (tmp_path / f"{name}.json").write_text(json.dumps({**told, "state": state, "started_at": at, "beat_at": at}))
    with Progress(tmp_path, window=WINDOW, started_at=NOW):
        kept = [(one.name, one.state) for one in read_progress(tmp_path) if one.state != "running"]
        assert kept == [("20110201T000000000000-1", "dead"), ("r8", "finished"), ("r9", "finished")]
        assert sorted(one.state for one in read_unended(tmp_path)) == ["dead", "running"]


def test_what_is_no_runs_file_is_passed_over(tmp_path: Path) -> None:
    """A part of a file, another program's, or one of a later format hides no other."""
    (tmp_path / "half.json").write_text('{"state": "runn')
    (tmp_path / "other.json").write_text("[]")
    (tmp_path / "late.json").write_text('{"state": "paused"}')
    with Progress(tmp_path, window=WINDOW, started_at=NOW) as progress:
        progress.note(StepEvent(step="a", what="started"))
        assert [one.state for one in read_progress(tmp_path)] == ["running"]
