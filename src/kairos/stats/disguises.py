"""Features that tell the target without being equal to it: one to one, in the same order, nearly in a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kairos.errors import ShapeMismatch
from kairos.stats.arrays import Floats, Ints

__all__ = ["Disguise", "find_disguises"]

_FEWEST_ROWS = 20
_LINE = 0.99
_ORDER = 0.9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Disguise:
    """One feature that tells the target, and how."""

    column: str
    how: str
    """For a person: ``orders all rows as the target does``."""
    sure: Literal["certain", "likely", "possible"]
    rows: int
    """Rows that show it: those in which neither is missing."""


def find_disguises(features: Mapping[str, NDArray[np.generic]], target: NDArray[np.generic]) -> list[Disguise]:
    """Finds single features from which the target can be read off; at most one finding for each.

    - *certain*: each value of one goes with exactly one value of the other, and values come twice on average; or all
      rows have the same order by both, ties included.
    - *likely*: the order is the same but for a few rows (rank correlation above 0.9999).
    - *possible*: each of the feature's values goes with one value of the target, as an identifier's does where the
      truth belongs to the entity; or the correlation is above 0.99, as a good feature's may be.

    Exact copies and sums are found by ``kairos.stats.leakage``. Rows where either is missing are left out; at least
    20, and half of all, have to remain.

    Args:
        features: Each feature per row, shape (n,); numbers, booleans, or objects, ``None`` or NaN where missing.
        target: What is to be predicted, shape (n,).

    Raises:
        ShapeMismatch: a feature has another number of rows than the target.

    Examples:
        >>> churned = np.arange(40) % 3 == 0
        >>> reason = np.where(churned, "cancelled", "active")
        >>> find_disguises({"reason": reason}, churned)[0].how
        'goes with one value of the target each, and the reverse'
    """
    known_target = ~_missing(target)
    found = []
    for name, values in features.items():
        if np.shape(values) != np.shape(target):
            raise ShapeMismatch(
                f"Feature {name!r} and the target are not paired.", given=f"{np.shape(values)} and {np.shape(target)}"
            )
        known = known_target & ~_missing(values)
        rows = int(known.sum())
        if rows < _FEWEST_ROWS or 2 * rows < known.size:
            continue
        how = _how(values[known], target[known])
        if how is not None:
            found.append(Disguise(column=name, how=how[0], sure=how[1], rows=rows))
    return found


def _how(x: NDArray[np.generic], y: NDArray[np.generic]) -> tuple[str, Literal["certain", "likely", "possible"]] | None:
    x_codes, y_codes = _codes(x), _codes(y)
    x_levels, y_levels = int(x_codes.max()) + 1, int(y_codes.max()) + 1
    if x_levels < 2 or y_levels < 2:
        return None
    pairs = np.unique(x_codes * y_levels + y_codes).size
    is_repeated = 2 * x_levels <= x.size
    if is_repeated and pairs == x_levels == y_levels:
        return "goes with one value of the target each, and the reverse", "certain"
    if not _is_number(x) or not _is_number(y):
        return ("goes with one value of the target each", "possible") if is_repeated and pairs == x_levels else None
    order = abs(_correlation(_ranks(x_codes), _ranks(y_codes)))
    if order > 1 - 1e-12 and y_levels >= _FEWEST_ROWS:
        return "orders all rows as the target does", "certain"
    if order > _ORDER and y_levels >= _FEWEST_ROWS:
        return f"orders rows as the target does (rank correlation {order:.6f})", "likely"
    if is_repeated and pairs == x_levels:
        return "goes with one value of the target each", "possible"
    line = _correlation(x.astype(np.float64), y.astype(np.float64))
    return (f"is nearly in a line with the target (correlation {line:.4f})", "possible") if abs(line) > _LINE else None


def _missing(x: NDArray[np.generic]) -> NDArray[np.bool_]:
    values = np.asarray(x)
    if values.dtype.kind == "f":
        return ~np.isfinite(values)
    if values.dtype.kind == "O":
        return np.array([value is None or value != value for value in values], dtype=bool)
    return np.zeros(values.shape, dtype=bool)


def _is_number(x: NDArray[np.generic]) -> bool:
    return x.dtype.kind in "biuf"


def _codes(x: NDArray[np.generic]) -> Ints:
    """Each value's place among the distinct ones, in their order; shape (n,), from 0."""
    values = x if _is_number(x) else x.astype(str)
    codes: Ints = np.unique(values, return_inverse=True)[1].astype(np.int64)
    return codes


def _ranks(codes: Ints) -> Floats:
    """Ranks, ties have their mean."""
    counts = np.bincount(codes)
    return (np.cumsum(counts) - (counts - 1) / 2)[codes]


def _correlation(x: Floats, y: Floats) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / scale if scale > 0 else 0.0
