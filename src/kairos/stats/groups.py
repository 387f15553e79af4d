"""How differently a model treats groups of rows: differences of rates or means, with bounds that hold together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kairos.errors import ShapeMismatch
from kairos.stats.arrays import check_alpha, finite
from kairos.stats.comparison import t_quantile
from kairos.stats.dependence import INDEPENDENT, Dependence, spread
from kairos.stats.reliability import wilson

__all__ = ["GroupDifference", "group_difference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDifference:
    """A mean in one group less that in the reference group."""

    rows: int
    """In the group."""
    reference_rows: int
    value: float
    reference: float
    difference: float
    lower: float
    """The true difference is above this with chance ``1 - alpha``."""
    upper: float
    """The true difference is below this with chance ``1 - alpha``."""

    @property
    def size(self) -> float:
        """What the true difference is at least, whichever way; 0 if it may be none."""
        return max(self.lower, -self.upper, 0.0)


def group_difference(
    values: ArrayLike,
    is_group: NDArray[Any],
    is_reference: NDArray[Any],
    *,
    alpha: float,
    dependence: Dependence = INDEPENDENT,
    rate: bool = False,
) -> GroupDifference:
    """Compares a mean between two groups of rows, at one look.

    For bounds that hold together for k differences, give ``alpha / k``.

    Args:
        values: Shape (n,); for a rate 0 or 1.
        is_group: Which rows are of the group, shape (n,).
        is_reference: Which rows it is compared with, shape (n,); none of the group's.
        alpha: Chance of error of each bound, in (0, 1).
        dependence: Of the rows.
        rate: Newcombe's bounds, from Wilson's of both rates; dependence makes rows count for less.

    Raises:
        ShapeMismatch: the arrays are not of one length.

    Examples:
        >>> first = np.arange(100) < 50
        >>> d = group_difference(np.arange(100) % 50 < np.where(first, 20, 30), first, ~first, alpha=0.025, rate=True)
        >>> round(d.difference, 2), round(d.lower, 3), round(d.upper, 3)
        (-0.2, -0.375, -0.005)

    References:
        Newcombe (1998), method 10.
    """
    check_alpha(alpha)
    x = finite("values", np.asarray(values, dtype=np.float64))
    group, reference = np.asarray(is_group, dtype=np.bool_), np.asarray(is_reference, dtype=np.bool_)
    if not x.shape == group.shape == reference.shape:
        raise ShapeMismatch("Values and groups are not paired.", given=f"{x.shape}, {group.shape}, {reference.shape}")
    n, m = int(group.sum()), int(reference.sum())
    if n == 0 or m == 0:
        value, other = (float(x[mask].mean()) if mask.any() else math.nan for mask in (group, reference))
        return GroupDifference(
            rows=n, reference_rows=m, value=value, reference=other, difference=value - other, lower=-math.inf,
            upper=math.inf,
        )  # fmt: skip
    value, other = float(x[group].mean()), float(x[reference].mean())
    both = group | reference
    total = n + m
    moves = np.where(group, (x - value) * (total / n), -(x - other) * (total / m))[both]
    found = spread(moves, dependence.part(both))
    difference = value - other
    if rate:
        effect = found.design_effect
        low, high = wilson(value * n / effect, n / effect, alpha)
        other_low, other_high = wilson(other * m / effect, m / effect, alpha)
        down = math.hypot(value - low, other_high - other)
        up = math.hypot(high - value, other - other_low)
    else:
        down = up = t_quantile(1 - alpha, min(found.df, n - 1.0, m - 1.0)) * found.se if min(n, m) > 1 else math.inf
    return GroupDifference(
        rows=n,
        reference_rows=m,
        value=value,
        reference=other,
        difference=difference,
        lower=difference - down,
        upper=difference + up,
    )
