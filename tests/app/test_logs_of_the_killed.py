"""What a step logged is in the record though its process was killed, and though its run was stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kairos.app.project import Project
from kairos.app.recording import Record
from kairos.app.training import train
from kairos.experiments import RunRecord, runs
from kairos.pipeline.logged import Logged
from kairos.pipeline.progress import read_unended
from kairos.pipeline.result import RunStopped
from kairos.testing import MemoryRecorder
from kairos.values import Window

PIPELINE = """\
import os
import signal
import time
from pathlib import Path

from kairos import report, step


@step(retries=1, retry_wait="0s")
def dies(*, epochs: int) -> int:
    import mlflow

    with mlflow.start_run():
        mlflow.log_param("epochs", epochs)
        for epoch in range(epochs):
            mlflow.log_metric("loss", 1 / (epoch + 1), step=epoch)
            report(2 / (epoch + 1), step=epoch)
        mlflow.log_text("seen", "seen.txt")
        with mlflow.start_run(nested=True, run_name="fold"):
            os.kill(os.getpid(), signal.SIGKILL)
    return epochs


@step
def waits(*, place: str) -> int:
    report(3.0, step=7)
    Path(place).touch()
    time.sleep(600)
    return 1
"""
WINDOW = Window.parse("2011-01-01..2011-01-31")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with one worker."""
    (tmp_path / "kairos.toml").write_text('[project]\nname = "killed"\n')
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    with Project(tmp_path, workers=1) as project:
        yield project


def told(project: Project) -> RunRecord:
    """The run, as the ledger tells it."""
    (record,) = runs(project.ledger)
    return record


def test_what_a_killed_step_logged_is_in_the_record_of_its_failed_run(project: Project) -> None:
    """Of each of its tries: values with their steps, params, files, what it reported; what it had not ended failed."""
    train(project, window=WINDOW, params={"dies": {"epochs": 3}, "waits": {"place": ""}}, targets=["dies"])
    record = told(project)
    assert (record.status, record.steps[0].tries) == ("failed", 2)
    assert "SIGKILL" in (record.failure or "")
    assert record.params["epochs"] == "3"
    assert (record.metrics["loss"], record.metrics["reported"]) == (1 / 3, 2 / 3)
    kept = [Logged.read(project.store, each) for each in record.steps[0].logged if not each.endswith(".dir")]
    mains = [run for logged in kept for run in logged.runs if run.params]
    values = [[(point.step, point.value) for point in run.points] for run in mains]
    assert values == [[(0, 1.0), (1, 0.5), (2, 1 / 3)]] * 2
    assert all(run.is_failed and run.files for run in mains)
    assert [run.name for logged in kept for run in logged.runs if run.parent is not None] == ["fold"] * 2
    assert not list((project.home / "logging").iterdir())


def test_what_was_logged_when_a_run_was_stopped_is_in_its_record(project: Project, tmp_path: Path) -> None:
    """A step that is at work then says nothing any more."""
    place = tmp_path / "place"

    def stop() -> None:
        while not place.exists():
            assert not ended.wait(0.02)
        project.stopping.set()

    ended = threading.Event()
    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(RunStopped):
        train(project, window=WINDOW, params={"waits": {"place": str(place)}, "dies": {"epochs": 1}}, targets=["waits"])
    ended.set()
    thread.join()
    assert (told(project).status, told(project).metrics) == ("failed", {"reported": 3.0})


def test_a_run_that_was_killed_with_all_its_processes_is_a_failed_one_with_what_it_had_logged(
    project: Project, tmp_path: Path
) -> None:
    """Once somebody tells the record; when it ended is when it was last known to live. One that logged nothing stays
    what it was."""
    place = tmp_path / "place"
    words = ["-C", str(project.root), "run", "--until", "waits", "-p", f"waits.place={place}"]
    run = subprocess.Popen([sys.executable, "-m", "kairos.cli", *words], start_new_session=True)
    try:
        while not place.exists():
            assert run.poll() is None
            time.sleep(0.05)
        assert not Record.is_behind(project), "it lives"
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert [one.state for one in read_unended(project.home / "runs")] == ["dead"]
    assert Record.is_behind(project)
    recorder = MemoryRecorder()
    with Record(project, recorder):
        pass
    assert not Record.is_behind(project)
    record = told(project)
    assert (record.status, record.metrics) == ("failed", {"reported": 3.0})
    assert record.params["waits.place"] == str(place)
    assert "killed, with all its processes, at step 'waits'" in (record.failure or "")
    assert record.started_at <= record.ended_at <= datetime.now(UTC)
    assert list(recorder.runs) == [record.run]
    assert read_unended(project.home / "runs") == []
    assert not list((project.home / "logging").iterdir())
