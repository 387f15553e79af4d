"""Paired 0/1 losses."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as distributions

from kairos.errors import UsageError
from kairos.stats.tango import tango_interval, tango_z


def test_the_score_is_the_pinned_one() -> None:
    """At a margin, and at 0 where it is McNemar's."""
    assert tango_z(12, 5, 100, -0.05) == pytest.approx(2.734498, abs=1e-6)
    assert tango_z(12, 5, 100, 0.0) == pytest.approx(1.697749, abs=1e-6)
    assert tango_z(12, 5, 100, 0.0) == pytest.approx(7 / math.sqrt(17))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200), st.sampled_from([0.005, 0.025, 0.05, 0.2]))
def test_the_interval_inverts_the_score(b: int, c: int, both: int, alpha: float) -> None:
    """At each bound the score is the normal quantile; swapping the models mirrors it; it holds the estimate."""
    n = b + c + both
    if n == 0:
        return
    z = distributions.norm.ppf(1 - alpha)
    low, high = tango_interval(b, c, n, alpha)
    assert -1 <= low <= (b - c) / n <= high <= 1
    if low > -0.999:
        assert tango_z(b, c, n, low) == pytest.approx(z, abs=1e-3)
    if high < 0.999:
        assert tango_z(b, c, n, high) == pytest.approx(-z, abs=1e-3)
    mirrored = tango_interval(c, b, n, alpha)
    assert mirrored == pytest.approx((-high, -low), abs=1e-6)


def test_no_discordant_rows_are_not_certainty() -> None:
    """Two models that agree on 100 rows may still differ on some percent of all rows."""
    low, high = tango_interval(0, 0, 100, 0.05)
    assert low == pytest.approx(-high)
    assert 0.02 < high < 0.03


def test_impossible_counts_are_refused() -> None:
    """More differing rows than rows."""
    with pytest.raises(UsageError, match="do not fit"):
        tango_z(60, 50, 100, 0.0)
