"""Checks that every procedure makes on what it is given: shape, finiteness, range."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kairos.errors import ShapeMismatch, UsageError

__all__ = ["Floats", "Ints", "check_alpha", "check_range", "finite", "finite_series", "pair", "two_counts"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def finite(name: str, x: ArrayLike) -> Floats:
    """Returns ``x`` as float64, one-dimensional, or refuses it if a value is NaN or infinite."""
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1:
        raise ShapeMismatch(f"{name} must be one-dimensional.", given=f"shape {values.shape}", accepted="shape (n,)")
    return _all_finite(name, values)


def finite_series(name: str, x: ArrayLike) -> Floats:
    """The same for one series or several, shape (n,) or (series, n), time last."""
    values = np.asarray(x, dtype=np.float64)
    if values.ndim not in (1, 2):
        raise ShapeMismatch(f"{name} must be series.", given=f"shape {values.shape}", accepted="(n,) or (series, n)")
    return _all_finite(name, values)


def pair(first_name: str, first: ArrayLike, second_name: str, second: ArrayLike) -> tuple[Floats, Floats]:
    """Returns two arrays of equal length; refuses lengths that differ, since rows must be paired."""
    a, b = finite(first_name, first), finite(second_name, second)
    if a.shape != b.shape:
        raise ShapeMismatch(
            f"{first_name} and {second_name} are not paired.",
            given=f"{a.size} and {b.size} rows",
            accepted="one value of each per row, in the same order",
        )
    return a, b


def check_alpha(alpha: float) -> float:
    """Returns ``alpha`` if it is a chance of error, strictly between 0 and 1."""
    if not 0.0 < alpha < 1.0:
        raise UsageError("alpha is not a chance of error.", given=alpha, accepted="a number strictly between 0 and 1")
    return float(alpha)


def check_range(name: str, x: Floats, lower: float, upper: float) -> None:
    """Refuses values outside ``[lower, upper]``: a bound that does not hold voids the guarantee."""
    if not lower < upper:
        raise UsageError("The range is empty.", given=f"[{lower}, {upper}]", accepted="lower < upper")
    if x.size and (x.min() < lower or x.max() > upper):
        raise UsageError(
            f"{name} has values outside its stated range.",
            given=f"values from {x.min():g} to {x.max():g}",
            accepted=f"[{lower:g}, {upper:g}]",
            hint="Clip the values first and report how many were clipped.",
        )


def _all_finite(name: str, values: Floats) -> Floats:
    bad = ~np.isfinite(values)
    if bad.any():
        first = ", ".join(str(index) for index in np.argwhere(bad)[0].tolist())
        raise UsageError(
            f"{name} has values that are not finite.",
            given=f"{int(bad.sum())} of {values.size}, the first at index {first}",
            accepted="finite numbers",
        )
    return values


def two_counts(reference_counts: ArrayLike, counts: ArrayLike) -> tuple[Floats, Floats]:
    """Two histograms over the same cells as arrays of shape (B,), B of 1 or more.

    Args:
        reference_counts: Rows per cell of the reference, shape (B,).
        counts: Rows per cell of the window, shape (B,).

    Raises:
        ShapeMismatch: they are not of the same cells.
        UsageError: a count is negative or infinite.
    """
    a, b = np.asarray(reference_counts, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise ShapeMismatch("The two counts are not of the same cells.", given=f"shapes {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or min(a.min(), b.min()) < 0:
        raise UsageError("A count is not a number of rows.", given="a negative or infinite one", accepted="0, 1, 2, …")
    return a, b
