"""A mean over rows of which only some have a label yet."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.powered import powered_mean, waiting_probabilities

NONE = float("nan")


def test_with_every_label_it_is_the_mean() -> None:
    """Whatever was estimated before."""
    values = [1.0, 2.0, 6.0]
    for estimated in (None, [5.0, 5.0, 0.0]):
        found = powered_mean(values, [1.0] * 3, estimated=estimated)
        assert found.mean == pytest.approx(3.0)
        assert (found.rows, found.labelled, found.effective_labels) == (3, 3, 3.0)


def test_with_a_random_sample_of_labels_it_is_prediction_powered_inference() -> None:
    """mean(f) over all + mean(y - f) over the labelled, with the variance of both."""
    rng = np.random.default_rng(1)
    n = 2000
    f = rng.normal(size=n)
    y = f + 0.5 + 0.1 * rng.normal(size=n)
    is_labelled = np.arange(n) % 20 == 0
    observed = np.where(is_labelled, y, np.nan)
    found = powered_mean(observed, np.full(n, 0.05), estimated=f)
    assert found.mean == pytest.approx(f.mean() + (y - f)[is_labelled].mean())
    plain = math.sqrt(f.var() / n + (y - f)[is_labelled].var() / is_labelled.sum())
    assert found.error == pytest.approx(plain, rel=0.05)
    assert found.error < 0.4 * powered_mean(observed, np.full(n, 0.05)).error
    assert found.lower < y.mean() < found.upper


def test_rows_of_one_block_are_alike() -> None:
    """Ten copies of every row are no more evidence; a single block says nothing about the error."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=50)
    once = powered_mean(values, np.ones(50))
    tenfold = powered_mean(np.repeat(values, 10), np.ones(500), blocks=np.repeat(np.arange(50), 10))
    assert tenfold.error == pytest.approx(once.error, rel=1e-9)
    assert powered_mean(values, np.ones(50), blocks=np.zeros(50)).error == math.inf


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 1.0), st.booleans()), min_size=1, max_size=20), st.data())
def test_order_does_not_matter_and_equal_shifts_carry_over(
    rows: list[tuple[float, float, bool]], data: st.DataObject
) -> None:
    """Neither the order of rows nor a constant added to estimates and values changes more than it must."""
    values = np.array([value if known else np.nan for value, _, known in rows])
    chances = np.array([chance for _, chance, _ in rows])
    estimated = np.arange(len(rows), dtype=float)
    order = np.array(data.draw(st.permutations(range(len(rows)))))
    found = powered_mean(values, chances, estimated=estimated)
    again = powered_mean(values[order], chances[order], estimated=estimated[order])
    moved = powered_mean(values + 3, chances, estimated=estimated + 3)
    if math.isnan(found.mean):
        assert math.isnan(again.mean)
        assert (found.lower, found.upper) == (-math.inf, math.inf)
        return
    assert again.mean == pytest.approx(found.mean, abs=1e-9)
    assert moved.mean == pytest.approx(found.mean + 3, abs=1e-9)
    assert again.error == pytest.approx(found.error, abs=1e-9)


def test_what_makes_no_sense_is_refused() -> None:
    """Chances that are none, and arrays that are not paired."""
    with pytest.raises(UsageError, match="no chance"):
        powered_mean([1.0], [0.0])
    with pytest.raises(UsageError, match="no chance"):
        powered_mean([1.0], [NONE])
    with pytest.raises(ShapeMismatch):
        powered_mean([1.0], [1.0, 1.0])


def test_a_row_that_waits_is_rather_of_the_slow_class() -> None:
    """By Bayes; where neither class would be there yet nothing is learnt, and where both would, nothing is left."""
    assert waiting_probabilities([0.5, 0.2], [0.5, 0.0], [0.9, 0.0]) == pytest.approx([5 / 6, 0.2])
    assert waiting_probabilities([0.3], [1.0], [1.0]) == pytest.approx([0.3])
    assert waiting_probabilities([0.3], [1.0], [0.5]) == pytest.approx([0.0])
