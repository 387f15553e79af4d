"""What a model would have lost if its step had learnt at some moment of the past: measured, and not packaged.

In place of ``FinishModel`` this is handed to a run, which then gives, for the model step, not a package but the sums of
losses on a block of rows by day. So a measurement goes the way of any step: it runs in a worker, and is kept under the
name of all that it depends on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from kairos.errors import DataRefused, PackageError
from kairos.gates.lists import in_lists
from kairos.gates.losses import loss_named
from kairos.models.asked import method_of, target_names, tells_classes
from kairos.models.finish import ModelOptions
from kairos.models.frames import frame_kind, read_moments, select
from kairos.models.goals import truth_of
from kairos.models.learn import Learn, join_tables, row_weights, takes_weights, with_truth, younger
from kairos.models.outputs import answers_a_row
from kairos.models.ports import FinishRequest
from kairos.models.ranked import by_lists, list_keys
from kairos.models.training import fit, training_data, training_table
from kairos.values import Json, Window, plain

__all__ = ["LOSSES", "MeasureModel", "read_losses", "sums_by_day"]

LOSSES = "losses.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureModel:
    """Measures one model step; can be pickled, so that a worker can call it."""

    step: str
    options: ModelOptions
    learn: Learn
    """From how long ago it learns; its artifact holds the rows held out, which are a part of the history."""
    block: Window
    """Which rows it is measured on."""
    known_until: datetime
    """When what it learns from ends, aware UTC; not after the block begins."""
    clip: bool = False
    """Whether predictions are brought into the options' range first."""

    def also(self, step: str) -> Sequence[str]:
        """The rows held out."""
        return () if self.learn.artifact is None or step != self.step else (self.learn.artifact,)

    def prepare(
        self, step: str, target: str | None, inputs: Mapping[str, Any], also: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The inputs with a training table as it would have been then.

        Raises:
            DataRefused: there is nothing to learn from, or the tables do not fit.
        """
        goal, time = self.options.target or target, self.options.time
        assert goal is not None  # the settings were compared with the pipeline
        assert time is not None  # without one nothing is measured
        table = training_table(inputs, goal, step=step)
        history = _history(self.learn, inputs, also, goal, step)
        known = _before(history, time, self.known_until)
        if not len(known):
            raise DataRefused(f"The model step {step!r} would have had nothing to learn from.", given=self.known_until)
        cut = known if self.learn.days is None else younger(known, time, self.learn.days)
        return {name: cut if value is table else value for name, value in inputs.items()}

    def __call__(self, request: FinishRequest) -> Path:
        """Returns a folder with the losses, below the request's ``workdir``.

        Raises:
            DataRefused: features give the target away, or the target is not a finite number in every row.
            PackageError: the estimator takes no weights, and the learning asks for them.
        """
        goal, time = self.options.target or request.target, self.options.time
        assert goal is not None
        assert time is not None
        table, targets = training_table(request.inputs, goal, step=request.step), self._targets(request)
        table, lists = by_lists(table, self.options.rank_within, step=request.step)
        keys = self.options.keys
        drop = [d for d in dict.fromkeys((*request.drop, *self.options.drop)) if d not in keys]
        data = training_data(
            table,
            request.returned,
            step=request.step,
            target=goal,
            keys=keys,
            drop=drop,
            targets=targets,
            loss=self.options.loss,
        )
        half = self.learn.half_life_days
        if half is not None and not takes_weights(request.returned):
            raise PackageError("The estimator cannot be told how much each row counts.")
        weights = None if half is None else row_weights(table, time, half, step=request.step)
        estimator = fit(request.returned, data, seed=request.seed, weights=weights, lists=lists)
        rows = _within(_history(self.learn, request.given, request.also, goal, request.step), time, self.block)
        method = method_of(estimator, data, self.options.loss, step=request.step)
        raw = getattr(estimator, method)(select(rows, list(data.columns)))
        answers = answers_a_row(np.asarray(raw), len(rows), data.outputs)
        if self.clip and not tells_classes(data):
            answers = np.clip(answers, self.options.lower, self.options.upper)
        truth, at = truth_of(rows, targets, data.outputs), read_moments(rows, time)
        if self.options.rank_within is not None:
            truth, answers, firsts = in_lists(list_keys(rows, self.options.rank_within), truth, answers)
            at = at[firsts]
        losses = loss_named(self.options.loss)(truth, answers)
        folder = request.workdir / "losses"
        folder.mkdir()
        (folder / LOSSES).write_text(json.dumps(sums_by_day(at, losses, self.block)))
        return folder

    def _targets(self, request: FinishRequest) -> tuple[str, ...]:
        _, several = target_names(self.options, request)
        return several or target_names(self.options, request)[:1]

    def facts(self, step: str) -> Json:
        """Everything that it was told."""
        return {"measure": plain(self)}


def sums_by_day(at: np.ndarray[Any, Any], losses: np.ndarray[Any, Any], block: Window) -> Json:
    """Rows and sums of losses on each day of a block, counted from its start; days without rows are left out.

    Args:
        at: Moment of each row, ``datetime64[us]``, shape (n,).
        losses: Shape (n,).
        block: Where all of them lie.

    Returns:
        ``{"days": [...], "rows": [...], "losses": [...]}``, the days as whole numbers from 0 on.
    """
    start = np.datetime64(block.start.replace(tzinfo=None), "us")
    day = ((at - start) // np.timedelta64(1, "D")).astype(np.int64)
    days, inverse = np.unique(day, return_inverse=True)
    sums = np.bincount(inverse, weights=losses, minlength=len(days))
    return {"days": days.tolist(), "rows": np.bincount(inverse).tolist(), "losses": sums.tolist()}


def read_losses(data: bytes) -> dict[str, list[Any]]:
    """Reads what a measurement wrote."""
    found: dict[str, list[Any]] = json.loads(data)
    return found


def _history(learn: Learn, inputs: Mapping[str, Any], also: Mapping[str, Any], target: str, step: str) -> Any:
    table = training_table(inputs, target, step=step)
    if learn.artifact is None:
        return table
    return join_tables(table, with_truth(also[learn.artifact], target), step=step)


def _before(table: Any, time: str, until: datetime) -> Any:
    return _kept(table, read_moments(table, time) < _moment(until))


def _within(table: Any, time: str, block: Window) -> Any:
    at = read_moments(table, time)
    return _kept(table, (at >= _moment(block.start)) & (at < _moment(block.end)))


def _kept(table: Any, chosen: np.ndarray[Any, Any]) -> Any:
    return table.filter(chosen) if frame_kind(table) == "polars" else table[chosen].reset_index(drop=True)


def _moment(at: datetime) -> np.datetime64:
    return np.datetime64(at.replace(tzinfo=None), "us")
