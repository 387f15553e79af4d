"""What a package promises of its inputs, and in which form its estimator is run: found out by trying."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from kairos.models.arrays import FREE, is_free, nested
from kairos.models.frames import FrameColumn
from kairos.models.lengths import with_lengths
from kairos.models.ports import Runner
from kairos.models.profile import QUANTILES, ColumnProfile
from kairos.models.runner import choose_form, make_runner
from kairos.models.signature import Column, OutputSpec, Signature
from kairos.models.spec import Method, TrainingForm
from kairos.models.training import TrainingData
from kairos.values import Json

__all__ = ["Sealed", "seal", "typical"]

Columns = Mapping[str, np.ndarray[Any, Any]]

_TRIED_ROWS = 1000
"""Rows on which the runner is compared with the estimator."""


class Sealed(NamedTuple):
    """What was found out."""

    form: TrainingForm
    signature: Signature
    """What is asked of a request."""
    own: Signature
    """The same as the estimator has it: each number of an array a column."""


def seal(
    estimator: Any, data: TrainingData, spread: TrainingData, method: Method, output: OutputSpec, *, step: str
) -> Sealed:
    """Tries in which form the estimator is run, and whether it answers for levels that training did not hold.

    Args:
        estimator: Fitted.
        data: The training rows as requests will have them.
        spread: The same as the estimator learnt from them.
        method: Of the estimator, that answers.
        output: What it may answer.
        step: Name of the model step.

    Raises:
        PackageError: in no form does it predict the same from a request as from its table.
    """
    own = Signature(columns=tuple(map(_column, spread.columns.values())), output=output, outputs=data.outputs)
    arrays = {name: values[:_TRIED_ROWS] for name, values in spread.arrays.items()}
    dtypes = {name: column.dtype for name, column in spread.columns.items()}
    form = choose_form(estimator, spread.features.head(_TRIED_ROWS), data.kind, arrays, dtypes, own, method)
    if form.kind != "matrix" or any(column.is_free for column in own.columns):
        runner = make_runner(estimator, signature=own, form=form, method=method)
        one = {name: values[:1] for name, values in arrays.items()}
        own = replace(own, columns=tuple(_opened(column, runner, one, spread.columns) for column in own.columns))
    if spread is data:
        return Sealed(form, own, own)
    tried = {column.name: column for column in own.columns}
    columns = tuple(tried.get(name) or _column(column) for name, column in data.columns.items())
    return Sealed(form, replace(own, columns=columns), own)


def _opened(column: Column, runner: Runner, row: Columns, columns: Mapping[str, FrameColumn]) -> Column:
    if column.is_free:
        return with_lengths(column, runner, row, columns[column.name].values)
    if column.kind != "category":
        return column
    return replace(column, open_levels=_answers_unseen(runner, row, column.name))


def _column(column: FrameColumn) -> Column:
    if column.kind == "array":
        cells = [cell for cell in column.values if cell.size]
        seen = tuple((min(each), max(each)) for each in zip(*(cell.shape for cell in column.values), strict=True))
        return Column(
            name=column.name,
            kind="array",
            lower=float(min(cell.min() for cell in cells)),
            upper=float(max(cell.max() for cell in cells)),
            shape=column.shape,
            is_whole=column.is_whole,
            seen=seen if is_free(column.shape) else (),
            taken=seen if is_free(column.shape) else (),
        )
    if column.kind in ("number", "integer"):
        finite = column.values[np.isfinite(column.values)]
        lower, upper = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
        missing = bool(np.isnan(column.values).any())
        return Column(name=column.name, kind=column.kind, nullable=missing, lower=lower, upper=upper)
    missing = None in column.values.tolist()
    return Column(
        name=column.name, kind=column.kind, nullable=missing, levels=column.levels, rare_levels=column.rare_levels
    )


def _answers_unseen(runner: Runner, row: Columns, name: str) -> bool:
    try:
        answer = runner.predict({**row, name: np.array(["\N{LATIN SMALL LETTER O WITH STROKE} unseen"], dtype=object)})
    except Exception:  # however the estimator says no, it is a no
        return False
    return bool(np.isfinite(answer).all())


def _usual_shape(column: Column, profile: ColumnProfile) -> tuple[int, ...]:
    """Of one free axis the length in the middle of training; of several their shortest."""
    lengths = profile.summaries.get("length")
    if lengths is None or column.shape.count(FREE) != 1:
        return column.example_shape
    rows = np.cumsum(lengths.counts[1:-2])  # of each bin, which holds its upper edge
    middle = math.floor(lengths.edges[1 + int(np.searchsorted(rows, rows[-1] / 2))])
    return tuple(middle if length == FREE else length for length in column.shape)


def typical(column: Column, profile: ColumnProfile) -> Json:
    """A value that the column accepts and that is nobody's: the median, or the most frequent level."""
    if column.kind == "text":
        return ""
    if column.kind == "array":
        middle = profile.quantiles[QUANTILES.index(0.5)]
        return nested(math.floor(middle) if column.is_whole else middle, _usual_shape(column, profile))
    if column.kind in ("number", "integer"):
        if not profile.quantiles:
            return None
        median = profile.quantiles[QUANTILES.index(0.5)]
        return math.floor(median) if column.kind == "integer" else median
    if not profile.levels:
        return None
    return profile.levels[0] == "true" if column.kind == "boolean" else profile.levels[0]
