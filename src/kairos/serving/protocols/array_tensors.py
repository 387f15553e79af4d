"""Tensors of a column of arrays: numbers, all rows of one shape, or a text of JSON a row, so that rows may differ."""

from __future__ import annotations

from typing import Any

import numpy as np

from kairos.models.arrays import array_text, like, shape_words
from kairos.models.signature import LARGEST_NUMBER, Column

__all__ = ["has_texts", "read_arrays", "tensor_shape"]


def has_texts(datatype: str, shape: tuple[int, ...]) -> bool:
    """Whether each row of a column of arrays is a text of JSON."""
    return datatype == "BYTES" and shape[1:] in ((), (1,))


def tensor_shape(column: Column) -> str:
    """The shape of a tensor of such a column, as a person is told."""
    return f"[n, {shape_words(column.shape, column.taken)[1:]}"


def read_arrays(
    column: Column, values: np.ndarray[Any, Any], shape: tuple[int, ...], *, is_text: bool
) -> np.ndarray[Any, Any]:
    """The column as ``Column.gather`` has it.

    Args:
        column: Of arrays.
        values: The elements in a row.
        shape: Of the tensor.
        is_text: Whether they are texts of JSON.

    Raises:
        InputRefused: a row does not fit.
    """
    if is_text:
        return column.gather([column.parse(array_text(text), row) for row, text in enumerate(values.tolist())])
    values = values.reshape(shape)
    is_number = values.dtype.kind in "iuf" and bool(
        (np.abs(values.astype(np.float64)) <= LARGEST_NUMBER).all()  # NaN fails every comparison
    )
    if is_number and (not column.is_whole or bool((np.floor(values) == values).all())):
        return like(values.astype(column.dtype), column.shape)
    return column.gather([column.parse(value, row) for row, value in enumerate(values.tolist())])
