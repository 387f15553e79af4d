"""Rows of the past, weighted so that their inputs look like those of now; and when that cannot be done.

Weights come from a domain classifier: the chance that a row is a new one, given its inputs, from a model that did not
see that row. They are the basis of estimates that adapt to a shift of inputs, and of a warning where none can.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha, finite

__all__ = ["JointEstimate", "ShiftWeights", "joint_estimate", "shift_weights"]

_NEAREST = 1e-3
"""No chance counts as nearer to 0 or 1 than this: one row must not outweigh all others."""

_SURELY_NEW = 0.95
_MOST_SURELY_NEW = 0.01
_LEAST_EFFECTIVE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShiftWeights:
    """How much each row of the reference counts, so that together they look like the new rows."""

    weights: Floats
    """Shape (n,), above 0, mean 1."""
    effective_share: float
    """The part of the reference's rows that the weighted ones are worth, in (0, 1] (Kish)."""
    uncovered_share: float
    """The part of the new rows that have no counterpart in the reference: they are new with a chance above 95 %."""

    @property
    def is_sound(self) -> bool:
        """Whether the weights can be relied on: worth at least 30 % of the rows, at most 1 % without counterpart."""
        return self.effective_share >= _LEAST_EFFECTIVE and self.uncovered_share <= _MOST_SURELY_NEW


def shift_weights(chance_of_reference: ArrayLike, chance_of_new: ArrayLike) -> ShiftWeights:
    """Weights from a domain classifier.

    Args:
        chance_of_reference: Of each row of the reference to be a new one, in [0, 1], shape (n,); of a model that was
            fitted without that row, on references and new rows as many as there are.
        chance_of_new: The same of each new row, shape (m,).

    Examples:
        >>> shift_weights([0.5, 0.5], [0.5, 0.5]).effective_share
        1.0

    References:
        Bickel, Brückner & Scheffer (2007) for the weights; Kish (1965) for their effective number.
    """
    old, new = _odds("chance_of_reference", chance_of_reference), _odds("chance_of_new", chance_of_new)
    if old.size == 0 or new.size == 0:
        raise UsageError("Weights need rows of both kinds.", given=f"{old.size} of the reference, {new.size} new")
    balance = old.size / new.size  # as if there were as many rows of either kind
    weights = old * balance
    weights /= weights.mean()
    return ShiftWeights(
        weights=weights,
        effective_share=float(weights.sum() ** 2 / (weights**2).sum() / weights.size),
        uncovered_share=float((new * balance > _SURELY_NEW / (1 - _SURELY_NEW)).mean()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JointEstimate:
    """What several estimators say together, none of which is right under every change."""

    value: float
    """Of the first of them."""
    lower: float
    """The smallest of them, less its sampling error."""
    upper: float
    """The largest of them, plus its sampling error."""
    disagreement: float
    """The largest less the smallest, in standard errors of one of them."""


def joint_estimate(values: Sequence[float], errors: Sequence[float], *, alpha: float = 0.05) -> JointEstimate:
    """An interval that holds all estimates, each widened by its own sampling error.

    Args:
        values: One for each estimator, the preferred one first.
        errors: Their standard errors, above 0, as many.
        alpha: Chance that sampling alone leads outside, in (0, 1).

    Examples:
        >>> found = joint_estimate([0.90, 0.92], [0.005, 0.01])
        >>> round(found.lower, 3), round(found.upper, 3), round(found.disagreement, 1)
        (0.89, 0.94, 4.0)
    """
    check_alpha(alpha)
    if len(values) != len(errors) or not values or not all(error > 0 for error in errors):
        raise UsageError("Estimates and their errors do not fit.", given=f"{len(values)} and {list(errors)}")
    z = float(special.ndtri(1 - alpha / 2))
    spread = max(values) - min(values)
    return JointEstimate(
        value=values[0],
        lower=min(value - z * error for value, error in zip(values, errors, strict=True)),
        upper=max(value + z * error for value, error in zip(values, errors, strict=True)),
        disagreement=spread / min(errors) if math.isfinite(spread) else math.inf,
    )


def _odds(name: str, chances: ArrayLike) -> Floats:
    p = finite(name, chances)
    if p.size and (p.min() < 0 or p.max() > 1):
        raise UsageError(f"{name} is outside of [0, 1].", given=f"{p.min():g} to {p.max():g}")
    p = np.clip(p, _NEAREST, 1 - _NEAREST)
    return p / (1 - p)
