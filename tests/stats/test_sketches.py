"""What workers count apart and add up: log buckets, moments, frequent values."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import UsageError
from kairos.stats.frequent import Frequent
from kairos.stats.logbuckets import LogBuckets
from kairos.stats.moments import Moments
from kairos.stats.quantiles import quantile_interval
from kairos.values import canonical_json, unplain

ANY = st.floats(allow_nan=True, allow_infinity=True)
SIZES = st.floats(1e-9, 1e12) | st.floats(-1e12, -1e-9) | st.just(0.0)
WORDS = st.lists(st.sampled_from("abcdefghijklmnop"), max_size=60)


@given(st.lists(ANY, max_size=50), st.lists(ANY, max_size=50), st.lists(ANY, max_size=50))
def test_buckets_of_parts_are_the_buckets_of_all(a: list[float], b: list[float], c: list[float]) -> None:
    """Whichever worker counted what, and in which order they are added, to the last counter."""
    parts = [LogBuckets.of(x) for x in (a, b, c)]
    whole = LogBuckets.of([*c, *a, *b])
    assert parts[0] + parts[1] + parts[2] == parts[2] + (parts[1] + parts[0]) == whole
    assert whole.n + whole.missing == len(a) + len(b) + len(c)
    assert LogBuckets.from_plain(json.loads(canonical_json(whole.plain()))) == whole


@given(st.lists(SIZES, min_size=1, max_size=80), st.floats(0, 1), st.sampled_from([0.01, 0.05]))
def test_a_quantile_is_within_the_error_of_the_value_at_its_rank(values: list[float], p: float, error: float) -> None:
    """For positive, negative and mixed values of any size."""
    there = float(np.quantile(values, p, method="lower"))
    assert LogBuckets.of(values, error=error).quantile(p) == pytest.approx(there, rel=error * 1.0001, abs=1e-12)


@given(st.lists(SIZES, min_size=1, max_size=80), st.data())
def test_bounds_at_ranks_hold_the_values_of_these_ranks(values: list[float], data: st.DataObject) -> None:
    """The bucket's outer edges never cut off what they are to bound; beyond the data there is no bound."""
    low = data.draw(st.integers(-2, len(values) + 2))
    high = data.draw(st.integers(low, len(values) + 3))
    ordered = np.sort(values)
    lower, upper = LogBuckets.of(values).quantile_bounds(low, high)
    if 1 <= low <= len(values):
        assert lower <= ordered[low - 1] + abs(ordered[low - 1]) * 1e-9
    if 1 <= high <= len(values):
        assert upper >= ordered[high - 1] - abs(ordered[high - 1]) * 1e-9
    assert (lower == -math.inf) == (low < 1)
    assert (upper == math.inf) == (high > len(values))


@given(st.lists(st.floats(0.001, 100.0), max_size=120), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_is_bounded_at_any_look_as_by_the_values_themselves(values: list[float], p: float) -> None:
    """The bounds enclose those of the sorted values, by at most the width of a bucket on each side."""
    exact = quantile_interval(values, p, alpha=0.05, t_opt=100)
    found = LogBuckets.of(values).quantile_interval(p, alpha=0.05, t_opt=100)
    assert exact.lower / 1.0203 <= found.lower <= exact.lower * (1 + 1e-9)
    assert exact.upper * (1 - 1e-9) <= found.upper <= exact.upper * 1.0203


def test_buckets_of_nothing_know_nothing() -> None:
    """No quantile, no bound, any share above."""
    nothing = LogBuckets()
    assert math.isnan(nothing.quantile(0.5))
    assert nothing.quantile_bounds(0, 1) == (-math.inf, math.inf)
    assert nothing.share_above(1.0) == (0.0, 1.0)
    with pytest.raises(UsageError, match="different widths"):
        nothing + LogBuckets(error=0.02)
    with pytest.raises(UsageError):
        LogBuckets(error=1.0)
    with pytest.raises(UsageError):
        nothing.quantile(1.5)


def test_extremes_have_buckets() -> None:
    """The largest and smallest numbers there are, zero, infinite and missing ones."""
    x = [1.7e308, 5e-324, 0.0, -1.7e308, math.inf, -math.inf, math.nan]
    found = LogBuckets.of(x)
    values, counts = found.cells()
    assert (found.n, found.missing, found.zeros, counts.tolist()) == (6, 1, 2, [1, 1, 2, 1, 1])
    assert values[[0, -1]].tolist() == [-math.inf, math.inf]
    assert values[3] == pytest.approx(1.7e308, rel=0.01)


def test_a_microsecond_to_an_hour_takes_a_thousand_counters() -> None:
    """At 1 %, whatever the number of requests; and the share above a limit is known to one bucket."""
    x = np.exp(np.random.default_rng(0).uniform(math.log(1e-6), math.log(3600), size=200_000))
    assert len(LogBuckets.of(x).positive) <= 1101
    low, high = LogBuckets.of(x).share_above(1.0)
    assert low <= (x > 1.0).mean() <= high <= low + 0.002


@given(*[st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), max_size=40)] * 3)
def test_moments_of_parts_are_the_moments_of_all(a: list[float], b: list[float], c: list[float]) -> None:
    """Mean and variance up to rounding, everything else exactly, in any order."""
    parts = Moments.of(a) + (Moments.of(c) + Moments.of(b))
    whole = Moments.of([*a, *b, *c])
    assert (parts.n, parts.least, parts.most, parts.nonfinite) == (whole.n, whole.least, whole.most, whole.nonfinite)
    assert parts.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
    assert parts.m2 == pytest.approx(whole.m2, rel=1e-9, abs=1e-3)
    assert Moments.from_plain(unplain(json.loads(canonical_json(whole.plain())))) == whole


def test_moments_of_too_little_are_unknown() -> None:
    """One value has no variance, and none has no smallest one."""
    assert math.isnan(Moments.of([3.0]).variance)
    assert (Moments().n, Moments().least, Moments() + Moments.of([2.0])) == (0, math.inf, Moments.of([2.0]))
    assert Moments.of([1.0, 3.0]).cv2 == pytest.approx(0.5)
    assert math.isnan(Moments.of([-1.0, 1.0]).cv2)


@given(WORDS, WORDS, WORDS, st.integers(1, 8))
def test_frequent_values_keep_their_bounds_in_any_order(a: list[str], b: list[str], c: list[str], size: int) -> None:
    """True counts are within the bounds, the bounds are at most n / size apart, and nothing frequent is left out."""
    truth = Counter([*a, *b, *c])
    one, two, three = (Frequent.of(x, size=size) for x in (a, b, c))
    for found in (one + two + three, three + (one + two), Frequent.of([*a, *b, *c], size=size)):
        assert found.n == truth.total()
        assert len(found.counts) <= size
        for value in "abcdefghijklmnop":
            low, high = found.between(value)
            assert low <= truth[value] <= high
            assert high - low <= found.n / size
            assert truth[value] <= found.n / size or value in found.counts
        assert Frequent.from_plain(found.plain()) == found


def test_frequent_values_that_fit_are_exact() -> None:
    """With enough counters, parts add up to the counts themselves, most frequent first."""
    found = Frequent.of("abracadabra", size=26) + Frequent.of("alakazam", size=26)
    assert dict(found.counts) == dict(Counter("abracadabraalakazam"))
    assert list(found.counts)[:3] == ["a", "b", "r"]
    assert set(found.errors.values()) == {0}
    with pytest.raises(UsageError, match="do not add up"):
        found + Frequent(size=3)
