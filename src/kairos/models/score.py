"""A package's predictions for the rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from kairos.errors import PackageError, did_you_mean
from kairos.models.arrays import FREE, like, shape_words
from kairos.models.frames import FrameColumn, read_column
from kairos.models.outputs import named
from kairos.models.package import Package
from kairos.models.signature import Column, ColumnKind

__all__ = ["named_answers", "score_columns", "score_table"]


def score_table(package: Package, table: Any) -> np.ndarray[Any, Any]:
    """Predicts each row, as the server would but for the output guard.

    Args:
        package: Opened.
        table: Polars or pandas; columns that the model does not know are left aside.

    Returns:
        One number a row, shape (n,), float64; of a model of several outputs shape (n, numbers), which ``named_answers``
        puts names to.

    Raises:
        PackageError: the table lacks a column of the model, or holds it as another kind.
    """
    return package.runner().predict(score_columns(package, table))


def named_answers(package: Package, answers: np.ndarray[Any, Any]) -> dict[str, list[Any]]:
    """What a package says of many rows, as columns by the names that it leaves the server by.

    Args:
        package: Whose answers these are.
        answers: What ``score_table`` gave.
    """
    outputs = package.spec.signature.outputs
    return named(outputs, answers.tolist()) if outputs else {"prediction": answers.tolist()}


def score_columns(package: Package, table: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of a table as the package's runner takes them.

    Raises:
        PackageError: the table lacks a column of the model, or holds it as another kind.
    """
    names = [str(name) for name in table.columns]
    missing = [name for name in package.spec.signature.names if name not in names]
    if missing:
        raise PackageError(
            f"The table lacks the column {missing[0]!r} of the model {package.spec.model!r}.",
            accepted=", ".join(package.spec.signature.names),
            hint=did_you_mean(missing[0], names),
        )
    read = [(column, read_column(table, column.name)) for column in package.spec.signature.columns]
    for column, found in read:
        if _is_text(found.kind) != _is_text(column.kind) or not _is_of_shape(found, column):
            raise PackageError(
                f"The table holds the column {column.name!r} of the model {package.spec.model!r} as another kind.",
                given=f"arrays of shape {shape_words(found.shape)}" if found.shape else found.kind,
                accepted=f"arrays of shape {shape_words(column.shape)}" if column.shape else column.kind,
            )
    return {column.name: like(found.values, column.shape) for column, found in read}


def _is_of_shape(found: FrameColumn, column: Column) -> bool:
    """Whether the cells have as many axes, of the same length where that is fixed."""
    if not column.is_free or len(found.shape) != len(column.shape):
        return found.shape == column.shape
    return all(want in (FREE, have) for have, want in zip(found.shape, column.shape, strict=True))


def _is_text(kind: ColumnKind) -> bool:
    return kind in ("category", "text")
