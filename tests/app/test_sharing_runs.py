"""A retraining of the loop beside a run that somebody started: the model learns once."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from kairos.app.controller import Controller
from kairos.app.project import Project
from kairos.app.training import recent_window, train
from kairos.pipeline.engine.local import LocalEngine
from tests.app.test_controller import RETRAIN
from tests.app.worlds import DAY, PIPELINE, Stock, World

SLOW = PIPELINE.replace(
    "    return DummyRegressor()",
    """    import time
    from pathlib import Path
    with Path("calls").open("a") as calls: calls.write("called\\n")
    while not Path("go on").exists(): time.sleep(0.01)
    return DummyRegressor()""",
)


def test_a_retraining_waits_for_a_run_that_learns_the_same(
    tmp_path_factory: pytest.TempPathFactory, stock: Stock, engine: LocalEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """It logs for whom, reuses the package, and registers nothing twice."""
    root = tmp_path_factory.mktemp("toy") / "toy"
    world = World(root, stock, RETRAIN, SLOW)
    world.project.engine = engine
    world.live(260.0)
    world.clock.move_to(world.clock.now() + 20 * DAY)
    window = recent_window(world.project)

    def beside() -> None:
        with Project(root, clock=world.clock, workers=1) as project:
            train(project, window=window)

    class GoOn(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "waits for" in record.getMessage():
                (root / "go on").touch()

    run, log, handler = threading.Thread(target=beside), logging.getLogger("kairos.loop"), GoOn()
    log.addHandler(handler)
    caplog.set_level(logging.INFO, "kairos.loop")
    run.start()
    try:
        while not (root / "calls").exists():
            time.sleep(0.01)
        Controller(world.project).tick()
    finally:
        (root / "go on").touch()
        run.join()
        log.removeHandler(handler)
    assert (root / "calls").read_text() == "called\n"
    assert [each for each in caplog.messages if each.startswith("step demand waits for `")]
    assert len(world.facts("run.finished")) == 3  # of the one that is live, and of both
    assert len(world.facts("version.registered")) == 2  # the one that is live, and a new one
