"""Leakage between a training table and a holdout: what is found, how sure, and what is let be."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from kairos import Window
from kairos.errors import DataRefused
from kairos.examples.bikes import pipeline as bikes
from kairos.pipeline.leaks import LeakFinding, find_leaks

HALF_YEAR = Window.parse("2011-01-01..2011-06-30")


def look(parts: bikes.Split, **options: object) -> dict[str, LeakFinding]:
    outside = {"users", "hour", *options.pop("drop", ())}  # type: ignore[misc]
    features = [name for name in parts.train.columns if name not in outside]
    found = find_leaks(parts.train, parts.holdout, target="users", features=features, time="hour", **options)  # type: ignore[arg-type]
    return {finding.name: finding for finding in found}


@pytest.fixture(scope="module")
def hours() -> pl.DataFrame:
    return bikes.features(bikes.rentals(HALF_YEAR))


def test_the_bikes_example_is_clean(hours: pl.DataFrame) -> None:
    """Split by time, without casual and registered: nothing to complain of."""
    assert look(bikes.split(hours)) == {}


def test_columns_that_add_up_to_the_target_are_found() -> None:
    """``casual`` and ``registered`` are known only when the hour is over."""
    parts = bikes.split(bikes.features(bikes.rentals(HALF_YEAR), keep_parts=True))
    found = look(parts)["target:casual+registered"]
    assert found.sure == "certain"
    assert found.rows == parts.train.height
    assert "casual + registered = target" in found.what
    assert "drop=['casual', 'registered']" in found.advice


def test_a_split_by_chance_overlaps_in_time(hours: pl.DataFrame) -> None:
    """The model has seen the hours around those that it is judged on."""
    mixed = hours.sample(fraction=1.0, shuffle=True, seed=0)
    found = look(bikes.Split(train=mixed[:-300], holdout=mixed[-300:]))
    assert found["times"].sure == "likely"
    assert found["times"].rows >= 299
    assert set(found) == {"times"}


def test_rows_on_both_sides_are_found(hours: pl.DataFrame) -> None:
    """The very same row, and the same features and target under another hour."""
    parts = bikes.split(hours)
    again = bikes.Split(train=pl.concat([parts.train, parts.holdout[:7]]), holdout=parts.holdout)
    assert look(again)["duplicates"].rows == 7
    later = parts.train[-200:].with_columns(pl.col("hour") + pl.duration(days=30))
    found = look(bikes.Split(train=parts.train, holdout=pl.concat([parts.holdout, later])))
    assert set(found) == {"repeats"}
    assert found["repeats"].sure == "likely"
    assert found["repeats"].rows >= 200


def test_entities_are_looked_at_where_the_project_says_so(hours: pl.DataFrame) -> None:
    """A season on both sides is no leak until somebody says that it is one."""
    parts = bikes.split(hours)
    found = look(parts, apart=["weekday"])
    assert set(found) == {"apart:weekday"}
    assert found["apart:weekday"].rows == parts.holdout.height


@pytest.mark.parametrize(
    ("leak", "sure"),
    [
        (pl.col("users"), "certain"),
        (pl.col("users") * 2 + 1, "likely"),
        (pl.col("users").log1p(), "certain"),
        (pl.col("users").cast(pl.String), "certain"),
        (pl.col("users") + pl.col("temperature_c") * 0.5, "possible"),
    ],
    ids=["copy", "line", "order", "text", "near"],
)
def test_disguises_of_the_target_are_found(hours: pl.DataFrame, leak: pl.Expr, sure: str) -> None:
    """Copies, multiples, other scales, other types, and what comes near."""
    found = look(bikes.split(hours.with_columns(later=leak)))
    assert set(found) == {"target:later"}
    assert found["target:later"].sure == sure


def test_dropped_columns_are_no_features(hours: pl.DataFrame) -> None:
    """What the model never sees tells it nothing."""
    assert look(bikes.split(hours.with_columns(later=pl.col("users"))), drop=("later",)) == {}


@pytest.mark.parametrize("seed", range(20))
def test_honest_features_are_let_be(seed: int) -> None:
    """Noise, categories, identifiers and a good feature (correlation 0.95) with targets of two kinds: no finding."""
    noise = np.random.default_rng(seed)
    x = noise.normal(size=600)
    table = pl.DataFrame(
        {"id": np.arange(600), "x": x, "level": noise.choice(list("abcd"), 600), "gap": np.where(x > 1, np.nan, x)}
    )
    for target in (x + noise.normal(scale=0.33, size=600), noise.random(600) < 0.1):
        rows = table.with_columns(y=pl.Series(target))
        features = ["id", "x", "level", "gap"]
        assert find_leaks(rows[:500], rows[500:], target="y", features=features) == []


def test_a_missing_column_is_named(hours: pl.DataFrame) -> None:
    """On the side that lacks it."""
    parts = bikes.split(hours)
    with pytest.raises(DataRefused, match=r"holdout has no column 'users'"):
        look(bikes.Split(train=parts.train, holdout=parts.holdout.drop("users")))
