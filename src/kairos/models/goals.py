"""What a model is to predict: the target's values, or those of several, and the outputs that follow from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kairos.errors import DataRefused, PackageError
from kairos.gates.loss_names import CHANCE_LOSSES, pinball_quantiles
from kairos.models.arrays import shape_words
from kairos.models.frames import FrameColumn, read_column
from kairos.models.outputs import ClassName, Output, check_outputs

__all__ = ["MOST_CLASSES", "Goal", "lead_truth", "read_goal", "truth_of"]

MOST_CLASSES = 100
"""Most classes that a model tells apart by their chances."""

_OF_CLASSES = (*sorted(CHANCE_LOSSES), "zero_one")
_OF_SEVERAL = ("absolute_error", "squared_error", "pinball:QUANTILE")


class Goal(NamedTuple):
    """What is learnt."""

    values: np.ndarray[Any, Any]
    """Float64, finite: shape (n,), or (n, targets); of a class its places in the output's classes."""
    outputs: tuple[Output, ...]
    """None: one number a row."""


def read_goal(table: Any, targets: Sequence[str], *, loss: str | None, step: str) -> Goal:
    """Reads the target, or several, and tells from the loss what answers it.

    A text target is a class, and so is a number other than 0 and 1 that is judged by its chances. A pinball loss of
    several quantiles asks for all of them.

    Args:
        table: Polars or pandas.
        targets: Names of columns.
        loss: Of the model; ``None``: only numbers are read.
        step: Name of the model step.

    Raises:
        DataRefused: a target is missing in a row, is no number where one is needed, or has too many classes.
        PackageError: the loss is not one of several targets.
    """
    quantiles = pinball_quantiles(loss) if loss is not None else ()
    if len(targets) > 1:
        if loss in _OF_CLASSES or len(quantiles) > 1:
            raise PackageError(
                f"The model step {step!r} has several targets, and its loss is not one of several.",
                given=loss,
                accepted=", ".join(_OF_SEVERAL),
            )
        outputs = tuple(Output(name=name) for name in targets)
        check_outputs(outputs)
        return Goal(np.column_stack([_numbers(table, name, step) for name in targets]), outputs)
    (target,) = targets
    column = read_column(table, target)
    if column.kind in ("category", "text"):
        return _named_classes(column, loss, step)
    values = _numbers(table, target, step)
    if loss in CHANCE_LOSSES and not np.isin(values, (0.0, 1.0)).all():
        return _numbered_classes(values, target, loss, step)
    if len(quantiles) > 1:
        return Goal(values, (Output(name=target, kind="quantiles", quantiles=quantiles),))
    return Goal(values, ())


def truth_of(table: Any, targets: Sequence[str], outputs: Sequence[Output]) -> np.ndarray[Any, Any]:
    """The truth of a table's rows as a loss takes it beside answers of such outputs.

    Args:
        table: Polars or pandas; the target is known in every row.
        targets: Names of columns.
        outputs: Of the model; none: the column as it is.

    Returns:
        Shape (n,), or (n, targets); of a class its place, -1 for one that the model does not know.
    """
    if len(targets) > 1:
        return np.column_stack([read_column(table, name).values.astype(np.float64) for name in targets])
    if outputs and outputs[0].kind == "class":
        return outputs[0].codes(read_column(table, targets[0]).values.tolist())
    return np.asarray(table[targets[0]].to_numpy())


def lead_truth(truth: np.ndarray[Any, Any], outputs: Sequence[Output]) -> np.ndarray[Any, Any]:
    """What ``truth_of`` gave as one number a row, as ``leads`` has answers; NaN for a class that is not known.

    Args:
        truth: Shape (n,) or (n, targets).
        outputs: Of the model.
    """
    if truth.ndim == 2:
        return np.asarray(truth[:, 0], dtype=np.float64)
    if not outputs or outputs[0].kind != "class":
        return truth.astype(np.float64)
    first = outputs[0]
    numbers = np.arange(len(first.classes)) if first.has_text else np.array(first.classes)
    places = truth.astype(np.int64)
    return np.where(places >= 0, numbers[np.maximum(places, 0)].astype(np.float64), np.nan)


def _named_classes(column: FrameColumn, loss: str | None, step: str) -> Goal:
    if loss not in _OF_CLASSES:
        raise DataRefused(
            f"The target {column.name!r} of the model {step!r} is not a number.",
            given=column.dtype,
            accepted=f"a number; of names of classes a loss of {', '.join(_OF_CLASSES)}",
        )
    missing = sum(value is None for value in column.values)
    if missing or not len(column.values):
        raise _unknown(column.name, step, "a class", missing, len(column.values))
    return _classes(column.name, sorted(set(column.values.tolist())), column.values.tolist(), step)


def _numbered_classes(values: np.ndarray[Any, Any], target: str, loss: str | None, step: str) -> Goal:
    if not (np.mod(values, 1) == 0).all():
        raise DataRefused(
            f"The model step {step!r} is judged by the {loss}, but its target is not a class in every row.",
            accepted="two classes, written as 0 and 1; or a whole number for each class, or its name",
        )
    whole = values.astype(np.int64).tolist()
    return _classes(target, sorted(set(whole)), whole, step)


def _classes(target: str, classes: Sequence[ClassName], values: Sequence[ClassName], step: str) -> Goal:
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise DataRefused(
            f"The target {target!r} of the model {step!r} has too {'many' if len(classes) > 2 else 'few'} classes.",
            given=len(classes),
            accepted=f"from 2 to {MOST_CLASSES}",
        )
    output = Output(name=target, kind="class", classes=tuple(classes))
    check_outputs([output])
    return Goal(output.codes(values), (output,))


def _numbers(table: Any, target: str, step: str) -> np.ndarray[Any, Any]:
    column = read_column(table, target)
    if column.kind == "array":
        raise DataRefused(
            f"The target {target!r} of the model {step!r} holds arrays.",
            given=f"arrays of shape {shape_words(column.shape)}",
            accepted="numbers; of several steps or places a column for each",
            hint=f"Make them in an earlier step, table.with_columns(pl.col({target!r}).list.to_struct(fields=names))"
            f".unnest({target!r}), and name them all: @model(target=names).",
        )
    if column.kind not in ("number", "integer", "boolean"):
        raise DataRefused(f"The target {target!r} of the model {step!r} is not a number.", given=column.dtype)
    values = np.array([math.nan if v is None else float(v) for v in column.values])
    bad = int((~np.isfinite(values)).sum())
    if bad or not values.size:
        raise _unknown(target, step, "a finite number", bad, values.size)
    return values


def _unknown(target: str, step: str, what: str, bad: int, rows: int) -> DataRefused:
    return DataRefused(
        f"The target {target!r} of the model {step!r} is not {what} in every row.",
        given=f"{bad} of {rows} rows",
        hint="Drop or repair these rows in an earlier step.",
    )
