"""A project's rows of the past, and what its model step makes of parts of them."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.app.backtest.learning import Learnt, goals_of, learn
from kairos.app.backtest.past import Cut, Past
from kairos.app.settings import ModelSettings
from kairos.app.timed import TimedRows
from kairos.errors import DataRefused, StepFailed, UsageError
from kairos.gates.lists import Lists
from kairos.gates.losses import loss_named
from kairos.models.baseline import simple_answer, simple_baseline
from kairos.models.goals import read_goal, truth_of
from kairos.models.outputs import Output, among
from kairos.models.ranked import list_keys
from kairos.pipeline.declare import StepSpec, find_spec
from kairos.stats.arrays import Floats
from kairos.values import Window

__all__ = ["TablePast", "spec_of"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, eq=False)
class TablePast(Past):
    """A past that is a table, learnt from by a project's own model step.

    What is judged are its rows; of a model that ranks its lists, each at the time of its first row.
    """

    table: pl.DataFrame
    """In the order of time."""
    row_day: Floats
    """When each row of the table is from, as ``day``."""
    model: ModelSettings
    step: Any
    """The model step, as the pipeline's module has it."""
    outputs: tuple[Output, ...] = ()
    """Of a model of several numbers; the classes are those of the whole past."""
    ranked: _Ranked | None = None
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
            DataRefused: the rows lack a target, or what is ranked together.
        """
        assert model.time is not None  # a model without a time cannot be compared
        goals = goals_of(model, spec_of(step))
        _check_columns(rows, model, goals)
        timed = TimedRows.of(rows.drop_nulls(list(goals)), model.time)
        at = timed.at.dt.epoch("us").to_numpy() / 86_400e6
        began = sent.start.timestamp() / 86_400 - history
        first, start, end = (int(i) for i in np.searchsorted(at, [began, began + history, began + history + sent.days]))
        if start == first or end == start:
            raise UsageError(
                "The rows of the replay have nothing to learn from, or nothing to answer.",
                given=f"{start - first} rows before {sent.start:%Y-%m-%d}, {end - start} from then on",
            )
        kept, row_day = timed.rows[first:end], at[first:end] - began
        goal = read_goal(kept, goals, loss=model.gate.loss, step=model.step)
        truth = truth_of(kept, goals, goal.outputs)
        ranked = None if model.rank_within is None else _Ranked.of(kept, truth, model.rank_within)
        return cls(
            day=row_day if ranked is None else row_day[ranked.rows[ranked.lists.firsts]],
            label=truth if ranked is None else ranked.padded(truth, np.nan),
            loss=model.gate.loss,
            delay_days=delay,
            history_days=history,
            holdout_days=holdout,
            table=kept,
            row_day=row_day,
            model=model,
            step=step,
            outputs=goal.outputs,
            ranked=ranked,
            began=began,
            beside=beside or {},
        )

    @property
    def parts(self) -> dict[str, tuple[int, str]]:
        """What answers are judged by one by one, by name: a column of them, and its loss. None: there is one number."""
        first = self.outputs[0] if self.outputs else None
        if first is None or first.kind == "class":
            return {}
        if first.kind == "quantiles":
            return {
                n: (at, f"pinball:{q:g}") for at, (n, q) in enumerate(zip(first.names, first.quantiles, strict=True))
            }
        return {output.name: (at, self.loss) for at, output in enumerate(self.outputs)}

    def part_losses(self, name: str, cut: Cut) -> Floats:
        """As ``losses``, of one of the ``parts``."""
        at, loss = self.parts[name]
        answers, out = self.answers(cut)[:, at], np.full(self.day.size, np.nan)
        seen, label = self.rows(cut.until, np.inf), self.label if self.label.ndim == 1 else self.label[:, at]
        out[seen] = loss_named(loss)(label[seen], answers[seen].astype(np.float64))
        return out

    def simple(self) -> Floats:
        """Losses of the best constant of what the first model learnt from, on all that is answered."""
        judged = self.rows(self.start, np.inf)
        truth, learnt = self.label[judged], self.label[self.learns(self.first.cut)]
        said: Floats
        if self.ranked is not None:
            said = np.zeros(truth.shape)
        elif self.outputs:
            said = np.tile(simple_answer(learnt, self.loss, self.outputs), (len(truth), 1))
        else:
            said = np.full(len(truth), simple_baseline(learnt, self.loss))
        return loss_named(self.loss)(truth, said)

    def work_out(self, cut: Cut) -> NDArray[Any]:
        """Learns as a training would, and answers all later rows."""
        told = spec_of(self.step)
        learnt_from = np.searchsorted(self.row_day, [cut.until - cut.days, cut.until])
        known = self.table[int(learnt_from[0]) : int(learnt_from[1])]
        learnt = learn(self._estimator(told, known, cut), known, self.model, told)
        later = self.table[int(learnt_from[1]) :]
        said = self._in_all_classes(learnt, learnt.served(learnt.raw(later)))
        out = np.full((len(self.table), *said.shape[1:]), np.nan)
        out[int(learnt_from[1]) :] = said
        if self.ranked is None:
            return out.astype(np.float32)
        lists = self.ranked.padded(out, 0.0)  # in double precision: rounded scores would be equal ones
        lists[: self.rows(cut.until, np.inf).start] = np.nan
        return lists

    def _in_all_classes(self, learnt: Learnt, said: Floats) -> Floats:
        """Chances in the classes of the whole past: 0 for those that this model had not met."""
        if not self.outputs or self.outputs[0].kind != "class":
            return said
        if not learnt.outputs:  # it had met 0 and 1 alone, and says the chance of 1
            own = Output(name=self.outputs[0].name, kind="class", classes=(0, 1))
            return among(own, self.outputs[0].classes, np.column_stack([1 - said, said]))
        return among(learnt.outputs[0], self.outputs[0].classes, said)

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ranked:
    """The lists of a table that tell of an order; those that do not are learnt from and not judged."""

    rows: NDArray[np.int64]
    """Positions of their rows in the table, rising."""
    lists: Lists
    """Of these rows; the first to come is first."""

    @classmethod
    def of(cls, table: pl.DataFrame, truth: NDArray[Any], column: str) -> _Ranked:
        keys = list_keys(table, column)
        rows = np.flatnonzero(Lists.of(keys).telling(truth))
        return cls(rows=rows, lists=Lists.of(keys[rows]))

    def padded(self, values: NDArray[Any], fill: float) -> Floats:
        """A row for each list, of what each row of the table has."""
        return self.lists.padded(np.asarray(values)[self.rows], fill)


def spec_of(step: Any) -> StepSpec:
    """What was declared of a model step."""
    found = find_spec(step)
    assert found is not None  # the pipeline's graph has it
    return found


def _check_columns(rows: pl.DataFrame, model: ModelSettings, goals: Sequence[str]) -> None:
    needed = [*goals, *([] if model.rank_within is None else [model.rank_within])]
    lacking = [name for name in needed if name not in rows.columns]
    if lacking:
        raise DataRefused(
            f"The rows of the replay lack the column {lacking[0]!r}, by which {model.name!r} is judged.",
            given=", ".join(rows.columns),
        )


def _cut(table: TimedRows, began: float, cut: Cut) -> pl.DataFrame:
    """The rows of a table that were known to a training."""
    end = EPOCH + timedelta(days=began + cut.until)
    return table.within(Window(end - timedelta(days=cut.days), end)).rows


def _inner(error: BaseException) -> TracebackType | None:
    """The traceback from the step itself on, without the call of it."""
    return error.__traceback__.tb_next if error.__traceback__ is not None else None
