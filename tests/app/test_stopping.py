"""A loop that is stopped in the middle of a training ends within a moment, and the next one goes on from there."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest

from kairos.app.looping import Loop
from kairos.app.project import Project
from kairos.store.blobs import Store
from tests.app.worlds import DAY, PIPELINE, SETTINGS, Stock, World

AGED = SETTINGS + '\n[model.demand.retrain]\nmax_age = "20d"\nretry = "1h"\n'
SLOW = PIPELINE.replace(
    "return DummyRegressor()",
    "import os, pathlib, time\n"
    "    pathlib.Path('pid').write_text(str(os.getpid()))\n"
    "    time.sleep(600)\n"
    "    return DummyRegressor()",
)


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def begun(world: World) -> int:
    """The worker that trains, once it does."""
    while not (world.root / "pid").exists() or not (world.root / "pid").read_text():
        time.sleep(0.01)
    return int((world.root / "pid").read_text())


def test_a_loop_that_is_stopped_while_it_trains_leaves_nothing_half_written(
    tmp_path: Path, stock: Stock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its worker ends, the run is told as stopped, what is live stays live; an hour later it is trained again."""
    monkeypatch.setattr(Loop, "_record", lambda self, project: None)
    world = World(tmp_path / "toy", stock, AGED, SLOW)
    champion = world.live(200.0)
    world.clock.move_to(world.clock.now() + 21 * DAY)
    with caplog.at_level(logging.INFO):
        with Loop(world.project) as loop:
            worker = begun(world)
            stopped_s = time.monotonic()
        took_s = time.monotonic() - stopped_s
    assert loop.has_ended
    assert took_s < 2.0
    assert not is_alive(worker)
    [told] = world.facts("run.failed")
    assert told.body["failure"]["message"] == "The run was stopped by the user at step 'demand'."
    assert world.facts("version.registered")[-1].subject == str(champion)
    assert world.project.ledger.verify().is_intact
    assert Store(world.root / ".dvc" / "cache").verify() == []
    lines = [record.getMessage() for record in caplog.records if record.name == "kairos.loop"]
    assert lines[0].startswith("demand retrain: on ")
    assert "because of: age: the live version is 21 days old" in lines[0]
    assert lines[-1] == "The run was stopped by the user at step 'demand'."
    (world.root / "pid").unlink()
    world.clock.move_to(world.clock.now() + DAY)
    with Loop(Project(world.root, clock=world.clock)):
        begun(world)
    assert len(world.facts("retrain.decided")) == 2
