"""Features that give the target away: copies of it, multiples of it, columns that add up to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kairos.errors import ShapeMismatch
from kairos.stats.arrays import Floats

__all__ = ["Leak", "find_leakage"]

_CORRELATION = 0.9999
_FIRST = 1_000
"""Rows by which most columns are told from a copy."""
_SAMPLE = 2000
"""Rows looked at for sums: an exact sum shows itself on any rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """Columns that together give the target away."""

    columns: tuple[str, ...]
    how: str
    """For a person: ``is a copy of the target``, ``casual + registered = target``."""


def find_leakage(features: Mapping[str, NDArray[np.generic]], target: NDArray[np.generic]) -> list[Leak]:
    """Finds features that are the target in disguise; an empty list means that none of *these* disguises was found.

    Looks for exact copies (of any type), correlations above 0.9999 in absolute value, and columns whose sum or
    difference is exactly the target. Rows where a value is missing are left out. It cannot know a feature that is
    recorded after the fact but differs from the target.

    Args:
        features: Each feature per row, shape (n,); columns that are not numbers are only compared for copies.
        target: What is to be predicted, shape (n,).

    Raises:
        ShapeMismatch: a feature has another number of rows than the target.

    Examples:
        >>> casual, registered = np.array([3, 8, 5, 6]), np.array([13, 32, 27, 10])
        >>> find_leakage({"casual": casual, "registered": registered}, casual + registered)[0].how
        'casual + registered = target'
    """
    for name, values in features.items():
        if np.shape(values) != np.shape(target):
            raise ShapeMismatch(
                f"Feature {name!r} and the target are not paired.", given=f"{np.shape(values)} and {np.shape(target)}"
            )
    leaks = [
        Leak(columns=(name,), how="is a copy of the target")
        for name, values in features.items()
        if _is_copy(np.asarray(values), np.asarray(target))
    ]
    y = _numbers(target)
    if y is None or not _varies(y):
        return leaks
    copies = {leak.columns[0] for leak in leaks}
    rest = {name: x for name, values in features.items() if name not in copies and (x := _numbers(values)) is not None}
    for name in list(rest):
        r = _correlation(rest[name], y)
        if abs(r) > _CORRELATION:
            leaks.append(Leak(columns=(name,), how=f"has correlation {r:.6f} with the target"))
            del rest[name]
    total = _sum_leak(rest, y)
    return [*leaks, total] if total else leaks


def _is_copy(x: NDArray[np.generic], y: NDArray[np.generic]) -> bool:
    if x.size < 3:
        return False
    a, b = _numbers(x), _numbers(y)
    if a is None or b is None:
        return (
            a is None
            and b is None
            and bool(np.array_equal(x.astype(str), y.astype(str)))
            and np.unique(y.astype(str)).size > 1
        )
    first = np.isfinite(a[:_FIRST]) & np.isfinite(b[:_FIRST])
    if (a[:_FIRST][first] != b[:_FIRST][first]).any():
        return False  # most columns are told apart here, and a long one is not read to its end
    known = np.isfinite(a) & np.isfinite(b)
    return int(known.sum()) >= 3 and bool(np.array_equal(a[known], b[known])) and _varies(b)


def _numbers(x: NDArray[np.generic]) -> Floats | None:
    values = np.asarray(x)
    if values.dtype.kind in "biuf":
        return values.astype(np.float64, copy=False)
    if values.dtype.kind == "O" and all(v is None or isinstance(v, (int, float, np.number)) for v in values):
        return np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64)
    return None


def _varies(x: Floats) -> bool:
    known = x[np.isfinite(x)]
    return bool(known.size) and bool(known.min() < known.max())


def _correlation(x: Floats, y: Floats) -> float:
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if x.size < 4 or not _varies(x) or not _varies(y):
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / scale if scale > 0 else 0.0


def _sum_leak(features: Mapping[str, Floats], y: Floats) -> Leak | None:
    """Columns with coefficients +1 or -1 that add up to the target, by least squares and backward elimination."""
    names = [name for name, x in features.items() if np.isfinite(x).mean() > 0.5 and _varies(x)]
    if len(names) < 2:
        return None
    looked_at = 2 * _SAMPLE
    while True:  # until there are enough rows without a gap
        table = np.column_stack([features[name][:looked_at] for name in names])
        known = np.flatnonzero(np.isfinite(table).all(axis=1) & np.isfinite(y[:looked_at]))[:_SAMPLE]
        if known.size == _SAMPLE or looked_at >= y.size:
            break
        looked_at *= 8
    if known.size < 4 or not _varies(y[known]):
        return None
    table, y = table[known], y[known]
    if known.size <= len(names) + 1:
        table, names = table[:, : known.size - 2], names[: known.size - 2]
    if _exact(table, y) is None:
        return None
    kept = list(range(len(names)))
    for column in range(len(names)):
        fewer = [k for k in kept if k != column]
        if fewer and _exact(table[:, fewer], y) is not None:
            kept = fewer
    signs = _exact(table[:, kept], y)
    if signs is None or not np.allclose(np.abs(signs), 1.0, atol=1e-6):
        return None
    words = "".join(f" {'+' if s > 0 else '-'} {names[k]}" for s, k in zip(signs, kept, strict=True))
    return Leak(columns=tuple(names[k] for k in kept), how=f"{words.removeprefix(' + ').strip()} = target")


def _exact(table: Floats, y: Floats) -> Floats | None:
    """Coefficients that reproduce ``y`` without error, or ``None``. Columns are scaled first, for stability."""
    scale = np.linalg.norm(table, axis=0)
    scale[scale == 0] = 1.0
    solution = np.linalg.lstsq(table / scale, y, rcond=None)[0]
    error = float(np.linalg.norm(table / scale @ solution - y))
    return solution / scale if error <= 1e-9 * float(np.linalg.norm(y)) else None
