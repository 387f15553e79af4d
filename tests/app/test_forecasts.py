"""A forecast of several steps, from its table to live losses: each step is a target, with a truth in its own time."""

from __future__ import annotations

from pathlib import Path

import pytest

from kairos.app.explaining import explain
from kairos.app.judging import judge
from kairos.app.labelling import LabelsTaken, take_labels
from kairos.app.quality import quality_of
from kairos.app.serving import make_server
from kairos.app.training import train
from kairos.app.watching import Watch
from kairos.pipeline.engine.local import LocalEngine
from kairos.serving.app import make_app
from kairos.values import Window
from tests.app.worlds import DAY, SETTINGS, Stock, World
from tests.serving.toys import Client

STEPS = ("h1", "h2", "h3")
STEPPED = SETTINGS.replace('target = "users"', 'target = ["h1", "h2", "h3"]')
PIPELINE = """\
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.multioutput import MultiOutputRegressor

from kairos import Window, model, source, step

AHEAD = 3


class Split(NamedTuple):
    train: pl.DataFrame
    holdout: pl.DataFrame


@source(every="7d")
def rentals(window: Window) -> pl.DataFrame:
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", eager=True)
    random = np.random.default_rng(int(window.start.timestamp()) // 3600)
    swing = 100 + 80 * np.sin(hours.dt.hour().to_numpy() / 24 * 2 * np.pi)
    return pl.DataFrame({"hour": hours, "users": swing + random.normal(0, 5, len(hours))})


@step
def features(rentals: pl.DataFrame) -> pl.DataFrame:
    users = pl.col("users")
    lags = [users.shift(back).alias(f"lag{back}") for back in (1, 2, 24)]
    steps = [users.shift(-ahead).alias(f"h{ahead}") for ahead in range(1, AHEAD + 1)]
    return rentals.sort("hour").with_columns(*lags, *steps).drop_nulls()


@step
def split(features: pl.DataFrame) -> Split:
    first = features["hour"].max() - timedelta(days=7)
    hour = pl.col("hour")
    known = features.filter(hour < first - timedelta(hours=AHEAD))  # what it learns lies before the rows held out
    return Split(known, features.filter(hour >= first))


@model(target=["h1", "h2", "h3"], drop=["hour"])
def demand(train: pl.DataFrame) -> MultiOutputRegressor:
    return MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=30))
"""
WEEKS = Window.parse("2011-12-04..2011-12-31")


def test_a_forecast_is_judged_served_and_labelled_step_by_step(
    tmp_path: Path, stock: Stock, engine: LocalEngine
) -> None:
    """A run tells each step's loss, later steps are known later, and a day counts once all steps are."""
    world = World(tmp_path / "toy", stock, STEPPED, PIPELINE)
    project, model = world.project, world.project.settings.model("demand")
    project.engine = engine
    found = train(project, window=WEEKS)
    name = "demand.absolute_error"
    assert found.metrics[name] < 15.0  # the swing is 80 to either side, the noise 5
    assert {f"{name}.{step}" for step in STEPS} < found.metrics.keys()
    [version] = found.versions
    assert judge(project, version).decision.verdict == "pass"
    world.put(version, "live")
    row = {"users": 100.0, "lag1": 80.0, "lag2": 60.0, "lag24": 100.0}
    with Client(make_app(make_server(project))) as client:
        given = client.post("/predict/demand", json=[row | {"users": 90.0 + at} for at in range(10)]).json()
    answers = [each["prediction"] for each in given["predictions"]]
    ids = [each["prediction_id"] for each in given["predictions"]]
    assert tuple(answers[0]) == STEPS
    labels, state = tmp_path / "labels.csv", world.model().version(version.number)
    for number, step in enumerate(STEPS):
        world.clock.move_to(world.clock.now() + DAY)
        assert not quality_of(project, model, state, Watch(project, model)).days
        lines = [f"{name},{answer[step] + 3.0 * number}" for name, answer in zip(ids, answers, strict=True)]
        labels.write_text("\n".join([f"prediction_id,{step}", *lines]))
        assert take_labels(project, labels) == LabelsTaken(labels=10, new=10, joined=10)
    world.clock.move_to(world.clock.now() + 2 * DAY)
    [(_, loss, rows)] = quality_of(project, model, state, Watch(project, model)).days
    assert rows == 10
    assert loss == pytest.approx((0.0 + 3.0 + 6.0) / 3)
    assert explain(project, ids[0]).label == {step: answers[0][step] + 3.0 * at for at, step in enumerate(STEPS)}
