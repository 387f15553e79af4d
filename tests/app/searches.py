"""A project that is quick to search: a few weeks of hours, and a model of one number."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kairos.app.project import Project
from kairos.app.tuning import Event, Tuned, tune
from kairos.clock import ReplayClock
from kairos.pipeline.engine.local import LocalEngine
from kairos.values import Window, parse_moment

__all__ = ["PIPELINE", "SETTINGS", "WINDOW", "search", "write"]

WINDOW = "2011-01-03..2011-02-06"
SETTINGS = f"""
[project]
name = "toy"
window = "{WINDOW}"

[model.demand]
holdout = "split.holdout"
target = "users"
time = "hour"
loss = "absolute_error"
"""
PIPELINE = """
from datetime import timedelta
from typing import Annotated, Literal, NamedTuple

import numpy as np
import polars as pl
from sklearn.dummy import DummyRegressor

from kairos import Between, Window, model, report, source, step


class Split(NamedTuple):
    train: pl.DataFrame
    holdout: pl.DataFrame


@source(settles_after="1d")
def rentals(window: Window) -> pl.DataFrame:
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", eager=True)
    noise = np.random.default_rng(1).normal(size=100_000)
    at = hours.dt.epoch("s").to_numpy() // 3600
    return pl.DataFrame({"hour": hours, "x": noise[at % 99_991], "users": 100 + 10 * noise[at % 99_989]})


@step
def split(rentals: pl.DataFrame, *, holdout_days: int = 7) -> Split:
    cut = rentals["hour"].max() - timedelta(days=holdout_days)
    return Split(rentals.filter(pl.col("hour") <= cut), rentals.filter(pl.col("hour") > cut))


@model(target="users", drop=["hour"])
def demand(
    train: pl.DataFrame, *, level: Annotated[float, Between(50.0, 150.0)] = 120.0, way: Literal["a", "b"] = "a"
) -> DummyRegressor:
    return DummyRegressor(strategy="constant", constant=level)
"""


def write(root: Path, pipeline: str = PIPELINE, settings: str = SETTINGS) -> Path:
    """The project in its folder."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "kairos.toml").write_text(settings)
    (root / "pipeline.py").write_text(textwrap.dedent(pipeline))
    return root


def search(
    root: Path, engine: LocalEngine, *, trials: int = 4, events: list[Event] | None = None, **options: Any
) -> Tuned:
    """Searches in this process, on workers that are there already."""
    options = {"spaces": ("demand.level",), "window": WINDOW, **options}
    with Project(root, clock=ReplayClock(parse_moment(options.pop("at", "2011-03-01"))), actor="tester") as project:
        project.engine = engine
        text = options.pop("window")
        window = None if text is None else Window.parse(text)
        note = (lambda event: None) if events is None else events.append
        return tune(project, "demand", trials=trials, window=window, on_event=note, **options)


def values(tuned: Tuned) -> Mapping[int, float | None]:
    """By trial, what it came to."""
    return {trial.number: trial.value for trial in tuned.trials}
