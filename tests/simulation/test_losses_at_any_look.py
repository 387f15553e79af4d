"""Decisions by losses of all kinds, looked at whenever there is something new, through the decision itself.

1,000 trials of four weeks each, with fixed seeds; a rate may exceed its promise by three standard errors. The full runs
are in ``benchmarks/decisions/error_rates.py``.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.decisions.error_rates import gate_passes
from benchmarks.decisions.loss_trials import DAYS, LOSSES, POLICY, draw, let_through, taken_back
from benchmarks.decisions.many_blocks import block_log_e, counted_days, day_log_e, value_log_e
from benchmarks.decisions.power import RULES
from benchmarks.decisions.sequential_rivals import obrien_fleming_bounds
from benchmarks.decisions.streams import Floats
from kairos.monitor.bets import mean_log_e
from kairos.stats.blocks import independent_blocks

RUNS = 1000
AT_MOST = POLICY.alpha + 3 * math.sqrt(POLICY.alpha * (1 - POLICY.alpha) / RUNS)
KEPT = [name for name in LOSSES if not name.startswith("broken")]


def one_by_one(x: Floats, nulls: Floats) -> tuple[Floats, Floats]:
    """Of one trial, shape (days, rows): log e-values, and how many days count, as the monitor computes them."""
    days, rows = x.shape
    found = independent_blocks(x.ravel(), np.repeat(np.arange(days), rows), scale=1.0)
    seen = [found.days <= day for day in range(days)]
    log_e = [mean_log_e(found.means[s], scale=1.0, null_mean=null) for s, null in zip(seen, nulls, strict=True)]
    return np.array(log_e), np.array([found.days[s].max(initial=-1) + 1 for s in seen])


@pytest.mark.parametrize("losses", LOSSES)
def test_what_is_computed_for_all_trials_at_once_is_what_the_monitor_computes(losses: str) -> None:
    """On every day of twelve trials: the cut of the day, the bets, and what was cut off and is given back."""
    rng = np.random.default_rng(1)
    x = LOSSES[losses].draw(rng, 12, 21)
    nulls = rng.uniform(-0.2, 0.2, size=x.shape[:2])
    alone = [one_by_one(*each) for each in zip(x, nulls, strict=True)]
    assert block_log_e(x, nulls) == pytest.approx(np.array([log_e for log_e, _ in alone]), abs=1e-9)
    assert counted_days(x).tolist() == [days.tolist() for _, days in alone]
    for rivals, values in ((day_log_e(x, 0.1), x.mean(axis=2)), (value_log_e(x, 0.1)[:, -1:], x.reshape(len(x), -1))):
        last = [mean_log_e(each, scale=1.0, null_mean=0.1) for each in values]
        assert rivals[:, -1] == pytest.approx(last, abs=1e-9)


@pytest.mark.parametrize("losses", KEPT)
def test_a_harmless_version_is_seldom_taken_back(losses: str) -> None:
    """By its losses or one of five guards; equally good, whatever its losses are like."""
    rng = np.random.default_rng(2)
    assert taken_back(draw(LOSSES[losses], rng, RUNS), rng).mean() <= AT_MOST


@pytest.mark.parametrize("losses", KEPT)
def test_a_version_that_is_worse_by_the_margin_is_seldom_let_through(losses: str) -> None:
    """With nothing but its losses to keep it back."""
    rng = np.random.default_rng(3)
    assert let_through(draw(LOSSES[losses], rng, RUNS, worse=POLICY.harm_margin)).mean() <= AT_MOST


def test_the_rival_spends_its_error_as_published() -> None:
    """Limits of O'Brien and Fleming with the spending of Lan and DeMets, one-sided 2.5 %, five and four looks."""
    assert obrien_fleming_bounds(5, 0.025) == pytest.approx((4.877, 3.357, 2.680, 2.290, 2.031), abs=0.02)
    assert obrien_fleming_bounds(4, 0.025) == pytest.approx((4.333, 2.963, 2.359, 2.014), abs=0.02)


@pytest.mark.parametrize(
    "rule", [name for name in RULES if name not in ("z test each day", "a tenth higher on three days")]
)
def test_every_rule_keeps_its_word_where_its_assumptions_hold(rule: str) -> None:
    """Equal versions with independent, normal losses: what is compared is compared at its stated error."""
    trials = draw(LOSSES["normal"], np.random.default_rng(4), RUNS)
    days = RULES[rule](trials.champion, trials.challenger)
    slack = 0.02 if rule.startswith(("O'Brien", "Mann")) else 0.0  # their z values are of an estimated variance
    assert (days <= DAYS).mean() <= AT_MOST + slack


def test_only_ours_keeps_it_where_neighbours_err_alike() -> None:
    """With autocorrelated losses the others err several times as often as they say."""
    trials = draw(LOSSES["autocorrelation 0.6"], np.random.default_rng(5), RUNS)
    rates = {name: (rule(trials.champion, trials.challenger) <= DAYS).mean() for name, rule in RULES.items()}
    assert rates.pop("kairos") <= AT_MOST
    assert min(rates.values()) > 3 * POLICY.alpha


def test_the_gate_keeps_its_word_at_its_margin() -> None:
    """One look at two weeks held out, independent and autocorrelated."""
    for name in ("normal", "autocorrelation 0.6"):
        assert gate_passes(LOSSES[name], np.random.default_rng(6), 500).mean() <= 0.05 + 3 * math.sqrt(
            0.05 * 0.95 / 500
        )
