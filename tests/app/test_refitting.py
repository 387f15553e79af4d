"""A version that the loop made and that passed its gate learns once more, with the rows that it was judged on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from kairos.app.controller import Controller
from kairos.app.judging import judge
from kairos.app.packages import open_stored
from kairos.app.recomputing import recompute_all
from kairos.app.watching import Watch
from kairos.errors import UsageError
from kairos.gates.again import decide_again
from kairos.ledger import Entry, Fact
from kairos.ledger.sqlite import SqliteLedger
from kairos.models.package import Package
from kairos.pipeline.engine.local import LocalEngine
from kairos.values import VersionRef
from tests.app.test_controller import RETRAIN, tick_daily
from tests.app.worlds import DAY, HOUR, PIPELINE, START, Stock, World, kinds

GROWING = PIPELINE.replace("users = LEVEL - 23.0", "users = LEVEL - 23.0 + (hours.dt.epoch('s') - 1325462400) / 864000")
"""The truth grows by a tenth a day."""


def aging(root: Path, stock: Stock, engine: LocalEngine, pipeline: str = PIPELINE, settings: str = RETRAIN) -> World:
    """A project that renews its model after 20 days, and refits."""
    settings = settings.replace("max_age", 'block = "3650d"\nmax_age')  # only its age makes it learn
    world = World(root / "toy", stock, settings, pipeline, refit=True)
    world.project.engine = engine
    world.live(260.0)
    return world


def package(world: World, number: int) -> Package:
    """That version's."""
    return open_stored(world.project.store, world.model().version(number).package)


def test_a_version_that_passed_learns_the_newest_rows_as_well(
    tmp_path: Path, stock: Stock, engine: LocalEngine
) -> None:
    """The refit is the next version; it names its twin, which makes way, and stands on its proof."""
    world = aging(tmp_path, stock, engine, GROWING)
    tick_daily(world, 20)
    [decided] = world.facts("retrain.decided")
    told = kinds(world.project.ledger.read(after=decided.seq))
    once = ["run.finished", "version.registered", "gate.decided"]
    assert told == [*once, *once, "stage.changed", "stage.changed"]
    assert world.stages() == {1: "live", 2: "retired", 3: "shadow"}
    refit, twin = world.model().version(3), world.model().version(2)
    assert (refit.twin, refit.origin, refit.verdict, twin.twin) == (2, "age", "pass", None)
    before, after = package(world, 2).spec, package(world, 3).spec
    assert (before.train_rows, after.train_rows) == (21 * 24 - 1, 28 * 24)
    assert before.train_until is not None
    assert after.train_until == START + 19 * DAY - HOUR
    run = world.facts("run.finished")[-1].body
    assert run["learn"] == {"demand": {"days": None, "half_life_days": None, "artifact": "split.holdout"}}
    gate = world.facts("gate.decided")[-1].body
    assert gate["sentence"].startswith("It is demand@2, learnt again with 7.04 more days; its twin demand@2 passed: ")
    assert world.facts("stage.changed")[-2].body["reasons"] == [
        "gives way to demand@3, which learnt from newer rows as well"
    ]


def test_its_decisions_are_made_again_from_the_ledger(tmp_path: Path, stock: Stock, engine: LocalEngine) -> None:
    """To the byte; and a refit whose numbers were other ones would have been refused."""
    world = aging(tmp_path, stock, engine, GROWING)
    tick_daily(world, 20)
    gate = world.facts("gate.decided")[-1]
    assert {one.outcome for one in recompute_all(world.project.ledger) if one.seq == gate.seq} == {"identical"}
    again = decide_again(gate.body)
    assert again.is_same
    assert again.decision.verdict == "pass"
    worse = {**gate.body, "evidence": {**gate.body["evidence"], "own": gate.body["evidence"]["twins"] * 1.5}}
    assert decide_again(worse).decision.verdict == "fail"
    stale = {**gate.body, "evidence": {**gate.body["evidence"], "is_same_champion": False}}
    assert "is live no more" in decide_again(stale).decision.sentence


SPOILT = PIPELINE.replace(
    "return DummyRegressor()",
    'return DummyRegressor() if len(train) < 600 else DummyRegressor(strategy="constant", constant=900.0)',
)
"""More rows make this step worse."""


def test_a_refit_that_is_worse_than_its_twin_is_rejected(tmp_path: Path, stock: Stock, engine: LocalEngine) -> None:
    """The twin goes on in its place, and no failure is counted."""
    world = aging(tmp_path, stock, engine, SPOILT)
    tick_daily(world, 20)
    assert world.stages() == {1: "live", 2: "shadow", 3: "rejected"}
    assert "got worse by it" in world.facts("gate.decided")[-1].body["sentence"]
    assert world.model().failures_in_a_row == 0


BROKEN = PIPELINE.replace(
    "return DummyRegressor()", 'if len(train) > 600: raise ValueError("too many")\n    return DummyRegressor()'
)


def test_a_refit_that_cannot_be_made_holds_nothing_up(
    tmp_path: Path, stock: Stock, engine: LocalEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """The version that passed goes on; the failed run is a fact."""
    world = aging(tmp_path, stock, engine, BROKEN)
    with caplog.at_level(logging.WARNING):
        tick_daily(world, 20)
    assert world.stages() == {1: "live", 2: "shadow"}
    assert [entry.kind for entry in world.facts("run.finished", "run.failed")][-1] == "run.failed"


RANDOM = PIPELINE.replace('pl.col("hour") >= pl.col("hour").max() - timedelta(days=7)', 'pl.col("temperature") > 20.0')
LOOKS = PIPELINE.replace("def demand(train: pl.DataFrame)", "def demand(train: pl.DataFrame, holdout: pl.DataFrame)")


@pytest.mark.parametrize("pipeline", [RANDOM, LOOKS], ids=["not later", "its step sees them"])
def test_where_the_rows_held_out_teach_nothing_new_there_is_no_refit(
    tmp_path: Path, stock: Stock, engine: LocalEngine, pipeline: str
) -> None:
    """A split by chance, or a step that looks at the holdout itself."""
    world = aging(tmp_path, stock, engine, pipeline)
    tick_daily(world, 20)
    assert 3 not in world.stages()


def test_it_can_be_switched_off(tmp_path: Path, stock: Stock, engine: LocalEngine) -> None:
    """By the settings."""
    world = aging(tmp_path, stock, engine, settings=RETRAIN.replace("max_age", "refit = false\nmax_age"))
    tick_daily(world, 20)
    assert world.stages() == {1: "live", 2: "shadow"}


def test_a_refit_is_watched_by_what_its_twin_lost_on_rows_it_had_not_seen(
    tmp_path: Path, stock: Stock, engine: LocalEngine
) -> None:
    """Its own losses on these rows would promise too much."""
    world = aging(tmp_path, stock, engine, GROWING)
    tick_daily(world, 20)
    watch = Watch(world.project, world.project.settings.model("demand"))
    twin, refit = (watch.reference(world.model().version(number))[1] for number in (2, 3))
    assert refit is not None
    assert refit == twin


def test_a_refit_has_no_gate_of_its_own(tmp_path: Path, stock: Stock, engine: LocalEngine) -> None:
    """Who asks for one is told of its twin's."""
    world = aging(tmp_path, stock, engine)
    tick_daily(world, 20)
    with pytest.raises(UsageError, match="has seen them all") as caught:
        judge(world.project, VersionRef("demand", 3))
    assert caught.value.hint == "Type: kairos gate demand@2"


class Killed(SqliteLedger):
    """A ledger of a process that ends before it writes one more than so many times."""

    def __init__(self, path: Path, writes: int) -> None:
        super().__init__(path)
        self._left = writes

    def append_all(
        self, facts: Sequence[Fact], *, actor: str, at: datetime, expect: int | None = None
    ) -> tuple[Entry, ...]:
        """As a ledger does, while it lives."""
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return super().append_all(facts, actor=actor, at=at, expect=expect)


@pytest.mark.parametrize("writes", range(7))
def test_a_loop_that_is_stopped_between_two_facts_goes_on(
    tmp_path: Path, stock: Stock, engine: LocalEngine, writes: int
) -> None:
    """Wherever it was, the next turns end where an undisturbed one does: one refit, none forgotten, none twice."""
    world = aging(tmp_path, stock, engine, GROWING)
    tick_daily(world, 19)
    world.clock.move_to(world.clock.now() + DAY)
    alive, world.project.ledger = world.project.ledger, Killed(world.project.home / "ledger.db", writes)
    with pytest.raises(KeyboardInterrupt):
        Controller(world.project).tick()
    world.project.ledger = alive
    Controller(world.project).tick()
    tick_daily(world, 1)  # a training that was lost is tried again after a pause
    assert world.stages() == {1: "live", 2: "retired", 3: "shadow"}
    assert kinds(world.facts("version.registered")) == ["version.registered"] * 3
    assert len(world.facts("retrain.decided")) == (2 if writes == 1 else 1)
