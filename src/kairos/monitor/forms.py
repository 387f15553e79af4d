"""Where rows of the prediction log have what a loss takes: of one number two columns, of several outputs more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.models.outputs import ClassName, Output, among
from kairos.monitor.judgeable import LossOf, judgeable, proper
from kairos.store.records import OUTPUT_PREFIX, TRUTH_PREFIX

__all__ = ["ONE_NUMBER", "AnswerForm", "in_one_form"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """What a version answers a row with, and so what a label of it has to say."""

    outputs: tuple[Output, ...] = ()
    """None: one number."""
    ranks: bool = False
    """Whether it ranks the rows of a request against each other: then a request is what has a loss."""
    classes: tuple[ClassName, ...] = ()
    """In which chances are judged: its own, and those of the version that it is compared with."""

    @property
    def has_error(self) -> bool:
        """Whether prediction minus label says in which direction the lead is off: not of a class, or of quantiles."""
        return not self.ranks and (not self.outputs or self.outputs[0].kind == "number")

    @property
    def is_plain(self) -> bool:
        """Whether a row has a loss of its own, of the one number that answered it."""
        return not self.outputs and not self.ranks

    @property
    def targets(self) -> tuple[str, ...]:
        """Of several targets their names; none of anything else."""
        return tuple(each.name for each in self.outputs) if len(self.outputs) > 1 else ()

    def targets_beside_lead(self, rows: pl.DataFrame) -> list[tuple[str, NDArray[Any], NDArray[Any]]]:
        """Each target but the first with what was true and what left, shape (n,), of rows of ``labelled``."""
        if len(self.targets) < 2:
            return []
        truth, answers = self.truth(rows), self.answers(rows)
        return [(name, truth[:, at], answers[:, at]) for at, name in enumerate(self.targets) if at]

    def labelled(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with the lead's truth as their ``label``, null where not all is known.

        Args:
            rows: As ``PredictionLog.labelled`` or ``truths`` gives them. Of several targets each has to be known. The
                name of a class is its place, -1 if it is none of them. Of a model that ranks a row for each request
                whose labels tell of an order, with lists of its rows' numbers; its ``label`` is 0.
        """
        if self.ranks:
            return _requests(rows)
        if not self.outputs:
            return rows
        first = self.outputs[0]
        if len(self.outputs) > 1:
            truth = self.truth(rows)
            known = np.where(np.isfinite(truth).all(axis=1), truth[:, 0], np.nan)
        elif first.has_text:
            number = _floats(rows, "label")
            known = np.where(np.isnan(place := self.truth(rows)), number, place)
        else:
            return rows
        return rows.with_columns(label=pl.Series(known, dtype=pl.Float64).fill_nan(None))

    def truth(self, rows: pl.DataFrame) -> NDArray[Any]:
        """What was true, as the loss takes it, NaN where it is not known: shape (n,) or (n, targets)."""
        if self.ranks:
            return _padded(rows, _LISTED + "label", math.nan)
        if not self.outputs:
            return rows["label"].to_numpy()
        first = self.outputs[0]
        if len(self.outputs) > 1:
            return np.column_stack([_floats(rows, TRUTH_PREFIX + output.name) for output in self.outputs])
        if first.kind != "class":
            return _floats(rows, "label")
        places: dict[object, float] = {each: float(place) for place, each in enumerate(self.classes or first.classes)}
        column = "label_text" if first.has_text else "label"
        said = rows[column].to_list() if column in rows.columns else [None] * len(rows)
        return np.array([_place(value, places) for value in said], dtype=np.float64)

    def answers(self, rows: pl.DataFrame, *, suffix: str = "") -> NDArray[Any]:
        """What left, as the loss takes it: shape (n,) or (n, numbers); NaN where nothing did.

        Args:
            rows: Of the prediction log.
            suffix: Behind the names of the columns.
        """
        if self.ranks:
            return _padded(rows, _LISTED + "output" + suffix, 0.0)
        if not self.outputs:
            return rows["output" + suffix].to_numpy()
        names = [name for output in self.outputs for name in output.names]
        found = np.column_stack([_floats(rows, OUTPUT_PREFIX + name + suffix) for name in names])
        first = self.outputs[0]
        return among(first, self.classes, found) if first.kind == "class" and self.classes else found

    def proper(self, loss_of: LossOf, rows: pl.DataFrame) -> NDArray[np.bool_]:
        """Whether each row's label is one that the loss takes, shape (n,)."""
        truth = self.truth(rows)
        if self.ranks:
            return judgeable(loss_of, truth, np.zeros_like(truth))
        if not self.outputs:
            return proper(loss_of, truth)
        return _all_finite(truth)

    def judgeable(self, loss_of: LossOf, rows: pl.DataFrame, *, suffix: str = "") -> NDArray[np.bool_]:
        """Whether the loss of each row can be computed, shape (n,)."""
        truth, answers = self.truth(rows), self.answers(rows, suffix=suffix)
        known = _all_finite(np.nan_to_num(truth) if self.ranks else truth) & _all_finite(answers)
        known[known] = judgeable(loss_of, truth[known], answers[known])
        return known

    def losses(self, loss_of: LossOf, rows: pl.DataFrame, *, suffix: str = "") -> NDArray[np.float64]:
        """The loss of each row, shape (n,); NaN where it cannot be computed."""
        known = self.judgeable(loss_of, rows, suffix=suffix)
        usable = rows.filter(pl.Series(known, dtype=pl.Boolean))
        losses = np.full(len(rows), math.nan)
        losses[known] = loss_of(self.truth(usable), self.answers(usable, suffix=suffix))
        return losses

    def with_losses(self, loss_of: LossOf, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with the lead's truth as ``label``, and their ``loss``, null where it cannot be computed."""
        found = self.labelled(rows)
        return found.with_columns(loss=pl.Series(self.losses(loss_of, found), dtype=pl.Float64).fill_nan(None))


ONE_NUMBER = AnswerForm()

_LISTED = "list."
"""What the name of a column with the numbers of a request's rows starts with."""


def in_one_form(one: AnswerForm, other: AnswerForm) -> tuple[AnswerForm, AnswerForm]:
    """Two versions' forms, judged in the classes of both: each gives chance 0 to what it does not know."""
    if not (one.outputs and other.outputs) or one.outputs[0].kind != "class":
        return one, other
    mine, theirs = one.outputs[0].classes, other.outputs[0].classes
    classes = (*mine, *(each for each in theirs if each not in mine))
    return AnswerForm(outputs=one.outputs, classes=classes), AnswerForm(outputs=other.outputs, classes=classes)


def _requests(rows: pl.DataFrame) -> pl.DataFrame:
    """A row for each request and version, of the rows that have labels, if these tell of an order."""
    listed = [name for name in rows.columns if name == "label" or name.partition("_")[0] == "output"]
    keys = [name for name in ("list_key", "key") if name in rows.columns]
    by = [name for name in ("at", "version") if name in rows.columns]
    found = (
        rows.filter(pl.col("label").is_finite())
        .group_by(*by, pl.coalesce(*keys, pl.lit("")).alias(_LISTED), maintain_order=True)
        .agg(pl.exclude(by).first(), *(pl.col(name).alias(_LISTED + name) for name in listed))
    )
    said = pl.col(_LISTED + "label")
    return (
        found.filter(said.list.min() < said.list.max())
        .with_columns(label=pl.lit(0.0))
        .select(*rows.columns, *(_LISTED + name for name in listed))
    )


def _padded(rows: pl.DataFrame, name: str, fill: float) -> NDArray[np.float64]:
    """A column of lists as an array, shape (n, longest), NaN where a value is missing, ``fill`` behind the end."""
    values = rows[name].to_list()
    found = np.full((len(values), max(map(len, values), default=0)), fill)
    for row, numbers in enumerate(values):
        found[row, : len(numbers)] = [math.nan if number is None else number for number in numbers]
    return found


def _place(value: object, places: dict[object, float]) -> float:
    """Of a class; -1: it is none of them."""
    if value is None or value != value:
        return math.nan
    return places.get(value, -1.0)


def _floats(rows: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """A column of numbers, NaN where there is none."""
    if name not in rows.columns:
        return np.full(len(rows), math.nan)
    return rows[name].cast(pl.Float64, strict=False).fill_null(math.nan).to_numpy().astype(np.float64)


def _all_finite(values: NDArray[Any]) -> NDArray[np.bool_]:
    known = np.isfinite(values.astype(np.float64))
    return np.asarray(known if known.ndim == 1 else known.all(axis=1), dtype=np.bool_)
