"""The difference of two models' areas under the ROC curve on the same rows."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, check_alpha, finite, pair
from kairos.stats.comparison import Comparison, differing, from_spread, unknown
from kairos.stats.dependence import INDEPENDENT, Dependence, Spread, spread

__all__ = ["paired_auc"]


def paired_auc(
    truth: ArrayLike,
    champion: ArrayLike,
    challenger: ArrayLike,
    *,
    alpha: float,
    dependence: Dependence = INDEPENDENT,
) -> Comparison:
    """Compares two models' areas under the ROC curve, at one look.

    DeLong's variance for independent rows. Where rows depend on each other, the same structural components are taken
    as how far each row moves the areas; DeLong's variance is then the least that is believed. Ties count a half.

    Args:
        truth: 1 for what is to be ranked high, else 0, shape (n,).
        champion: Its scores on these rows, shape (n,), in any unit.
        challenger: Its scores.
        alpha: Chance of error of each bound, in (0, 1).
        dependence: Of the rows.

    Returns:
        ``challenger - champion`` with its bounds; areas are in [0, 1], higher is better.

    Raises:
        ShapeMismatch: the arrays are not paired.
        UsageError: a score is not finite, a truth neither 0 nor 1, or alpha not in (0, 1).

    Examples:
        >>> p = paired_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [0.1, 0.2, 0.35, 0.8], alpha=0.05)
        >>> p.champion, p.challenger, p.difference
        (0.75, 1.0, 0.25)

    References:
        DeLong, DeLong & Clarke-Pearson (1988); Sun & Xu (2014) for the ranks; Obuchowski (1997) for rows in clusters.
    """
    check_alpha(alpha)
    a, b = pair("champion scores", champion, "challenger scores", challenger)
    y = finite("truth", truth)
    if y.shape != a.shape:
        raise ShapeMismatch("Truth and scores are not paired.", given=f"{y.size} and {a.size} rows")
    if not np.isin(y, (0.0, 1.0)).all():
        raise UsageError("An area under the ROC curve needs two classes.", accepted="truth 0 or 1")
    is_one = y == 1.0
    ones, zeros = int(is_one.sum()), int((~is_one).sum())
    discordant = differing(a, b)
    if ones < 2 or zeros < 2:
        return unknown(
            math.nan, math.nan, math.nan, n=y.size, discordant=discordant, method="delong", dependence=dependence.name
        )
    parts_a, parts_b = _components(a, is_one), _components(b, is_one)
    area_a, area_b = float(parts_a[is_one].mean()), float(parts_b[is_one].mean())
    return from_spread(
        area_a,
        area_b,
        area_b - area_a,
        _spread(parts_b - parts_a, is_one, dependence),
        alpha=alpha,
        n=y.size,
        discordant=discordant,
        method="delong",
        dependence=dependence.name,
        own=_spread(parts_b, is_one, dependence),
    )


def _components(scores: Floats, is_one: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
    """For each row the share of rows of the other class that it is ranked rightly against."""
    ranks = rankdata(scores)
    within = np.empty_like(ranks)
    within[is_one], within[~is_one] = rankdata(scores[is_one]), rankdata(scores[~is_one])
    ones, zeros = int(is_one.sum()), int((~is_one).sum())
    return np.where(is_one, (ranks - within) / zeros, 1.0 - (ranks - within) / ones)


def _spread(components: Floats, is_one: np.ndarray[tuple[int], np.dtype[np.bool_]], dependence: Dependence) -> Spread:
    n, ones, zeros = components.size, int(is_one.sum()), int((~is_one).sum())
    delong = float(components[is_one].var(ddof=1)) / ones + float(components[~is_one].var(ddof=1)) / zeros
    independent = Spread(se=math.sqrt(delong), df=math.inf, design_effect=1.0, block_length=1.0)
    if dependence.name == "independent":
        return independent
    centred = np.where(
        is_one,
        (components - components[is_one].mean()) * (n / ones),
        (components - components[~is_one].mean()) * (n / zeros),
    )
    found = spread(centred, dependence)
    return replace(found, se=max(found.se, independent.se))
