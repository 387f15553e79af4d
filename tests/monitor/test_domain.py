"""Whether a window can be told from the reference, by all columns together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kairos.errors import ShapeMismatch, UsageError
from kairos.monitor.domain import domain_shift


def rows(n: int, seed: int, *, shift: float = 0.0, correlation: float = 0.8) -> dict[str, NDArray[Any]]:
    """Two numbers that go together, and a level; some of it missing."""
    rng = np.random.default_rng(seed)
    wind = rng.normal(size=n)
    gust = correlation * wind + np.sqrt(1 - correlation**2) * rng.normal(size=n)
    level = rng.choice(np.array(["north", "south", None], dtype=object), n)
    wind[:5] = np.nan
    return {"wind": wind + shift, "gust": gust, "station": level}


def test_equal_rows_cannot_be_told_apart() -> None:
    """The area is about a half, nothing moved, no alarm, and enough rows to say so."""
    found = domain_shift(rows(600, 1), rows(600, 2))
    assert found.auc == pytest.approx(0.5, abs=0.05)
    assert (found.alarm, found.too_small, found.moved) == (False, False, ())
    assert found.lower < 0.5 < found.upper
    assert found == domain_shift(rows(600, 1), rows(600, 2))


def test_a_column_that_moved_is_named() -> None:
    """By a standard deviation: the area is far from a half, and the column accounts for it."""
    found = domain_shift(rows(600, 1), rows(600, 2, shift=1.0))
    assert found.alarm
    assert found.lower > 0.6
    assert found.moved[0][0] == "wind"


def test_columns_that_no_longer_go_together_are_seen() -> None:
    """Although neither of them moved."""
    found = domain_shift(rows(600, 1), rows(600, 2, correlation=-0.8))
    assert found.alarm
    assert {name for name, _ in found.moved} == {"wind", "gust"}


def test_a_new_level_is_seen() -> None:
    """A third of the rows come from a station that the reference does not know."""
    window = rows(600, 2)
    window["station"][::3] = "east"
    found = domain_shift(rows(600, 1), window)
    assert (found.alarm, found.moved[0][0]) == (True, "station")


def test_likeness_within_a_day_is_no_change() -> None:
    """Each day has a temperature of its own: with days as blocks there is no alarm, row by row there often is."""

    def days(count: int, seed: int) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
        rng = np.random.default_rng(seed)
        day = np.repeat(np.arange(count), 24)
        return {"t": rng.normal(size=count)[day] + 0.1 * rng.normal(size=day.size)}, day

    alone, together = [], []
    for seed in range(2):
        (reference, before), (window, after) = days(40, seed), days(14, 1000 + seed)
        together.append(domain_shift(reference, window, reference_blocks=before, window_blocks=after))
        alone.append(domain_shift(reference, window))
    assert not any(found.alarm for found in together)
    assert np.mean([found.auc for found in together]) == pytest.approx(0.5, abs=0.1)
    assert sum(found.alarm for found in alone) >= 1


def test_too_little_is_no_answer() -> None:
    """Few rows, or few days, say nothing; nor do they say "stable"."""
    few = domain_shift(rows(60, 1), rows(600, 2))
    assert (few.auc, few.lower, few.upper, few.too_small, few.alarm) == (0.5, 0.0, 1.0, True, False)
    days = domain_shift(rows(600, 1), rows(600, 2), window_blocks=np.repeat([1, 2, 3], 200))
    assert days.too_small
    with pytest.raises(ShapeMismatch, match="same columns"):
        domain_shift(rows(200, 1), {"wind": np.zeros(200)})
    with pytest.raises(ShapeMismatch, match="numbers of rows"):
        domain_shift({"a": np.zeros(3), "b": np.zeros(2)}, {"a": np.zeros(3), "b": np.zeros(3)})
    with pytest.raises(ShapeMismatch, match="blocks"):
        domain_shift(rows(200, 1), rows(200, 2), window_blocks=[1])
    with pytest.raises(UsageError):
        domain_shift(rows(200, 1), rows(200, 2), tolerated=1.0)
