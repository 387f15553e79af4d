"""Which arm brings more, from sums by share: whatever the shares do, and in whatever order the sums were made."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arms import ArmValues, ArmValuesPath, arms_interval, arms_log_e, arms_log_e_path
from kairos.stats.sequence import gamma_exponential_log_e

Rows = list[tuple[float, bool, float]]
"""Share, whether the challenger was asked, and what the request brought."""


def added(rows: Rows) -> dict[float, ArmValues]:
    """The sums of requests."""
    steps = {}
    for share in {share for share, _, _ in rows}:
        here = [[y for s, mine, y in rows if s == share and mine == whose] for whose in (True, False)]
        steps[share] = ArmValues(
            requests=(len(here[0]), len(here[1])),
            events=(sum(y != 0 for y in here[0]), sum(y != 0 for y in here[1])),
            totals=(sum(here[0]), sum(here[1])),
            sizes=(sum(map(abs, here[0])), sum(map(abs, here[1]))),
            squares=(sum(y * y for y in here[0]), sum(y * y for y in here[1])),
        )
    return steps


def drawn(seed: int, *, times: float = 1.0, each: int = 2000) -> Rows:
    """A ramp during which requests bring more and more; the challenger's ``times`` as much."""
    rng, rows = np.random.default_rng(seed), Rows()
    for level, share in enumerate((0.05, 0.25, 0.5), start=1):
        for mine, y in zip(rng.uniform(size=each) < share, rng.exponential(level, size=each), strict=True):
            rows.append((share, bool(mine), float(y) * (times if mine else 1.0)))
    return rows


def test_a_ramp_while_times_get_better_is_not_the_challengers_merit() -> None:
    """Most of its requests are late ones, so its mean is far higher; compared step by step they are alike."""
    rows = drawn(1)
    mine, theirs = ([y for _, whose, y in rows if whose == arm] for arm in (True, False))
    assert np.mean(mine) > 1.2 * np.mean(theirs)
    found = arms_interval(added(rows), reach=None, alpha=0.05)
    assert found.lower < 0 < found.upper
    assert abs(found.estimate) < 0.2


def test_the_estimate_is_the_mean_over_steps_of_what_inverse_propensities_give() -> None:
    """Each step weighs by its requests, and by the share times the rest."""
    steps = added(drawn(2, times=1.5))
    by_step = {p: (each.totals[0] / p - each.totals[1] / (1 - p)) / sum(each.requests) for p, each in steps.items()}
    weights = {p: p * (1 - p) * sum(each.requests) for p, each in steps.items()}
    mean = sum(by_step[p] * weights[p] for p in steps) / sum(weights.values())
    assert arms_interval(steps, reach=None, alpha=0.05).estimate == pytest.approx(mean)


def test_with_a_range_it_is_the_mixture_of_howard_and_others() -> None:
    """At the total that strays from the null, and the sum of squared parts, on the scale of the range."""
    rows: Rows = [(0.25, n % 4 == 0, float(n % 3)) for n in range(400)]
    parts = [y * (mine - p) for p, mine, y in rows]
    strays = sum(parts) - 0.1 * sum(p * (1 - p) for p, _, _ in rows)
    told = gamma_exponential_log_e(max(-strays / 2, 0.0), sum(x * x for x in parts) / 4, c=1.0, v_opt=10.0, alpha=0.05)
    assert arms_log_e(added(rows), null=0.1, side="less", reach=2.0) == pytest.approx(float(told))


@pytest.mark.parametrize("reach", [30.0, None])
def test_a_null_is_outside_the_bounds_exactly_where_it_is_refuted(reach: float | None) -> None:
    """On either side, at half of alpha."""
    steps = added(drawn(3, times=0.8))
    found = arms_interval(steps, reach=reach, alpha=0.05)
    for null, side, refuted in (
        (found.upper + 1e-6, "less", True),
        (found.upper - 1e-6, "less", False),
        (found.lower - 1e-6, "greater", True),
        (found.lower + 1e-6, "greater", False),
    ):
        log_e = arms_log_e(steps, null=null, side="less" if side == "less" else "greater", reach=reach)
        assert (log_e >= math.log(2 / 0.05)) == refuted


@pytest.mark.parametrize("reach", [40.0, None])
def test_a_path_says_after_each_stretch_what_the_sums_say(reach: float | None) -> None:
    """For pictures and simulations; a null may move with it."""
    rows = drawn(4, each=300)
    cuts = [0, 100, 300, 450, 600, 900]
    stretches = [added(rows[a:b]) for a, b in pairwise(cuts)]
    shares = [next(iter(each)) for each in stretches]

    def both(name: str) -> tuple[list[float], list[float]]:
        known = [getattr(each[share], name) for share, each in zip(shares, stretches, strict=True)]
        return [mine for mine, _ in known], [theirs for _, theirs in known]

    path = ArmValuesPath(
        requests=both("requests"),
        events=both("events"),
        totals=both("totals"),
        sizes=both("sizes"),
        squares=both("squares"),
    )
    found = arms_log_e_path(shares, path, null=np.full(len(shares), -0.2), side="greater", reach=reach)
    told = [arms_log_e(added(rows[:end]), null=-0.2, side="greater", reach=reach) for end in cuts[1:]]
    assert found.tolist() == pytest.approx(told)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5]), st.booleans(), st.integers(-5, 5).map(float)), max_size=60))
def test_who_added_up_and_in_which_order_makes_no_difference(rows: Rows) -> None:
    """Sums of whole numbers are the same, so the evidence is, to the bit."""
    once = arms_log_e(added(rows), null=0.0, side="less", reach=10.0)
    assert arms_log_e(added(rows[::-1]), null=0.0, side="less", reach=10.0) == once


def test_without_a_range_nothing_is_said_before_fifty_values_of_each_arm() -> None:
    """However clear it seems: 49 of the challenger's, none of which brings anything near what the champion's do."""

    def steps(mine: int, great: float = 1.0) -> dict[float, ArmValues]:
        values = (np.full(mine, 0.1), np.r_[np.full(999, 1.0), great])
        return {
            0.5: ArmValues(
                requests=(1000, 1000),
                events=(mine, 1000),
                totals=(float(values[0].sum()), float(values[1].sum())),
                sizes=(float(values[0].sum()), float(values[1].sum())),
                squares=(float((values[0] ** 2).sum()), float((values[1] ** 2).sum())),
            )
        }

    assert arms_log_e(steps(49), null=0.0, side="less", reach=None) == 0.0
    silent = arms_interval(steps(49), reach=None, alpha=0.05)
    assert (silent.lower, silent.upper) == (-math.inf, math.inf)
    assert arms_log_e(steps(50), null=0.0, side="less", reach=None) > math.log(20)
    # one great value of the champion's: fifty of the challenger's do not show how great its own may be
    assert arms_log_e(steps(50, great=200.0), null=0.0, side="less", reach=None) == 0.0


def test_without_anything_nothing_is_said() -> None:
    """No steps, no requests, no values; the bounds are then as wide as can be."""
    nothing = arms_interval({}, reach=3.0, alpha=0.05)
    assert math.isnan(nothing.estimate)
    assert (nothing.lower, nothing.upper) == (-3.0, 3.0)
    asked = {0.5: ArmValues(requests=(5, 5))}
    assert arms_interval(asked, reach=3.0, alpha=0.05).estimate == 0.0
    for steps in ({}, asked):
        for reach in (3.0, None):
            assert arms_log_e(steps, null=0.0, side="less", reach=reach) == 0.0


def test_what_cannot_be_compared_is_refused() -> None:
    """A share of 0 or 1, a range without length, shapes that do not fit."""
    with pytest.raises(UsageError, match="share"):
        arms_log_e({1.0: ArmValues(requests=(5, 0))}, null=0.0, side="less", reach=1.0)
    with pytest.raises(UsageError, match="range"):
        arms_log_e({0.5: ArmValues(requests=(5, 5))}, null=0.0, side="less", reach=0.0)
    one = ([1.0], [1.0])
    path = ArmValuesPath(requests=one, events=one, totals=one, sizes=one, squares=one)
    with pytest.raises(ShapeMismatch):
        arms_log_e_path([0.1, 0.2], path, null=0.0, side="less", reach=1.0)
