"""How often the gate is wrong, by simulation with fixed seeds, to five standard errors.

The worlds are those of ``benchmarks/decisions/gates.py``, which draws each of them 10,000 times.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.decisions.gate_worlds import WORLDS, World, rates
from benchmarks.decisions.gates import blamed_slices, lucky_versions
from kairos.gates.decide import decide
from kairos.gates.measure import measure
from kairos.gates.policy import GatePolicy, Margin
from kairos.gates.rows import GateRows

Floats = NDArray[np.float64]
ALPHA = 0.05
MARGIN = 0.2
SUPERIOR = GatePolicy(loss="absolute_error", margin=Margin(kind="absolute", value=MARGIN), discover=False)
REFRESH = replace(SUPERIOR, require="non_inferior")
RUNS = 1000


def at_most(rate: float, runs: int = RUNS) -> float:
    """The largest share of ``runs`` that does not contradict ``rate``."""
    return rate + 5 * math.sqrt(rate * (1 - rate) / runs)


def verdict(policy: GatePolicy, difference: Floats) -> str:
    """The verdict on a challenger whose losses are those of the champion less ``difference``."""
    champion = np.full(difference.size, 60.0)
    rows = GateRows(truth=np.zeros(difference.size), champion=champion, challenger=champion - difference, digest="0")
    return decide(policy, measure(rows, policy)).verdict


def skewed(rng: np.random.Generator, n: int) -> Floats:
    """The difference of two skewed losses, mean 0."""
    return rng.gamma(1.0, 2.0, n) - rng.gamma(1.0, 2.0, n)


def name_of(world: World) -> str:
    return f"{world.name}, {world.rows} rows"


@pytest.mark.parametrize("world", [w for w in WORLDS if not w.is_slow], ids=name_of)
def test_a_bound_misses_as_rarely_as_is_stated(world: World) -> None:
    """A version that is worse by just the margin passes no oftener; who ignores what ties rows together passes many."""
    found = rates(world, RUNS)
    assert found.judged > 0.5
    assert found.too_high <= at_most(world.promised, round(RUNS * found.judged))
    assert found.too_low <= at_most(world.promised + 0.02, round(RUNS * found.judged))
    if found.blind is not None and "0.3" not in world.name:
        assert found.blind > 0.12


@pytest.mark.parametrize("world", [w for w in WORLDS if w.is_slow], ids=name_of)
def test_a_resampled_bound_misses_as_rarely_as_is_stated(world: World) -> None:
    """Cells of classes, functions of one's own, and bets: the same with fewer runs, since each takes longer."""
    found = rates(world, RUNS)
    assert found.judged > 0.5
    assert found.too_high <= at_most(world.promised, round(found.runs * found.judged))


@pytest.mark.parametrize("n", [100, 500])
def test_harm_of_just_the_margin_rarely_passes_as_a_refresh(n: int) -> None:
    """At most alpha of the versions that are worse by the margin are let through, by the whole of the gate."""
    rng = np.random.default_rng(1)
    found = Counter(verdict(REFRESH, skewed(rng, n) - MARGIN) for _ in range(400))
    assert found["pass"] / 400 <= at_most(ALPHA, 400)


def test_an_equal_version_is_rarely_called_better_or_worse() -> None:
    """Each with a chance of at most alpha; most of the time the gate holds."""
    rng = np.random.default_rng(2)
    found = Counter(verdict(SUPERIOR, skewed(rng, 300)) for _ in range(400))
    assert found["pass"] / 400 <= at_most(ALPHA, 400)
    assert found["fail"] / 400 <= at_most(ALPHA, 400)
    assert found["hold"] / 400 > 0.7


def test_twenty_overlapping_slices_rarely_blame_the_harmless() -> None:
    """Equal everywhere and given no margin, a version fails for a slice with a chance of at most alpha."""
    assert blamed_slices(RUNS) <= at_most(ALPHA)


def test_ten_versions_on_one_holdout_are_not_ten_chances() -> None:
    """All as good as the champion: any of them passes as better with a chance of at most 1.1 alpha."""
    assert lucky_versions(200) <= at_most(1.1 * ALPHA, 200)


def test_the_rows_that_a_hold_asks_for_decide_it_four_times_in_five() -> None:
    """Had the difference seemed what it is, then with the missing rows it passes with the power that was planned."""
    rng = np.random.default_rng(6)
    sample = rng.standard_normal(200)
    sample = 0.3 + 3.0 * (sample - sample.mean()) / sample.std(ddof=1)
    rows = GateRows(truth=np.zeros(200), champion=np.full(200, 60.0), challenger=60.0 - sample, digest="0")
    held = decide(SUPERIOR, measure(rows, SUPERIOR))
    assert held.verdict == "hold"
    assert held.needed_rows is not None
    n = 200 + held.needed_rows
    passed = Counter(verdict(SUPERIOR, 0.3 + 3.0 * rng.standard_normal(n)) for _ in range(400))["pass"]
    assert passed / 400 == pytest.approx(0.8, abs=5 * math.sqrt(0.16 / 400))
