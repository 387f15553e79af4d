"""The quick look: counts alone lead back, and forward only with what the loop has gathered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kairos.app.controller import Controller
from kairos.app.deploying import deploy
from kairos.app.evidence import Gathered
from kairos.app.glancing import Glance
from kairos.delivery.rollout import StageStep
from kairos.delivery.rollout.deciding import decide_again
from kairos.ledger import Entry
from kairos.store.predictions import Prediction, PredictionLog
from kairos.values import VersionRef
from tests.app.worlds import HOUR, SETTINGS, Stock, World, kinds

DAY_FRESH = timedelta(days=1)


def canary(world: World) -> tuple[VersionRef, VersionRef]:
    """A champion, and a challenger that answers a quarter."""
    champion, challenger = world.live(205.0), world.passed(200.0)
    deploy(world.project, challenger, to=StageStep.parse("canary:25%"), override="quick")
    return champion, challenger


def minute(world: World, *versions: tuple[VersionRef, dict[str, Any]], requests: int = 20) -> None:
    """A minute with requests, to which each version gives this; every fourth was the challenger's to answer."""
    start = world.clock.now()
    rows: list[Prediction] = []
    for number in range(requests):
        at = start + number * timedelta(seconds=1)
        asked = 1 if number % 4 == 0 and len(versions) > 1 else 0
        for place, (ref, given) in enumerate(versions):
            share = world.model().version(versions[-1][0].number).share
            facts = {"raw": 200.0, "output": 200.0, "answered": place == asked, **given}
            rows.append(
                Prediction(
                    id=f"{ref.model}/{at.isoformat()}",
                    at=at,
                    model=ref.model,
                    version=ref.number,
                    role="champion" if place == 0 else "challenger",
                    share=share,
                    inputs={},
                    latency_us=100,
                    **facts,
                )
            )
    world.keep(rows)
    world.clock.move_to(start + timedelta(minutes=1))


FAILED: dict[str, Any] = {"raw": None, "output": None, "error": "ValueError", "answered": False, "action": "fallback"}


def test_bad_events_lead_back_at_the_next_glance_and_the_log_is_not_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty failed requests within a minute; no label, no tick, no row of the log is needed."""
    champion, challenger = canary(world)
    monkeypatch.setattr(PredictionLog, "predictions", lambda *args, **kwargs: pytest.fail("the log was read"))
    told: list[Entry] = []
    glance = Glance(world.project, Gathered(), fresh_for=DAY_FRESH, on_entry=told.append)
    minute(world, (champion, {}), (challenger, {}))
    glance.look()
    assert world.stages()[2] == "canary"
    minute(world, (champion, {}), (challenger, FAILED))
    glance.look()
    assert world.stages() == {1: "live", 2: "rolled_back"}
    [*_, back] = world.facts("stage.changed")
    assert "too many errors" in back.body["reasons"][0]
    again = decide_again(back.body["question"], back.body["policy"], back.body["evidence"])
    assert [again.sentence] == back.body["reasons"]
    assert [entry.seq for entry in told] == [back.seq]
    glance.look()
    assert world.facts("stage.changed")[-1] == back


def test_in_a_bake_a_glance_leads_back_to_the_former_champion(world: World) -> None:
    """The version that is live fails where the one before it does not."""
    former, bad = world.live(205.0), world.live(200.0)
    glance = Glance(world.project, Gathered(), fresh_for=DAY_FRESH)
    minute(world, (bad, FAILED), (former, {}))
    glance.look()
    assert world.stages() == {1: "live", 2: "rolled_back"}


def proven(world: World) -> tuple[Controller, Gathered, Sequence[tuple[VersionRef, float]]]:
    """A challenger in shadow that is about to be proven better; what the loop gathers is shared."""
    champion, challenger = world.live(260.0), world.passed(200.0)
    deploy(world.project, challenger)
    gathered = Gathered()
    return Controller(world.project, gathered=gathered), gathered, ((champion, 260.0), (challenger, 200.0))


def test_without_what_the_loop_gathered_nothing_goes_forward(tmp_path: Path, stock: Stock) -> None:
    """A glance alone knows no labels: neither a step forward nor a hold is its to take."""
    world = World(tmp_path / "toy", stock, SETTINGS.replace('bake = "3d"', 'bake = "3d"\nmax_wait = "5d"'))
    _, _, says = proven(world)
    glance = Glance(world.project, Gathered(), fresh_for=DAY_FRESH)
    for _ in range(8):
        world.day(*says)
        glance.look()
    assert world.stages()[2] == "shadow"
    assert not world.model().version(2).is_overdue


def test_what_the_loop_gathered_lets_a_glance_go_forward_while_it_is_fresh(tmp_path: Path, stock: Stock) -> None:
    """In the tick labels were there but not the time in the stage; an hour later a glance takes the step."""
    settings = SETTINGS.replace('bake = "3d"', 'bake = "3d"\nmin_dwell = "193h"')
    for late, stage in ((HOUR, "canary"), (30 * HOUR, "shadow")):
        world = World(tmp_path / stage, stock, settings)
        controller, gathered, says = proven(world)
        for _ in range(8):
            world.day(*says)
            controller.tick()
        assert world.stages()[2] == "shadow"
        world.clock.move_to(world.clock.now() + late)
        Glance(world.project, gathered, fresh_for=DAY_FRESH).look()
        assert world.stages()[2] == stage


def test_a_glance_at_nothing_on_trial_reads_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is most of the time."""
    world.live(200.0)
    monkeypatch.setattr(type(world.project.counts), "processes", lambda self: pytest.fail("counts were read"))
    Glance(world.project, Gathered(), fresh_for=DAY_FRESH).look()


def test_whoever_was_faster_has_decided(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger moved between look and decision: nothing is written, and nothing is an error."""
    champion, challenger = canary(world)
    minute(world, (champion, {}), (challenger, FAILED))
    counts = type(world.project.counts)
    read = counts.processes

    def processes(self: Any) -> Any:
        world.project.tell("note", subject="demand", body={})
        return read(self)

    monkeypatch.setattr(counts, "processes", processes)
    Glance(world.project, Gathered(), fresh_for=DAY_FRESH).look()
    assert kinds(world.facts())[-1] == "note"
    monkeypatch.undo()
    Glance(world.project, Gathered(), fresh_for=DAY_FRESH).look()
    assert world.stages()[2] == "rolled_back"
