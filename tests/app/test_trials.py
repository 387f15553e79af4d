"""What becomes of a version on trial: facts that can be decided again, and a hold that waits for a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from kairos.app.controller import Controller
from kairos.app.deploying import deploy, rollback
from kairos.app.retraining import settle
from kairos.delivery.rollout import StageStep
from kairos.delivery.rollout.deciding import decide_again
from kairos.errors import TransitionRefused
from tests.app.worlds import DAY, SETTINGS, Stock, World

SLOW = SETTINGS.replace('bake = "3d"', 'bake = "3d"\nmax_wait = "5d"\nharm_margin = "0.1%"')


def wait_too_long(root: Path, stock: Stock) -> tuple[World, Controller]:
    """A challenger about as good as the champion, which nobody can tell within five days."""
    world = World(root, stock, SLOW)
    champion, challenger = world.live(200.0), world.passed(205.0)
    deploy(world.project, challenger)
    controller = Controller(world.project)
    for _ in range(5):
        assert not world.model().version(2).is_overdue
        world.day((champion, 200.0), (challenger, 205.0))
        controller.tick()
    return world, controller


def test_what_is_not_decided_in_time_waits_in_shadow_for_a_person(tmp_path: Path, stock: Stock) -> None:
    """Hold for as long as ``max_wait``, and then until somebody says so: never promoted in silence, and told once."""
    world, controller = wait_too_long(tmp_path / "toy", stock)
    [*_, held] = world.facts("stage.changed")
    assert (held.body["to"], held.body["share"], held.body["verdict"]) == ("shadow", 0.0, "hold")
    assert "not decided within 5d, waits for a person" in held.body["reasons"][0]
    assert world.model().version(2).is_overdue
    champion, challenger = world.model().version(1).ref, world.model().version(2).ref
    for _ in range(3):
        world.day((champion, 260.0), (challenger, 200.0))  # by now it is clearly better
        controller.tick()
    assert world.facts("stage.changed")[-1] == held


def test_from_canary_the_way_to_wait_leads_back_to_shadow(tmp_path: Path, stock: Stock) -> None:
    """While a person makes up her mind nobody is answered by what is not proven."""
    world = World(tmp_path / "toy", stock, SLOW)
    champion, challenger = world.live(200.0), world.passed(205.0)
    deploy(world.project, challenger, to=StageStep.parse("canary:25%"), override="try it on some")
    controller = Controller(world.project)
    for _ in range(5):
        assert world.stages()[2] == "canary"
        world.day((champion, 200.0), (challenger, 205.0), answered_by=dict.fromkeys(range(0, 24, 4), 1))
        controller.tick()
    [*_, held] = world.facts("stage.changed")
    assert (held.body["from"], held.body["to"], held.body["share"]) == ("canary", "shadow", 0.0)
    assert held.body["evidence"]["asked"] == {"0.25": [30, 90]}


def test_a_person_takes_it_further_or_ends_it(tmp_path: Path, stock: Stock) -> None:
    """With a reason it goes on from where she says, with a time of its own; without one it may not."""
    world, controller = wait_too_long(tmp_path / "toy", stock)
    ref = world.model().version(2).ref
    with pytest.raises(TransitionRefused):
        deploy(world.project, ref)
    deploy(world.project, ref, to=StageStep.parse("canary:25%"), override="looked at it")
    assert not world.model().version(2).is_overdue
    controller.tick()
    assert world.stages()[2] == "canary"
    rollback(world.project, "demand", reason="changed her mind")
    assert world.stages()[2] == "rolled_back"


def test_harm_shown_while_it_waits_ends_it(tmp_path: Path, stock: Stock) -> None:
    """Waiting for a person is no shelter."""
    world, controller = wait_too_long(tmp_path / "toy", stock)
    champion, challenger = world.model().version(1).ref, world.model().version(2).ref
    for _ in range(8):
        world.day((champion, 200.0), (challenger, 260.0))
        controller.tick()
    assert world.stages()[2] == "rolled_back"


def test_a_newer_version_takes_its_place(tmp_path: Path, stock: Stock) -> None:
    """What waits for a person does not stop the loop."""
    world, _ = wait_too_long(tmp_path / "toy", stock)
    world.passed(200.0, origin="age")
    settle(world.project, world.project.settings.model("demand"), announce=lambda: None)
    assert world.stages() == {1: "live", 2: "retired", 3: "shadow"}


def test_every_change_of_stage_by_the_loop_can_be_decided_again(tmp_path: Path, stock: Stock) -> None:
    """From shadow to live and through the bake: each fact has what it was decided from, and two plain sentences."""
    world = World(tmp_path / "toy", stock)
    bad, good = world.live(260.0), world.passed(200.0)
    deploy(world.project, good)
    controller = Controller(world.project)
    while world.model().previous is not None or world.stages()[2] != "live":
        mine = range(0, 24, 4) if world.stages()[2] == "canary" else ()
        world.day((bad, 260.0), (good, 200.0), answered_by=dict.fromkeys(mine, 1))
        controller.tick()
    decided = [entry.body for entry in world.facts("stage.changed") if entry.body.get("question")]
    assert [body["to"] for body in decided] == ["canary", "live", "retired"]
    for body in decided:
        again = decide_again(body["question"], body["policy"], body["evidence"])
        assert (again.verdict, [again.sentence], list(again.words)) == (body["verdict"], body["reasons"], body["words"])
    assert "The new version may answer every request" in decided[1]["words"][0]
    assert world.clock.now() - world.model().version(2).since >= 3 * DAY
