"""Readings: what the champion loses beside models that learn from what was known, on rows that none of them saw."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from kairos.app.controller import Controller
from kairos.app.packages import open_stored
from kairos.app.reading import learning, readings_of
from kairos.delivery.retrain.readings import Reading
from kairos.delivery.retrain.windows import TrainingWindow
from kairos.models.learn import Learn
from kairos.pipeline.engine.local import LocalEngine
from tests.app.test_controller import tick_daily
from tests.app.worlds import DAY, PIPELINE, SETTINGS, Stock, World

QUIET = SETTINGS + '\n[model.demand.retrain]\nmax_age = "300d"\ncost = 1e9\n'
"""A project that takes readings and never acts on them."""

JUMP = PIPELINE.replace(
    "users = LEVEL - 23.0",
    "users = LEVEL - 23.0 + 100.0 * (hours >= datetime(2012, 1, 23, tzinfo=hours.dtype.time_zone and UTC))",
).replace("from datetime import timedelta", "from datetime import UTC, datetime, timedelta")
"""On the 21st day the truth rises by 100."""


def place(root: Path, stock: Stock, engine: LocalEngine, pipeline: str = PIPELINE, settings: str = QUIET) -> World:
    """A project whose live version always says 260, where 200 is true."""
    world = World(root / "toy", stock, settings, pipeline, refit=True)
    world.project.engine = engine
    world.live(260.0)
    return world


def taken(world: World) -> list[Reading]:
    """Readings that could be taken."""
    return list(readings_of(world.facts("reading.taken")))


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory, stock: Stock, engine: LocalEngine) -> World:
    """After thirty quiet days; to be looked at."""
    world = place(tmp_path_factory.mktemp("month"), stock, engine)
    tick_daily(world, 30)
    return world


class Jumped(NamedTuple):
    """A world some weeks after the truth has risen; to be looked at."""

    world: World
    before: Mapping[str, Learn]
    """What a training was to learn from on the day before."""


@pytest.fixture(scope="module")
def jumped(tmp_path_factory: pytest.TempPathFactory, stock: Stock, engine: LocalEngine) -> Jumped:
    """It rises on the 21st of 44 days."""
    world = place(tmp_path_factory.mktemp("jumped"), stock, engine, JUMP)
    tick_daily(world, 20)
    before = learning(world.project, world.project.settings.model("demand"))
    tick_daily(world, 24)
    return Jumped(world, before)


def test_once_a_block_the_champion_is_set_beside_fresh_models(month: World) -> None:
    """Week by week, on hours whose truth is known; a fresh model has learnt from what was known before the week."""
    found = taken(month)
    ends = [one.window.end for one in found]
    assert [later - earlier for earlier, later in pairwise(ends)] == [7 * DAY] * 4
    assert all(one.rows == (24,) * 7 for one in found[1:])
    assert set(found[-1].tried) == {"all", "all, half-life 7d", "14d", "7d", "3.5d"}
    assert found[-1].champion_mean == pytest.approx(60.0, abs=1.0)
    assert found[-1].fresh_mean == pytest.approx(12.0, abs=1.0)
    assert found[-1].age_days > found[1].age_days


def test_days_that_the_champion_has_learnt_from_say_nothing_of_it(month: World) -> None:
    """Its losses are of the days after what it knows; no day is read twice."""
    package = open_stored(month.project.store, month.model().version(1).package)
    assert package.spec.train_until is not None
    for one in taken(month):
        first = one.window.end - len(one.champion) * DAY
        assert first > package.spec.train_until - DAY
    windows = [one.window for one in taken(month)]
    assert all(one.end <= other.start for one, other in pairwise(windows))


def test_a_block_is_read_once_whoever_looks(month: World, engine: LocalEngine) -> None:
    """Also by two controllers, and after a restart."""
    count = len(month.facts("reading.taken"))
    assert count
    other = month.again()
    other.project.engine = engine
    Controller(other.project).tick()
    Controller(month.project).tick()
    assert len(month.facts("reading.taken")) == count


def test_what_waiting_costs_leads_to_a_new_model(tmp_path: Path, stock: Stock, engine: LocalEngine) -> None:
    """Long before its age would: the decision names what was lost, and can be made again from its fact."""
    world = place(tmp_path, stock, engine, settings=QUIET.replace("cost = 1e9\n", ""))
    tick_daily(world, 20)
    decided = world.facts("retrain.decided")[0]
    assert decided.body["origin"] == "regret"
    assert "the live version lost 60" in decided.body["reasons"][0]
    assert decided.body["facts"]["new_rows"] >= 100


def test_after_a_change_the_newest_rows_teach_most(jumped: Jumped) -> None:
    """All of the history as long as nothing speaks against it; then a short window, and a training learns from that."""
    world = jumped.world
    assert jumped.before == {}
    chosen = learning(world.project, world.project.settings.model("demand"))["demand"]
    assert chosen.days is not None
    assert chosen.days <= 14
    losses = {name: sum(sums) for name, sums in taken(world)[-1].tried.items()}
    assert losses[TrainingWindow(days=chosen.days).name] < losses["all"]


def test_a_training_that_fails_costs_the_block_and_no_more(
    tmp_path: Path, stock: Stock, engine: LocalEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, not tried at every turn, and the loop goes on."""
    broken = PIPELINE.replace("return DummyRegressor()", 'raise ValueError("no luck today")')
    world = place(tmp_path, stock, engine, broken)
    with caplog.at_level(logging.WARNING):
        tick_daily(world, 16)
    facts = world.facts("reading.taken")
    assert all("could not be measured" in entry.body["failure"] for entry in facts)
    assert all("no luck today" in entry.body["failure"] for entry in facts)
    assert len(facts) == 3  # of 16 days and the block before them
    assert readings_of(facts) == ()


LOOKS = PIPELINE.replace("def demand(train: pl.DataFrame)", "def demand(train: pl.DataFrame, holdout: pl.DataFrame)")


@pytest.mark.parametrize(
    ("pipeline", "settings"),
    [(LOOKS, QUIET), (PIPELINE, QUIET.replace('time = "hour"\n', ""))],
    ids=["its step sees the rows held out", "no time"],
)
def test_what_cannot_be_measured_has_no_readings(
    tmp_path: Path, stock: Stock, engine: LocalEngine, pipeline: str, settings: str
) -> None:
    """Findings and age decide alone."""
    world = place(tmp_path, stock, engine, pipeline, settings)
    tick_daily(world, 16)
    assert world.facts("reading.taken") == []


def test_a_measurement_is_what_a_training_then_would_have_lost(jumped: Jumped) -> None:
    """The mean of what was known, over the truth of the week: computed by hand."""
    last = taken(jumped.world)[-1]
    hours = np.arange(np.datetime64("2011-11-01"), np.datetime64("2012-03-01"), np.timedelta64(1, "h"))
    temperature = (hours.astype("datetime64[s]").astype(int) // 3600 * 7 % 24).astype(float)
    users = 177.0 + 2.0 * (temperature * 5 % 24) + 100.0 * (hours >= np.datetime64("2012-01-23"))
    block = last.window
    known = np.datetime64((block.start - DAY).replace(tzinfo=None))
    learnt = users[(hours < known) & (hours >= known - np.timedelta64(28, "D"))]
    start, end = (np.datetime64(edge.replace(tzinfo=None)) for edge in (block.start, block.end))
    truth = users[(hours >= start) & (hours < end)]
    assert sum(last.tried["all"]) == pytest.approx(float(np.abs(truth - learnt.mean()).sum()))
