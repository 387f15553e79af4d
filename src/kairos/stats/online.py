"""Many questions, one after the other or all at once: how many of the answers may be false?

``e_bh`` is for e-values that are looked at together, under any dependence: sequential tests of many features. ``lord``
and ``e_lond`` are for questions that come one by one for ever, such as one challenger after the other on one holdout:
each answer is given before the next question is known.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, check_alpha, finite

__all__ = ["e_bh", "e_lond", "lord"]

Bools = NDArray[np.bool_]


def e_bh(log_e: ArrayLike, *, alpha: float) -> Bools:
    """Which of many nulls to reject, so that the expected share of false ones among them is at most alpha.

    Under any dependence between the e-values, and at any time of looking.

    Args:
        log_e: Natural logarithms of the e-values, shape (k,); ``-inf`` and ``inf`` are fine.
        alpha: Expected share of false ones among the rejected.

    Examples:
        >>> e_bh([math.log(100), math.log(35), 0.0], alpha=0.05).tolist()
        [True, True, False]

    References:
        Wang & Ramdas (JRSS-B 2022).
    """
    check_alpha(alpha)
    values = np.asarray(log_e, dtype=np.float64)
    if values.ndim != 1 or np.isnan(values).any():
        raise UsageError("E-values cannot be compared.", given="NaN, or more than one dimension", accepted="shape (k,)")
    ranked = np.sort(values)[::-1]
    enough = np.flatnonzero(
        ranked + np.log(np.arange(1, values.size + 1)) >= math.log(max(values.size, 1) / alpha) - 1e-12
    )
    if enough.size == 0:
        return np.zeros(values.size, dtype=np.bool_)
    return np.asarray(values >= ranked[enough[-1]])


def lord(p: ArrayLike, *, alpha: float, first_wealth: float | None = None) -> tuple[Bools, Floats]:
    """Which of a stream of nulls to reject, each by its own p-value and the rejections before it (LORD++).

    The expected share of false ones among the rejected is at most alpha at all times, for independent p-values.

    Args:
        p: P-values in the order of the questions, shape (n,).
        alpha: Expected share of false rejections.
        first_wealth: What the first tests may spend, above 0 and at most alpha; left out, half of it.

    Returns:
        Rejections, and the level at which each null was tested, both of shape (n,).

    References:
        Ramdas, Yang, Wainwright & Jordan (NIPS 2017), LORD++; the series of Javanmard & Montanari (2018).
    """
    check_alpha(alpha)
    values = finite("p-values", p)
    wealth = alpha / 2 if first_wealth is None else first_wealth
    if not 0 < wealth <= alpha or (values.size and (values.min() < 0 or values.max() > 1)):
        raise UsageError(
            "These p-values cannot be tested.", given=f"first wealth {wealth}", accepted="[0, 1]; (0, alpha]"
        )
    gamma = _gamma(values.size)
    rejected = np.zeros(values.size, dtype=np.bool_)
    levels = gamma * wealth
    first = True
    for t in range(values.size):
        if values[t] <= levels[t]:
            rejected[t] = True
            levels[t + 1 :] += (alpha - wealth if first else alpha) * gamma[: values.size - t - 1]
            first = False
    return rejected, levels


def e_lond(log_e: ArrayLike, *, alpha: float) -> tuple[Bools, Floats]:
    """Which of a stream of nulls to reject, each by its own e-value: also where they depend on each other.

    Args:
        log_e: Natural logarithms of the e-values, each final when the next question is asked, shape (n,).
        alpha: Expected share of false rejections.

    Returns:
        Rejections, and the level at which each null was tested (rejected from an e-value of one over it), shape (n,).

    References:
        Xu & Ramdas (AISTATS 2024), e-LOND.
    """
    check_alpha(alpha)
    values = np.asarray(log_e, dtype=np.float64)
    if values.ndim != 1 or np.isnan(values).any():
        raise UsageError("E-values cannot be compared.", given="NaN, or more than one dimension", accepted="shape (n,)")
    gamma = _gamma(values.size)
    rejected, levels = np.zeros(values.size, dtype=np.bool_), np.zeros(values.size)
    for t in range(values.size):
        levels[t] = alpha * gamma[t] * (int(rejected[:t].sum()) + 1)
        rejected[t] = values[t] >= -math.log(levels[t])
    return rejected, levels


def _gamma(n: int) -> Floats:
    """A falling series whose sum over all numbers is just under 1: how alpha is spread over the future."""
    j = np.arange(1, n + 1)
    return np.asarray(0.07720838 * np.log(np.maximum(j, 2)) / (j * np.exp(np.sqrt(np.log(j)))))
