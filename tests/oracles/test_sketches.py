"""Log buckets beside ddsketch, and quantiles of a stream beside the KLL sketch of datasketches."""

from __future__ import annotations

import numpy as np
import pytest

from kairos.stats.logbuckets import LogBuckets
from tests.oracles.oracle import ask

SHARES = [0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0]


def streams() -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Latencies, amounts of either sign, and many equal values."""
    rng = np.random.default_rng(6)
    return [rng.lognormal(-4, 1.5, 4000), rng.normal(0, 100, 4000), np.repeat([1.0, 2.0, 700.0], 500)]


def test_quantiles_are_those_of_ddsketch() -> None:
    """Both promise 1 % of the same value: what is told differs by no more than that, twice."""
    theirs = ask(
        """
        from ddsketch import DDSketch
        def sketch(values):
            one = DDSketch(0.01)
            for value in values: one.add(value)
            return one
        answer = [[sketch(values).get_quantile_value(p) for p in shares] for values in streams]
        """,
        streams=streams(),
        shares=SHARES,
    )
    for values, told in zip(streams(), theirs, strict=True):
        ours = [LogBuckets.of(values).quantile(p) for p in SHARES]
        assert ours == pytest.approx(told, rel=0.0203)


def test_quantiles_lie_between_those_that_kll_bounds() -> None:
    """Within twice its rank error, since it draws at random and exceeds one now and then, give or take a bucket."""
    theirs = ask(
        """
        from datasketches import kll_doubles_sketch
        def bounds(values):
            one = kll_doubles_sketch(400)
            one.update(np.array(values))
            error = 2 * one.normalized_rank_error(False)
            return [[one.get_quantile(max(p - error, 0)), one.get_quantile(min(p + error, 1))] for p in shares]
        answer = [bounds(values) for values in streams]
        """,
        streams=streams(),
        shares=SHARES,
    )
    for values, told in zip(streams(), theirs, strict=True):
        for p, (low, high) in list(zip(SHARES, told, strict=True))[1:-2]:  # beyond, a sketch promises nothing
            assert low - abs(low) * 0.0203 <= LogBuckets.of(values).quantile(p) <= high + abs(high) * 0.0203
