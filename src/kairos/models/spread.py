"""Arrays spread over columns, for estimators that learn from a table of numbers: each number of an array is a column.

The number at ``[3]`` of the array ``vector`` is the column ``vector.3``, the one at ``[1, 2]`` of ``pixels`` is
``pixels.1.2``: brackets and commas are refused as names by LightGBM and XGBoost. They stand where the array stood, the
last place counting fastest. Only what is inside the model sees them: a request, the signature and the profile have the
array.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kairos.errors import PackageError
from kairos.models.arrays import is_free, shape_words
from kairos.models.frames import FrameColumn, column_names, frame_kind, read_column
from kairos.models.signature import Column, Signature

if TYPE_CHECKING:
    from kairos.models.training import TrainingData  # it loads scikit-learn

__all__ = [
    "MOST_SPREAD",
    "gathered",
    "has_arrays",
    "number_name",
    "number_names",
    "spread_columns",
    "spread_data",
    "spread_frame",
    "spread_signature",
]

Array = np.ndarray[Any, Any]

MOST_SPREAD = 10_000
"""Most columns that an estimator of columns is given; a frame of more takes longer to build than to learn from."""


def number_names(name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The names of an array's numbers, in their order; of what is no array its own.

    >>> number_names("pixels", (2, 2))
    ('pixels.0.0', 'pixels.0.1', 'pixels.1.0', 'pixels.1.1')
    """
    return tuple(number_name(name, at) for at in itertools.product(*map(range, shape)))


def number_name(name: str, place: Iterable[int]) -> str:
    """The name of one of an array's numbers."""
    return ".".join((name, *map(str, place)))


def has_arrays(columns: Iterable[Column | FrameColumn]) -> bool:
    """Whether one of the columns is of arrays."""
    return any(column.kind == "array" for column in columns)


def spread_signature(signature: Signature) -> Signature:
    """The signature of what the estimator is given: without arrays, each number a column."""
    if not has_arrays(signature.columns):
        return signature
    return replace(signature, columns=tuple(each for column in signature.columns for each in _numbers(column)))


def _numbers(column: Column) -> Sequence[Column]:
    if column.kind != "array":
        return [column]
    kind: Any = "integer" if column.is_whole else "number"
    names = number_names(column.name, column.shape)
    return [Column(name=name, kind=kind, lower=column.lower, upper=column.upper) for name in names]


def spread_columns(signature: Signature, columns: Mapping[str, Array]) -> Mapping[str, Array]:
    """Rows as ``Signature.parse_rows`` gives them, by the names of ``spread_signature``; views, not copies."""
    found: dict[str, Array] = {}
    for column in signature.columns:
        values = columns[column.name]
        if column.kind == "array":
            flat = values.reshape(len(values), -1)
            names = number_names(column.name, column.shape)
            found |= {name: flat[:, at] for at, name in enumerate(names)}
        else:
            found[column.name] = values
    return found


def spread_data(data: TrainingData, *, step: str) -> TrainingData:
    """The training rows as an estimator of columns learns from them.

    Raises:
        PackageError: two columns would have one name, or there would be too many.
    """
    if not has_arrays(data.columns.values()):
        return data
    shapes = {name: column.shape for name, column in data.columns.items()}
    free = [name for name, shape in shapes.items() if is_free(shape)]
    if free:
        raise PackageError(
            f"The estimator of the model step {step!r} cannot take arrays that differ in length.",
            given=", ".join(f"{name} of shape {shape_words(shapes[name])}" for name in free),
            accepted="arrays of one shape, each number of which is a column",
            hint="Make columns of them in an earlier step, such as their length and mean; or return a trained "
            "torch.nn.Module, or another object with predict.",
        )
    width = sum(math.prod(shape) for shape in shapes.values())
    if width > MOST_SPREAD:
        raise PackageError(
            f"The arrays of the model step {step!r} have too many numbers for an estimator of columns.",
            given=f"{width:,} columns, one for each number",
            accepted=f"up to {MOST_SPREAD:,}; more for a trained torch.nn.Module, or another object with predict",
        )
    names: set[str] = set()
    for name, shape in shapes.items():
        for each in number_names(name, shape):
            if each in names or (shape and each in shapes):
                raise PackageError(
                    f"The model step {step!r} would learn from two columns of the name {each!r}.",
                    given=f"a column of that name, and a number of the array {name!r}",
                    hint="Rename one of them in an earlier step.",
                )
            names.add(each)
    frame = spread_frame(data.features, list(data.columns))
    columns = {name: read_column(frame, name) for name in column_names(frame)}
    return replace(data, features=frame, columns=columns)


def spread_frame(frame: Any, names: Sequence[str]) -> Any:
    """A frame of these columns, in their order, with a column for each number of an array.

    Raises:
        PackageError: a column is of a type that no model takes.
    """
    parts: list[tuple[str, Any]] = []
    for name in names:
        column = read_column(frame, name)
        if column.kind != "array":
            parts.append((name, frame[name]))
            continue
        flat = column.values.reshape(len(column.values), -1)
        for at, each in enumerate(number_names(name, column.shape)):
            parts.append((each, np.ascontiguousarray(flat[:, at])))
    if frame_kind(frame) == "polars":
        import polars as pl  # met only when a Polars frame is

        return pl.DataFrame([pl.Series(name, values) for name, values in parts])
    import pandas as pd  # the same

    return pd.DataFrame(dict(parts), index=frame.index)


def gathered(own: Sequence[str], table: Any) -> list[str]:
    """Names of an estimator's columns as a table has them: of all numbers of an array, in their order, the array's."""
    known = set(column_names(table))
    found: list[str] = []
    left = list(own)
    while left:
        name, arrays = left[0], _beginnings(left[0]) & known
        for array in sorted(arrays) if name not in known else ():
            column = read_column(table, array)
            numbers = (
                list(number_names(array, column.shape)) if column.kind == "array" and not is_free(column.shape) else []
            )
            if numbers and left[: len(numbers)] == numbers:
                found.append(array)
                left = left[len(numbers) :]
                break
        else:
            found.append(name)
            left = left[1:]
    return found


def _beginnings(name: str) -> set[str]:
    """What stands before each dot."""
    parts = name.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts))}
