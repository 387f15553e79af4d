"""A project's rows of the past, and what its model step makes of parts of them."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.app.backtest.past import Cut, Past
from kairos.app.losses import guarded
from kairos.app.settings import ModelSettings
from kairos.app.timed import TimedRows
from kairos.errors import StepFailed, UsageError
from kairos.models.training import fit, training_data
from kairos.pipeline.declare import StepSpec, find_spec
from kairos.values import Window

__all__ = ["TablePast", "spec_of"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, eq=False)
class TablePast(Past):
    """A past that is a table, learnt from by a project's own model step."""

    table: pl.DataFrame
    """In the order of time."""
    model: ModelSettings
    step: Any
    """The model step, as the pipeline's module has it."""
    target: str
    began: float = 0.0
    """When the past began, in days since 1970."""
    beside: Mapping[str, TimedRows] = field(default_factory=dict)
    """What the step takes beside the rows, by parameter; of these, too, it is given what was known then."""

    @classmethod
    def of(
        cls,
        rows: pl.DataFrame,
        model: ModelSettings,
        step: Any,
        sent: Window,
        *,
        history: float,
        delay: float,
        holdout: float,
        beside: Mapping[str, TimedRows] | None = None,
    ) -> TablePast:
        """From rows in any order.

        Args:
            rows: With a known truth; others are left out.
            model: Its settings.
            step: The model step, as the pipeline's module has it.
            sent: What is answered; rows after it, and before its history, are left out.
            history: How far back a training looks, in days.
            delay: How late the truth is known, in days.
            holdout: Of a training, in days.
            beside: Tables that the step takes beside the rows, by parameter; ``None``: it takes nothing else.

        Raises:
            UsageError: there is nothing to learn from, or nothing to answer.
        """
        assert model.time is not None  # a model without a time cannot be compared
        target = model.target or spec_of(step).target
        assert target is not None  # of a model that was trained
        if model.targets or spec_of(step).targets or not rows.schema[target].is_numeric() or model.rank_within:
            what = "ranks lists" if model.rank_within else "answers with more than one number"
            raise UsageError(
                f"Policies cannot be compared on {model.name!r}: it {what}.",
                accepted="a model of one target that is a number, judged row by row",
            )
        timed = TimedRows.of(rows.filter(pl.col(target).is_not_null()), model.time)
        at = timed.at.dt.epoch("us").to_numpy() / 86_400e6
        began = sent.start.timestamp() / 86_400 - history
        first, start, end = (int(i) for i in np.searchsorted(at, [began, began + history, began + history + sent.days]))
        if start == first or end == start:
            raise UsageError(
                "The rows of the replay have nothing to learn from, or nothing to answer.",
                given=f"{start - first} rows before {sent.start:%Y-%m-%d}, {end - start} from then on",
            )
        kept = timed.rows[first:end]
        return cls(
            day=at[first:end] - began,
            label=kept[target].to_numpy(),
            loss=model.gate.loss,
            delay_days=delay,
            history_days=history,
            holdout_days=holdout,
            table=kept,
            model=model,
            step=step,
            target=target,
            began=began,
            beside=beside or {},
        )

    def work_out(self, cut: Cut) -> NDArray[np.float32]:
        """Learns as a training would, and answers all later rows."""
        known, told, model = self.table[self.learns(cut)], spec_of(self.step), self.model
        keys = [key for key in (model.time, model.entity) if key is not None]
        drop = [name for name in (*told.drop, *model.drop) if name not in keys]
        estimator = self._estimator(told, known, cut)
        data = training_data(known, estimator, step=model.step, target=self.target, keys=keys, drop=drop)
        fitted = fit(estimator, data, seed=told.seed)
        seen = self.rows(cut.until, np.inf)
        later = self.table[seen]
        raw = (
            _chances(fitted, later.select(list(data.columns)))
            if model.gate.loss == "log_loss"
            else fitted.predict(later.select(list(data.columns)))
        )
        out = np.full(self.day.size, np.nan, dtype=np.float32)
        out[seen] = guarded(np.asarray(raw, dtype=np.float64), model)
        return out

    def _estimator(self, told: StepSpec, known: pl.DataFrame, cut: Cut) -> Any:
        """What the step returns for what was known then.

        Raises:
            StepFailed: the step raised; it is told up to which day it was given rows, with its own traceback.
        """
        given = {name: _cut(table, self.began, cut) for name, table in self.beside.items()}
        seed = {"seed": told.seed} if told.takes_seed else {}
        try:
            return self.step(*(given.get(name, known) for name in told.inputs), **seed)
        except Exception as error:
            began = EPOCH + timedelta(days=self.began + cut.until)
            raise StepFailed(
                f"Step {told.name!r} failed on the rows before {began:%Y-%m-%d}: {type(error).__name__}: {error}",
                step=told.name,
                type=type(error).__name__,
                traceback="".join(traceback.format_exception(type(error), error, _inner(error))),
            ) from error


def spec_of(step: Any) -> StepSpec:
    """What was declared of a model step."""
    found = find_spec(step)
    assert found is not None  # the pipeline's graph has it
    return found


def _cut(table: TimedRows, began: float, cut: Cut) -> pl.DataFrame:
    """The rows of a table that were known to a training."""
    end = EPOCH + timedelta(days=began + cut.until)
    return table.within(Window(end - timedelta(days=cut.days), end)).rows


def _chances(fitted: Any, rows: pl.DataFrame) -> NDArray[Any]:
    """Of the class 1; what has seen one class alone is sure of it."""
    classes = [float(one) for one in fitted.classes_]
    if 1.0 not in classes:
        return np.zeros(len(rows))
    return np.asarray(fitted.predict_proba(rows)[:, classes.index(1.0)])


def _inner(error: BaseException) -> TracebackType | None:
    """The traceback from the step itself on, without the call of it."""
    return error.__traceback__.tb_next if error.__traceback__ is not None else None
