"""Columns that no model can be made of as they are: a library of trees does not take them, or no request may have them.

Such a library would say so in words of its own, or end its process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kairos.errors import DataRefused, PackageError
from kairos.models.column import LARGEST_NUMBER, LONGEST_TEXT
from kairos.models.frames import FrameColumn, FrameKind

__all__ = ["check_askable", "check_taken"]

_REFUSED: dict[tuple[str, FrameKind], frozenset[str]] = {
    # LightGBM 4.7 ends the process over them
    ("lightgbm", "polars"): frozenset({"String", "Categorical", "Enum"}),
    ("lightgbm", "pandas"): frozenset({"object", "str", "string"}),
    ("xgboost", "polars"): frozenset({"String"}),
    ("xgboost", "pandas"): frozenset({"object", "str", "string"}),
}
_NAMES = {"lightgbm": "LightGBM", "xgboost": "XGBoost"}


def check_taken(estimator: Any, kind: FrameKind, columns: Mapping[str, FrameColumn]) -> None:
    """Refuses text where the estimator itself, and no step before it, would read it.

    Args:
        estimator: Not fitted.
        kind: Of the frame that it learns from.
        columns: Its features.

    Raises:
        PackageError: there is text that the library does not take.
    """
    library = type(estimator).__module__.partition(".")[0]
    refused = _REFUSED.get((library, kind), frozenset())
    found = [
        name for name, column in columns.items() if column.kind in ("category", "text") and column.dtype in refused
    ]
    if found:
        takes = ", and enable_categorical=True" if library == "xgboost" else ""
        raise PackageError(
            f"{_NAMES[library]} does not learn from text as it is.",
            given=", ".join(f"{name} ({columns[name].dtype})" for name in found[:20]),
            accepted=f"numbers, booleans, and columns of pandas whose data type is 'category'{takes}",
            hint="Encode them in a Pipeline before it, such as make_column_transformer((OrdinalEncoder(), [...]), "
            f'remainder="passthrough"), or leave them out: @model(..., drop={found[:20]!r}).',
        )


def check_askable(columns: Mapping[str, FrameColumn], *, step: str) -> None:
    """Refuses columns with values that no request may have: a model could not be asked about what it learnt from.

    Raises:
        DataRefused: numbers are infinite or too large, or a text is too long; ``facts`` hold ``columns``.
    """
    found = {name: words for name, column in columns.items() if (words := _beyond(column))}
    if found:
        raise DataRefused(
            f"The model step {step!r} learns from values that no request may have.",
            given="; ".join(f"{name}: {words}" for name, words in found.items()),
            accepted=f"numbers between {-LARGEST_NUMBER:g} and {LARGEST_NUMBER:g}, missing ones, and texts of at most "
            f"{LONGEST_TEXT:,} characters",
            hint=f"Make others of them in an earlier step, or leave them out: @model(..., drop={sorted(found)!r}).",
            columns=sorted(found),
        )


def _beyond(column: FrameColumn) -> str | None:
    """What of its values no request may have, in words; ``None`` if all may be asked about."""
    values = column.values
    if column.kind in ("number", "integer"):
        if not len(values):
            return None
        largest = max(-float(np.fmin.reduce(values)), float(np.fmax.reduce(values)))  # NaN if all are missing
        return f"as large as {largest:g}" if largest > LARGEST_NUMBER else None
    if column.kind in ("category", "text"):
        longest = max((len(text) for text in values.tolist() if text is not None), default=0)
        return f"a text of {longest:,} characters" if longest > LONGEST_TEXT else None
    return None
