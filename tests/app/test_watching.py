"""What the watch of one model writes down beside its findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from kairos.app.telling import decision_line
from kairos.app.watching import Watch
from tests.app.worlds import DAY, SETTINGS, Stock, World, kinds


@pytest.fixture
def learning(tmp_path: Path, stock: Stock) -> World:
    """A project that learns how late labels are, and takes two days for the time being."""
    settings = SETTINGS.replace('"1d"', '"2d"') + '[model.demand.monitor]\nmatures_after = "auto"\n'
    return World(tmp_path / "toy", stock, settings)


def watch_of(world: World) -> Watch:
    return Watch(world.project, world.project.settings.model("demand"))


def test_when_a_day_counts_is_learnt_and_written_down_once(learning: World) -> None:
    """Labels come within a day of their day's end. A restart reads it from the ledger; nothing is told twice."""
    ref = learning.live()
    watch = watch_of(learning)
    assert watch.maturity().basis == "fallback"
    for _ in range(12):
        learning.day((ref, 200.0))
        watch.look()
    (fact,) = learning.facts("maturity.learnt")
    assert watch.maturity().matures_after <= DAY < 2 * DAY
    assert watch.maturity().basis == "learnt"
    assert watch_of(learning.again()).maturity() == watch.maturity()
    assert kinds(learning.facts()).count("maturity.learnt") == 1
    assert "A day counts" in decision_line(fact).sentence


def test_the_same_labels_are_looked_at_after_a_restart(learning: World) -> None:
    """Also where what is learnt has changed meanwhile which days count."""
    ref = learning.live()
    watch = watch_of(learning)
    some = 0
    for day in range(20):
        learning.day((ref, 200.0), truth=200.0 if day < 5 else 400.0)
        found = watch.look()
        assert watch_of(learning.again()).look() == found
        some += len(found)
    assert some > 0


def test_what_is_set_is_not_written_down(world: World) -> None:
    """The settings say it."""
    ref = world.live()
    for _ in range(4):
        world.day((ref, 200.0))
        watch_of(world).look()
    assert watch_of(world).maturity().basis == "set"
    assert world.facts("maturity.learnt") == []


def test_a_bias_is_triaged_from_the_log(world: World) -> None:
    """A constant that is too low by half ranks nothing, and did not before: its level is what is wrong."""
    ref = world.live()
    watch = watch_of(world)
    assert watch.triage().advice == "retrain"
    for _ in range(8):
        world.day((ref, 200.0), truth=400.0)
    found = watch.triage()
    assert found.advice == "recalibrate"
    assert "too low by 197, alike" in found.reasons[0]
    assert watch_of(world.again()).triage() == found
