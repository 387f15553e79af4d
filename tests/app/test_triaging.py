"""What an alarm asks for, in the loop: learning stops where something may be broken, and a person is told once."""

from __future__ import annotations

from pathlib import Path

import pytest

from kairos.app.causes import find_why
from kairos.app.controller import Controller
from kairos.app.deploying import deploy
from kairos.app.outlook import outlook
from kairos.app.plainly import plain_words
from kairos.app.recomputing import recompute_all
from kairos.app.telling import decision_line
from kairos.app.watching import Watch
from kairos.delivery.rollout import StageStep
from kairos.pipeline.engine.local import LocalEngine
from kairos.web.live import status_page
from tests.app.test_controller import RETRAIN, find_harm, tick_daily
from tests.app.worlds import PIPELINE, Stock, World


@pytest.fixture
def world(tmp_path: Path, stock: Stock, engine: LocalEngine) -> World:
    """A project whose loop may train."""
    world = World(tmp_path / "toy", stock, RETRAIN)
    world.project.engine = engine
    return world


def actions(world: World) -> list[str]:
    """What was decided about learning."""
    return [entry.body["action"] for entry in world.facts("retrain.decided")]


def test_an_input_that_went_missing_stops_the_learning_and_is_told_once(world: World) -> None:
    """Until it is back: then the alarm leads to a version. Status, page, why and the list of decisions say so."""
    ref = world.live(200.0)
    for _ in range(9):
        world.day((ref, 200.0), truth=300.0, inputs={"temperature": None})
        Controller(world.project).tick()
    assert actions(world) == ["investigate"]
    [told] = world.facts("retrain.decided")
    assert told.body["facts"]["faults"] == ["input 'temperature' is missing in more rows than in training"]
    assert told.body["reasons"][-1] == "fault: input 'temperature' is missing in more rows than in training"
    assert {one.outcome for one in recompute_all(world.project.ledger) if one.seq == told.seq} == {"identical"}
    assert "nothing is learnt until somebody has looked: alarm: " in decision_line(told).sentence
    found = outlook(world.project, world.project.settings.model("demand"))
    assert found.trouble == plain_words(told)
    assert "something may be broken: input &#39;temperature&#39; is missing" in status_page(world.project)
    assert find_why(world.project, world.project.settings.model("demand")).trouble == found.trouble
    for _ in range(9):
        world.day((ref, 200.0), truth=300.0, inputs={"temperature": 15.0})
        Controller(world.project).tick()
    assert actions(world)[:2] == ["investigate", "recalibrate"]
    assert outlook(world.project, world.project.settings.model("demand")).trouble is None


def test_a_wrong_split_stops_the_learning_while_it_lasts(world: World) -> None:
    """What is learnt from such requests would be wrong, whatever asks for it."""
    ref, other = world.live(260.0), world.passed(205.0)
    deploy(world.project, other, to=StageStep.parse("shadow"))
    find_harm(world, ref)
    find_harm(world, other, "request_split")
    tick_daily(world, 3)
    assert actions(world) == ["investigate"]
    told = world.facts("retrain.decided")[0].body["facts"]
    assert (told["faults"], told["advice"]) == (["requests do not reach demand@2 as designed"], "retrain")


def test_data_that_the_pipeline_refuses_are_told_and_tried_again(
    tmp_path: Path, stock: Stock, engine: LocalEngine
) -> None:
    """Somebody has to look, and nothing waits for her where a later try goes well."""
    holes = PIPELINE.replace('"users": users}', '"users": [None] + users.to_list()[1:]}')
    world = World(tmp_path / "toy", stock, RETRAIN, holes)
    world.project.engine = engine
    world.live(260.0)
    tick_daily(world, 26)
    assert set(actions(world)) == {"investigate", "retrain"}
    assert actions(world).count("investigate") == 1
    told = next(e for e in world.facts("retrain.decided") if e.body["action"] == "investigate")
    assert told.body["facts"]["faults"] == ["step 'demand' refused its data"]
    (world.root / "pipeline.py").write_text(PIPELINE)
    tick_daily(world, 8)
    assert world.stages() == {1: "live", 2: "shadow"}


def test_the_log_is_read_for_it_only_where_an_alarm_would_lead_to_a_training(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a day at most; neither without an alarm nor while something else holds the training back."""
    asked: list[int] = []
    triage = Watch._triage
    monkeypatch.setattr(Watch, "_triage", lambda self, ref: asked.append(1) or triage(self, ref))  # type: ignore[func-returns-value]
    ref = world.live(260.0)
    tick_daily(world, 3)
    assert not asked
    find_harm(world, ref)
    tick_daily(world, 6)
    assert len(asked) == 1
    assert actions(world) == ["retrain"]
