"""Two classifiers on the same rows: any metric of their confusion tables, by resampling the cells they share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, check_alpha
from kairos.stats.comparison import Comparison, differing, from_curve, t_quantile, unknown
from kairos.stats.confusion import confusion_moves, confusion_value
from kairos.stats.dependence import INDEPENDENT, Dependence, Spread, spread

__all__ = ["MOST_CLASSES", "paired_confusion", "stretched"]

MOST_CLASSES = 10
"""Of more classes the cells are as many as rows."""


def paired_confusion(
    metric: str,
    truth: ArrayLike,
    champion: ArrayLike,
    challenger: ArrayLike,
    *,
    alpha: float,
    seed: int,
    classes: ArrayLike | None = None,
    dependence: Dependence = INDEPENDENT,
    resamples: int = 2000,
) -> Comparison:
    """Compares two classifiers by F1, precision, recall, accuracy, balanced accuracy or Matthews' coefficient.

    Each row falls into one cell (truth, champion's class, challenger's class): of two classes there are eight. A paired
    bootstrap of rows is then one multinomial draw of the cells, whatever the number of rows. The bounds are percentiles
    of the resampled differences; where rows depend on each other these are stretched by the root of the design effect
    and by the ratio of t to normal quantiles, both from the rows' influence values.

    Wrong where few rows differ or a class is rare: ask for 30 rows that differ and 100 of each class.

    Args:
        metric: One of ``CONFUSION_METRICS``.
        truth: Classes, shape (n,).
        champion: Its classes on these rows.
        challenger: Its classes.
        alpha: Chance of error of each bound, in (0, 1).
        seed: Of the resamples; the same seed gives the same bounds.
        classes: All there are, sorted; ``None``: those that occur. Of two, the second is the positive one.
        dependence: Of the rows.
        resamples: How many.

    Returns:
        ``challenger - champion`` with its bounds; higher values are better.

    Raises:
        ShapeMismatch: the arrays are not paired.
        UsageError: there are more than ten classes, or no such metric.
    """
    check_alpha(alpha)
    y, a, b = (np.asarray(one) for one in (truth, champion, challenger))
    if not y.shape == a.shape == b.shape or y.ndim != 1:
        raise ShapeMismatch("Classes are not paired.", given=f"{y.shape}, {a.shape} and {b.shape}")
    n, discordant = y.size, differing(a, b)
    if n == 0:
        return unknown(math.nan, math.nan, math.nan, n=0, method="cells", dependence=dependence.name)
    names = np.unique(np.concatenate([y, a, b])) if classes is None else np.asarray(classes)
    k = max(names.size, 2)
    if k > MOST_CLASSES:
        raise UsageError("There are too many classes for cells.", given=k, accepted=f"at most {MOST_CLASSES}")
    of_y, of_a, of_b = (np.searchsorted(names, one) for one in (y, a, b))
    table_a, table_b = _table(of_y * k + of_a, k), _table(of_y * k + of_b, k)
    moves_b = confusion_moves(metric, table_b)[of_y, of_b]
    found = spread(moves_b - confusion_moves(metric, table_a)[of_y, of_a], dependence)
    own = spread(moves_b, dependence)
    drawn_a, drawn_b = _draw((of_y * k + of_a) * k + of_b, k, seed=seed, resamples=resamples)
    value_a, value_b = (float(confusion_value(metric, table)) for table in (table_a, table_b))
    values_b = confusion_value(metric, drawn_b)
    bound_b = stretched(values_b, value_b, own)
    return from_curve(
        value_a,
        value_b,
        value_b - value_a,
        stretched(values_b - confusion_value(metric, drawn_a), value_b - value_a, found),
        alpha=alpha,
        n=n,
        discordant=discordant,
        method="cells",
        found=found,
        dependence=dependence.name,
        own=(bound_b(alpha), bound_b(1 - alpha)),
    )


def stretched(drawn: Floats, centre: float, found: Spread) -> Callable[[float], float]:
    """Percentiles of resampled values, drawn away from the centre as dependence and few blocks ask for.

    Args:
        drawn: Values of resamples in which rows are independent, shape (r,).
        centre: The value of the sample itself.
        found: Design effect and degrees of freedom.
    """
    ordered = np.sort(drawn)
    places = np.linspace(0.0, 1.0, ordered.size)

    def quantile(level: float) -> float:
        if math.isinf(found.se):
            return -math.inf if level < 0.5 else math.inf
        normal = t_quantile(level, math.inf)
        wider = t_quantile(level, found.df) / normal if abs(normal) > 1e-9 else 1.0
        percentile = float(np.interp(level, places, ordered))
        return centre + math.sqrt(found.design_effect) * wider * (percentile - centre)

    return quantile


def _table(codes: NDArray[Any], k: int) -> Floats:
    return np.bincount(codes, minlength=k * k).astype(np.float64).reshape(k, k)


def _draw(cells: NDArray[Any], k: int, *, seed: int, resamples: int) -> tuple[Floats, Floats]:
    """Tables of both models in each resample, shape (r, k, k)."""
    names, counts = np.unique(cells, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(cells.size, counts / cells.size, size=resamples)
    y, a, b = names // (k * k), names // k % k, names % k
    of_a, of_b = np.zeros((names.size, k * k)), np.zeros((names.size, k * k))
    of_a[np.arange(names.size), y * k + a] = 1.0
    of_b[np.arange(names.size), y * k + b] = 1.0
    return (drawn @ of_a).reshape(-1, k, k), (drawn @ of_b).reshape(-1, k, k)
