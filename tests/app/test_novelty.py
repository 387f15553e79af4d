"""A training that could bring nothing new is not begun, and another contract of the data asks for one."""

from __future__ import annotations

from pathlib import Path

from kairos.app.controller import Controller
from kairos.app.learning import Learning
from kairos.app.outlook import outlook
from kairos.app.plainly import plain_words
from kairos.app.recomputing import recompute
from kairos.app.retraining import retrain_facts
from kairos.app.telling import log_line
from kairos.app.training import recent_window, train
from kairos.app.watching import Watch
from kairos.pipeline.engine.local import LocalEngine
from tests.app.test_controller import RETRAIN
from tests.app.worlds import DAY, PIPELINE, Stock, World

STILL = PIPELINE.replace('@source(every="7d")\ndef rentals(window: Window)', "@source\ndef rentals()").replace(
    "    hours = ", '    window = Window.parse("2011-12-01..2011-12-28")\n    hours = '
)
"""Its source gives the same rows, whatever day it is."""


def world_of(tmp_path: Path, stock: Stock, engine: LocalEngine, pipeline: str) -> World:
    """A world whose live version was trained by its own pipeline."""
    world = World(tmp_path / "toy", stock, RETRAIN, pipeline)
    world.project.engine = engine
    [ref] = train(world.project, window=recent_window(world.project)).versions
    world.gate(ref)
    world.put(ref, "live")
    return world


AGE = "age: the live version is 30 days old, 20d is its time"


def test_nothing_is_trained_where_nothing_is_new(tmp_path: Path, stock: Stock, engine: LocalEngine) -> None:
    """The model is old, and its data are, to the byte, those it learnt from: the loop says so once, trains nothing."""
    world = world_of(tmp_path, stock, engine, STILL)
    model = world.project.settings.model("demand")
    world.clock.move_to(world.clock.now() + 30 * DAY)
    assert outlook(world.project, model).learning == Learning(reasons=(AGE,), waits=None, due=None)
    for _ in range(2):
        Controller(world.project).tick()
    [told] = world.facts("retrain.decided")
    held = "it would learn from the very data that were learnt from already, so nothing new can come of it"
    assert (told.body["action"], told.body["reasons"]) == ("wait", [AGE, f"waits: {held}"])
    assert len(world.facts("run.finished")) == 1
    assert outlook(world.project, model).learning == Learning(reasons=(AGE,), waits=held, due=None)
    assert log_line(told) == f"demand retrain: waits: {held} (asked for by {AGE})"
    assert "the very ones that a version has learnt from already" in str(plain_words(told))
    assert recompute(world.project.ledger, told.seq).outcome == "identical"
    code = world.root / "pipeline.py"
    code.write_text(code.read_text().replace("LEVEL = 200.0", "LEVEL = 201.0"))
    Controller(world.project).tick()
    _, told = world.facts("retrain.decided")
    assert (told.body["origin"], told.body["facts"]["same_data"]) == ("age", False)


def test_another_contract_of_the_data_asks_for_a_training(tmp_path: Path, stock: Stock, engine: LocalEngine) -> None:
    """Whatever the age; another body of a step does not, nor does a pipeline that cannot be read."""
    world = world_of(tmp_path, stock, engine, PIPELINE)
    watch, model = Watch(world.project, world.project.settings.model("demand")), world.project.settings.model("demand")

    def changed() -> bool:
        return retrain_facts(world.project, watch, model, world.model()).contract_changed

    code = world.root / "pipeline.py"
    assert not changed()
    code.write_text(PIPELINE.replace("LEVEL = 200.0", "LEVEL = 201.0"))
    assert not changed()
    code.write_text("def broken(")
    assert not changed()
    code.write_text(
        PIPELINE.replace('drop=["hour"]', 'drop=["hour", "temperature"]')
        .replace("    users = LEVEL", "    more = temperature * 2\n    users = LEVEL")
        .replace('"users": users})', '"more": more, "users": users})')
    )
    assert changed()
    world.clock.move_to(world.clock.now() + DAY)
    Controller(world.project).tick()
    [told] = world.facts("retrain.decided")
    assert (told.body["origin"], told.body["facts"]["contract_changed"]) == ("contract", True)
    assert told.body["reasons"] == ["contract: the data have another contract than the one it learnt under"]
    newest = world.facts("run.finished")[-1]
    assert newest.body["contracts"]["demand"] != world.facts("run.finished")[0].body["contracts"]["demand"]
