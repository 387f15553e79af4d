"""Whether two trainings differ by more than their seeds do: a metric's values over several seeds, compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kairos.errors import UsageError
from kairos.stats.arrays import check_alpha
from kairos.stats.comparison import t_quantile

__all__ = ["SeedComparison", "compare_seeds"]

_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedComparison:
    """The mean difference of a metric over seeds, in its unit: what came after less what was before."""

    before: float
    """Mean over the seeds that were compared."""
    after: float
    difference: float
    lower: float
    """The true mean difference is above this with chance ``1 - alpha / 2``; ``-inf`` if nothing is known."""
    upper: float
    seeds: int
    """Pairs; without pairs, the smaller number of the two."""
    is_paired: bool
    df: float
    """Degrees of freedom of the t quantile."""


def compare_seeds(before: Mapping[int, float], after: Mapping[int, float], *, alpha: float) -> SeedComparison:
    """Compares a metric of two trainings, each made with several seeds and measured on the same rows.

    Seeds are a sample of all seeds; rows are taken as they are: another holdout may say otherwise. Where two or more
    seeds are in both, these are pairs (a t interval of the differences), as one seed may be lucky for both. Else the
    two are independent samples of unlike variance (Welch). With a few seeds a t interval rests on values that are
    nearly normal; it holds its level for skewed ones as well, as the simulation in the tests shows.

    Args:
        before: Seed to the metric's value.
        after: The same of the other training.
        alpha: Chance that the interval misses the true difference, in (0, 1).

    Raises:
        UsageError: a value is not finite, alpha is not in (0, 1), or one of the two has fewer than two seeds.

    Examples:
        >>> found = compare_seeds({0: 3.0, 1: 5.0, 2: 4.0, 3: 6.0}, {0: 2.0, 1: 3.0, 2: 4.0, 3: 4.0}, alpha=0.1)
        >>> found.is_paired, found.difference, round(found.lower, 3), round(found.upper, 3)
        (True, -1.25, -2.377, -0.123)

    References:
        Welch (1947), Biometrika 34, with Satterthwaite's degrees of freedom.
    """
    check_alpha(alpha)
    for values in (before, after):
        if len(values) < _FEWEST:
            raise UsageError(
                "Trainings cannot be compared over seeds.", given=f"{len(values)} seeds", accepted="2 or more"
            )
        if not all(math.isfinite(value) for value in values.values()):
            raise UsageError("A metric is not a number for some seed.")
    shared = sorted(before.keys() & after.keys())
    if len(shared) >= _FEWEST:
        a, b = (np.array([values[seed] for seed in shared]) for values in (before, after))
        gap = b - a
        se, df = float(gap.std(ddof=1)) / math.sqrt(gap.size), float(gap.size - 1)
    else:
        a, b = (np.array(list(values.values())) for values in (before, after))
        parts = [float(values.var(ddof=1)) / values.size for values in (a, b)]
        se = math.sqrt(sum(parts))
        weight = sum(part**2 / (values.size - 1) for part, values in zip(parts, (a, b), strict=True))
        df = se**4 / weight if weight else math.inf
    difference = float(b.mean() - a.mean())
    reach = t_quantile(1 - alpha / 2, df) * se
    return SeedComparison(
        before=float(a.mean()),
        after=float(b.mean()),
        difference=difference,
        lower=difference - reach,
        upper=difference + reach,
        seeds=min(a.size, b.size),
        is_paired=len(shared) >= _FEWEST,
        df=df,
    )
