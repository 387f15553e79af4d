"""The inputs of rows as one matrix, whether they come from a holdout or from the prediction log."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.models.profile import Profile

__all__ = ["Features", "common_features", "feature_matrix"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """Inputs as numbers."""

    names: tuple[str, ...]
    matrix: NDArray[np.float64]
    """Shape (rows, names); a category is the place of its level in the profile, NaN if it is missing or unknown."""
    is_category: tuple[bool, ...]


def common_features(table: pl.DataFrame, profile: Profile, *, prefix: str, kept: Collection[str] | None) -> list[str]:
    """Inputs that the table has and that can be read as numbers or levels, in the order of their names.

    Args:
        table: With inputs as ``<prefix><name>``.
        profile: Of the version.
        prefix: What the name of an input's column starts with.
        kept: Inputs that are kept as they came; ``None``: all. A pseudonym is no level.
    """
    return sorted(
        name
        for name, column in profile.columns.items()
        if column.kind not in ("text", "array") and prefix + name in table.columns and (kept is None or name in kept)
    )


def feature_matrix(table: pl.DataFrame, profile: Profile, names: list[str], *, prefix: str = "") -> Features:
    """These inputs of every row, shape (rows, names)."""
    columns, is_category = [], []
    for name in names:
        column, values = profile.columns[name], table.get_column(prefix + name)
        is_number = column.kind in ("number", "integer")
        is_category.append(not is_number)
        if is_number:
            columns.append(values.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy())
        else:
            place = {level: float(number) for number, level in enumerate(column.levels)}
            text = values.cast(pl.String) if values.dtype != pl.Boolean else values.cast(pl.String).str.to_lowercase()
            columns.append(text.replace_strict(place, default=np.nan, return_dtype=pl.Float64).to_numpy())
    matrix = np.column_stack(columns) if columns else np.empty((len(table), 0))
    return Features(names=tuple(names), matrix=matrix, is_category=tuple(is_category))
