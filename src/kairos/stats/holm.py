"""Several tests at once: Holm for what may stop a release or page somebody, Benjamini-Hochberg for reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kairos.errors import UsageError
from kairos.stats.arrays import Floats, finite

__all__ = ["benjamini_hochberg", "holm"]


def holm(p: ArrayLike) -> Floats:
    """Adjusted p-values whose use keeps the chance of *any* false alarm at alpha, under any dependence.

    Args:
        p: P-values, shape (k,), each in [0, 1].

    Returns:
        Adjusted p-values in the same order; reject where they are at most alpha.

    Examples:
        >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.06, 0.06]

    References:
        Holm (1979), step-down Bonferroni.
    """
    values = _p_values(p)
    order = np.argsort(values, kind="stable")
    factors = np.arange(values.size, 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return _put_back(adjusted, order)


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Adjusted p-values whose use keeps the expected share of false ones among the reported at alpha.

    Valid for independent or positively dependent tests; never use it for what blocks or pages.

    Examples:
        >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.04, 0.04]

    References:
        Benjamini & Hochberg (1995).
    """
    values = _p_values(p)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * values.size / np.arange(1, values.size + 1)
    adjusted = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return _put_back(adjusted, order)


def _p_values(p: ArrayLike) -> Floats:
    values = finite("p-values", p)
    if values.size and (values.min() < 0 or values.max() > 1):
        raise UsageError(
            "A p-value is outside [0, 1].", given=f"{values.min():g} to {values.max():g}", accepted="[0, 1]"
        )
    return values


def _put_back(adjusted: Floats, order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Floats:
    out = np.empty_like(adjusted)
    out[order] = adjusted
    return out
