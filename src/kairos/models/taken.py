"""Columns that a library of trees cannot take as they are: it would say so in words of its own, or end its process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kairos.errors import PackageError
from kairos.models.frames import FrameColumn, FrameKind

__all__ = ["check_taken"]

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
