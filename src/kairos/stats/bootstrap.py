"""Two models on the same rows by any function of truth and prediction: paired resampling of rows or blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, check_alpha
from kairos.stats.cells import stretched
from kairos.stats.comparison import Comparison, differing, from_curve, unknown
from kairos.stats.dependence import INDEPENDENT, Dependence, Spread, spread

__all__ = ["Influence", "Statistic", "paired_bootstrap"]

Statistic = Callable[[NDArray[Any], NDArray[Any]], float]
"""Truth and prediction, each of shape (n,), to one number."""
Influence = Callable[[NDArray[Any], NDArray[Any]], Floats]
"""Truth and prediction, each of shape (n,), to how far each row moves the statistic, times n; shape (n,)."""

_CHUNKS = 100
"""Parts that are left out one by one to see how far they move a statistic that names no influence."""


def paired_bootstrap(
    statistic: Statistic,
    truth: ArrayLike,
    champion: ArrayLike,
    challenger: ArrayLike,
    *,
    better: Literal["lower", "higher"],
    alpha: float,
    seed: int,
    dependence: Dependence = INDEPENDENT,
    resamples: int = 2000,
    influence: Influence | None = None,
) -> Comparison:
    """Compares two models by any function of truth and prediction, at one look.

    The same rows are drawn for both models: single rows, all rows of an entity, or runs of ``G^(1/3)`` of G moments.
    Without ``influence`` the bounds are percentiles of the resampled differences, drawn away from the centre until
    their spread is what leaving out parts of the rows (the jackknife) says with the dependence of neighbouring parts,
    and by the ratio of t to normal quantiles. With ``influence`` they are studentised: the shape is that of resampled
    rows in units of their own standard errors, the spread that of the influence values with their dependence.

    Args:
        statistic: Of truth and prediction; smooth in the shares of its rows, as means, ratios and correlations are.
        truth: Shape (n,).
        champion: Its predictions on these rows.
        challenger: Its predictions.
        better: Which way is better.
        alpha: Chance of error of each bound, in (0, 1).
        seed: Of the resamples; the same seed gives the same bounds.
        dependence: Of the rows.
        resamples: How many; the statistic is computed about twice as often.
        influence: Of the statistic.

    Raises:
        ShapeMismatch: the arrays are not paired.
        UsageError: the statistic is no finite number on these rows.

    References:
        Künsch (1989) for runs of moments; Efron (1979) for the jackknife; Hall (1988) for studentised bounds.
    """
    check_alpha(alpha)
    y, a, b = (np.asarray(one) for one in (truth, champion, challenger))
    if not y.shape == a.shape == b.shape or y.ndim != 1:
        raise ShapeMismatch("Truth and predictions are not paired.", given=f"{y.shape}, {a.shape} and {b.shape}")
    n, discordant, sign = y.size, differing(a, b), 1.0 if better == "higher" else -1.0
    if n < 2:
        return unknown(math.nan, math.nan, math.nan, n=n, method="bootstrap", dependence=dependence.name)
    value_a, value_b = _value(statistic, y, a), _value(statistic, y, b)
    centre = sign * (value_b - value_a)
    if influence is None:
        found, own = _jackknife(statistic, y, a, b, dependence, sign)
    else:
        moves_b = np.asarray(influence(y, b), dtype=np.float64)
        found = spread(sign * (moves_b - np.asarray(influence(y, a), dtype=np.float64)), dependence)
        own = spread(moves_b, dependence)
    drawn_as = dependence if influence is None else INDEPENDENT  # studentised: only the shape is drawn
    draws = list(_draws(drawn_as, n, np.random.default_rng(seed), resamples))
    drawn_b = np.array([_value(statistic, y[rows], b[rows]) for rows in draws])
    drawn = sign * (drawn_b - [_value(statistic, y[rows], a[rows]) for rows in draws])
    if influence is None:
        quantile = stretched(drawn, centre, _at_least(found, drawn))
    else:
        quantile = _studentised(drawn, centre, found, influence, (y, a, b), draws, sign)
    own_quantile = stretched(drawn_b, value_b, _at_least(own, drawn_b))
    return from_curve(
        value_a,
        value_b,
        centre,
        quantile,
        alpha=alpha,
        n=n,
        discordant=discordant,
        method="bootstrap" if influence is None else "studentised",
        found=found,
        dependence=dependence.name,
        own=(own_quantile(alpha), own_quantile(1 - alpha)),
    )


def _value(statistic: Statistic, truth: NDArray[Any], prediction: NDArray[Any]) -> float:
    value = float(statistic(truth, prediction))
    if not math.isfinite(value):
        raise UsageError(
            f"The function {getattr(statistic, '__name__', 'statistic')!r} gives no finite number.",
            given=value,
            accepted="a finite number for any sample of the rows",
        )
    return value


def _draws(dependence: Dependence, n: int, random: np.random.Generator, resamples: int) -> Iterator[NDArray[np.intp]]:
    """Rows of each resample: single rows, whole entities, or runs of neighbouring moments (in a circle)."""
    names = dependence.entities if dependence.entities is not None else dependence.times
    if names is None:
        for _ in range(resamples):
            yield random.integers(0, n, n)
        return
    _, index = np.unique(names, return_inverse=True)
    order = np.argsort(index, kind="stable")
    groups = int(index.max()) + 1
    length = 1 if dependence.entities is not None else min(math.ceil(round(groups ** (1 / 3), 9)), groups)
    circle = np.concatenate([order, order])
    edges = np.searchsorted(index[order], np.arange(groups + 1))
    edges = np.concatenate([edges, edges[1:] + n])
    for _ in range(resamples):
        starts = random.integers(0, groups, math.ceil(groups / length))
        ends = starts + length
        ends[-1] -= starts.size * length - groups  # as many blocks as there are
        yield np.concatenate([circle[edges[i] : edges[j]] for i, j in zip(starts, ends, strict=True)])


def _jackknife(
    statistic: Statistic, y: NDArray[Any], a: NDArray[Any], b: NDArray[Any], dependence: Dependence, sign: float
) -> tuple[Spread, Spread]:
    """The spread of the difference and of the challenger's value, from leaving out parts of the rows one by one."""
    found: list[tuple[Spread, Spread]] = []
    independent = _moves(statistic, y, a, b, np.arange(y.size) * min(_CHUNKS, y.size) // y.size, sign)
    if dependence.name == "independent":
        return spread(independent[0]), spread(independent[1])
    mixed = _moves(statistic, y, a, b, np.random.default_rng(0).permutation(y.size) % min(_CHUNKS, y.size), sign)
    base = spread(mixed[0]), spread(mixed[1])
    for names, ordered in ((dependence.times, True), (dependence.entities, False)):
        if names is None:
            continue
        _, index = np.unique(names, return_inverse=True)
        groups = int(index.max()) + 1
        if groups < 2:
            nothing = Spread(se=math.inf, df=1.0, design_effect=1.0, block_length=float(y.size))
            return nothing, nothing
        chunks = min(_CHUNKS, groups)
        parts = index * chunks // groups if ordered else index % chunks
        moves = _moves(statistic, y, a, b, parts, sign)
        order = Dependence(times=np.arange(chunks)) if ordered else INDEPENDENT
        found.append((spread(moves[0], order), spread(moves[1], order)))
    return _sum([one for one, _ in found], base[0], y.size), _sum([own for _, own in found], base[1], y.size)


def _sum(found: list[Spread], base: Spread, n: int) -> Spread:
    """Of two ways of dependence the variances add up; never less than independent rows would have."""
    variance = max(sum(one.se**2 for one in found), base.se**2)
    effect = variance / base.se**2 if base.se > 0 else 1.0
    df = min(one.df for one in found)
    return Spread(se=math.sqrt(variance), df=df, design_effect=effect, block_length=max(1.0, min(n / df, effect)))


def _moves(
    statistic: Statistic, y: NDArray[Any], a: NDArray[Any], b: NDArray[Any], parts: NDArray[Any], sign: float
) -> tuple[Floats, Floats]:
    """How far each part moves the difference and the challenger's value, times the number of parts."""
    count = int(parts.max()) + 1
    left = [parts != part for part in range(count)]
    of_b = np.array([_value(statistic, y[rows], b[rows]) for rows in left])
    of_both = sign * (of_b - [_value(statistic, y[rows], a[rows]) for rows in left])
    return (count - 1) * (of_both.mean() - of_both), (count - 1) * (of_b.mean() - of_b)


def _at_least(found: Spread, drawn: Floats) -> Spread:
    """``found`` with the factor by which the variance of what was drawn has to grow in place of the design effect."""
    variance = float(drawn.var(ddof=1)) if drawn.size > 1 else 0.0
    return replace(found, design_effect=max(1.0, found.se**2 / variance) if variance > 0 else 1.0)


def _studentised(
    drawn: Floats,
    centre: float,
    found: Spread,
    influence: Influence,
    rows: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    draws: list[NDArray[np.intp]],
    sign: float,
) -> Callable[[float], float]:
    """Bounds from how resamples of independent rows deviate, each in units of its own standard error."""
    y, a, b = rows
    errors = np.empty(len(draws))
    for i, chosen in enumerate(draws):
        moves = sign * (influence(y[chosen], b[chosen]) - influence(y[chosen], a[chosen]))
        errors[i] = np.asarray(moves).std(ddof=1) / math.sqrt(chosen.size)
    usable = errors > 0
    if not usable.any() or math.isinf(found.se):
        return lambda level: -math.inf if level < 0.5 else math.inf
    scores = (centre - drawn[usable]) / errors[usable]
    return stretched(centre + found.se * scores, centre, replace(found, design_effect=1.0))
