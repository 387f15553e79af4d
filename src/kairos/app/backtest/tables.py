"""A project's rows of the past, and what its model step makes of parts of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.app.backtest.past import Cut, Past
from kairos.app.losses import guarded
from kairos.app.settings import ModelSettings
from kairos.app.timed import TimedRows
from kairos.errors import UsageError
from kairos.models.training import fit, training_data
from kairos.values import Window

__all__ = ["TablePast"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TablePast(Past):
    """A past that is a table, learnt from by a project's own model step."""

    table: pl.DataFrame
    """In the order of time."""
    model: ModelSettings
    step: Any
    """The model step, as the pipeline's module has it."""
    target: str

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

        Raises:
            UsageError: there is nothing to learn from, or nothing to answer.
        """
        assert model.time is not None  # a model without a time cannot be compared
        target = model.target or step.__kairos__.target
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
        )

    def work_out(self, cut: Cut) -> NDArray[np.float32]:
        """Learns as a training would, and answers all later rows."""
        known, told, model = self.table[self.learns(cut)], self.step.__kairos__, self.model
        keys = [key for key in (model.time, model.entity) if key is not None]
        drop = [name for name in (*told.drop, *model.drop) if name not in keys]
        estimator: Any = self.step(known)
        data = training_data(known, estimator, step=model.step, target=self.target, keys=keys, drop=drop)
        fitted = fit(estimator, data, seed=told.seed)
        seen = self.rows(cut.until, np.inf)
        later = self.table[seen]
        raw = (
            fitted.predict_proba(later.select(list(data.columns)))[:, 1]
            if model.gate.loss == "log_loss"
            else fitted.predict(later.select(list(data.columns)))
        )
        out = np.full(self.day.size, np.nan, dtype=np.float32)
        out[seen] = guarded(np.asarray(raw, dtype=np.float64), model)
        return out
