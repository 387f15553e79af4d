"""Fifty inputs on one page do not make fifty chances of a false warning, however much they move together (S11)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.decisions.drift_pages import COLUMNS, POLICY, folded, pages, shift_of
from kairos.models.profile import ColumnProfile

ALPHA = POLICY.alpha


def at_most(rate: float, runs: int) -> float:
    """The rate with three standard errors of a simulation."""
    return rate + 3 * math.sqrt(rate * (1 - rate) / runs)


def test_without_a_change_a_page_stays_empty() -> None:
    """800 pages, each of seven days with 30 rows: 210 rows are noise to any rule of thumb."""
    found = list(pages(np.random.default_rng(1), 800, np.zeros(COLUMNS)))
    assert np.mean([bool(page) for page in found]) <= at_most(ALPHA, 800)


def test_fifty_inputs_at_the_tolerated_limit_are_one_chance_of_a_warning() -> None:
    """Each of them exactly as far as is tolerated: no null is harder."""
    found = pages(np.random.default_rng(2), 200, np.full(COLUMNS, shift_of(POLICY.drift_warn)), rows=100)
    warned = [any(finding.level == "warn" for finding in page) for page in found]
    assert np.mean(warned) <= at_most(ALPHA, 200)


def test_few_of_the_findings_are_false_where_some_inputs_moved() -> None:
    """Ten moved by far more than is tolerated, the others stand at the limit: the ten are found, hardly any other."""
    shifts = np.where(np.arange(COLUMNS) < 10, shift_of(0.6), shift_of(POLICY.drift_info))
    found = list(pages(np.random.default_rng(3), 100, shifts, rows=100))
    moved = {f"c{column:02}" for column in range(10)}
    false = [sum(f.column not in moved for f in page) / max(len(page), 1) for page in found]
    assert np.mean(false) <= at_most(ALPHA, 100)
    assert np.mean([len(moved & {f.column for f in page}) for page in found]) > 9


def test_what_is_counted_at_once_is_what_the_bins_count() -> None:
    """Day by day and input by input."""
    rng = np.random.default_rng(4)
    profile = ColumnProfile.fit("number", rng.normal(size=1000))
    x = rng.normal(size=(3, 40, 5)) * 2
    expected = [[profile.bins.fold(profile.bins.counts(day[:, one])) for one in range(5)] for day in x]
    assert folded(profile, x).tolist() == np.array(expected).tolist()
    assert shift_of(0.25) == pytest.approx(0.5, abs=0.05)
