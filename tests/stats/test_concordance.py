"""Do predictions rank the rows rightly?"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from kairos.stats.concordance import concordance


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=60))
def test_of_two_classes_it_is_the_area_under_the_roc_curve(rows: list[tuple[int, bool]]) -> None:
    """Ties included; with one class only there is none."""
    scores, labels = np.array([s for s, _ in rows], dtype=float), np.array([y for _, y in rows], dtype=float)
    found = concordance(scores, labels)
    if len(set(labels)) == 1:
        assert math.isnan(found.value)
        assert found.error == math.inf
    else:
        assert found.value == pytest.approx(roc_auc_score(labels, scores))
        assert concordance(3 * scores - 7, labels) == found


def test_of_numbers_it_counts_the_pairs_in_order() -> None:
    """All, none, and as many as a noise leaves."""
    y = np.arange(100.0)
    assert concordance(y**3, y).value == 1.0
    assert concordance(-y, y).value == 0.0
    assert concordance(np.ones(100), y).value == 0.5


def test_its_error_is_the_spread_over_many_samples() -> None:
    """Also where rows of one day are alike: then a day is one observation."""
    rng = np.random.default_rng(1)

    def draw(days: int, each: int) -> tuple[float, float]:
        day = np.repeat(np.arange(days), each)
        level = rng.normal(size=days)[day]
        truth = level + 0.3 * rng.normal(size=day.size)
        found = concordance(0.7 * level + rng.normal(size=days)[day], truth, blocks=day)
        return found.value, found.error

    for days, each in ((100, 1), (40, 10)):
        drawn = np.array([draw(days, each) for _ in range(150)])
        assert drawn[:, 1].mean() == pytest.approx(drawn[:, 0].std(), rel=0.25)


def test_many_rows_are_thinned() -> None:
    """Not more than 2,000 are looked at, of all times alike."""
    x = np.random.default_rng(2).normal(size=10_000)
    assert concordance(x, x).rows == 2_000
    assert concordance([], []).rows == 0
