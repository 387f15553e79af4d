"""Rank correlations of many columns at once are those of SciPy, one pair at a time."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from kairos.stats.rankcorrelation import RankCorrelation, rank_correlations


def columns(rows: int = 400) -> dict[str, NDArray[np.float64]]:
    """Some that go together, one with ties, one that is always the same."""
    random = np.random.default_rng(0)
    a = random.normal(size=rows)
    return {
        "a": a,
        "cube": a**3,
        "minus": -a + random.normal(size=rows) * 0.4,
        "ties": np.round(a),
        "other": random.normal(size=rows),
        "same": np.ones(rows),
    }


def test_they_are_spearmans() -> None:
    """With ties; the strongest first, by name where they are equal; what never changes goes with nothing."""
    held = columns()
    found = rank_correlations(held, at_least=0.5, most=99)
    assert found[0] == RankCorrelation("a", "cube", 1.0)
    assert {(each.one, each.other) for each in found} == {
        ("a", "cube"), ("a", "ties"), ("cube", "ties"), ("a", "minus"), ("cube", "minus"), ("minus", "ties"),
    }  # fmt: skip
    for each in found:
        assert each.r == pytest.approx(stats.spearmanr(held[each.one], held[each.other]).statistic, abs=1e-4)
    assert [abs(each.r) for each in found] == sorted((abs(each.r) for each in found), reverse=True)
    assert rank_correlations(held, at_least=0.5, most=2) == found[:2]


def test_of_one_column_with_each_other() -> None:
    """Each pair ends with it."""
    held = columns()
    found = rank_correlations(held, at_least=0.5, most=9, with_only="a")
    assert {each.one for each in found} == {"cube", "ties", "minus"}
    assert {each.other for each in found} == {"a"}


def test_what_is_missing_is_left_out_of_its_pairs() -> None:
    """Near to what the rows tell that have both; a pair of fewer than 30 such rows is none."""
    held = columns()
    random = np.random.default_rng(1)
    held["minus"] = np.where(random.random(400) < 0.3, np.nan, held["minus"])
    both = ~np.isnan(held["minus"])
    [found] = [
        each for each in rank_correlations(held, at_least=0.5, most=9) if (each.one, each.other) == ("a", "minus")
    ]
    wanted = stats.spearmanr(held["a"][both], held["minus"][both]).statistic
    assert found.r == pytest.approx(wanted, abs=0.02)
    held["minus"] = np.where(np.arange(400) < 20, held["a"], np.nan)
    assert all("minus" not in (each.one, each.other) for each in rank_correlations(held, at_least=0.5, most=9))
    assert rank_correlations({"a": held["a"][:20], "b": held["a"][:20]}, at_least=0.1, most=9) == ()
    assert rank_correlations({}, at_least=0.1, most=9) == ()


def test_of_many_rows_a_sample_is_the_same_each_time() -> None:
    """Evenly over the table, without chance."""
    held = columns(20_000)
    found = rank_correlations(held, at_least=0.5, most=9)
    assert found == rank_correlations(held, at_least=0.5, most=9)
    for each in found:
        assert each.r == pytest.approx(stats.spearmanr(held[each.one], held[each.other]).statistic, abs=0.02)
