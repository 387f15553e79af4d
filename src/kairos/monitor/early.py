"""The stretch whose labels are still to come: its rows, the labels that are there already, and what it is estimated at.

As of the start of today, once a day, so that a restart finds the same.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.models.profile import Profile
from kairos.monitor.days import day_number, day_start
from kairos.monitor.delays import GroupArrivals, group_arrivals
from kairos.monitor.estimate import Estimate, Estimator, LabelledRows, LossOf, NewRows
from kairos.monitor.features import common_features, feature_matrix
from kairos.monitor.forms import ONE_NUMBER, AnswerForm
from kairos.monitor.holdout import HoldoutRows
from kairos.monitor.maturity import Maturity
from kairos.monitor.policy import MonitorPolicy
from kairos.store.predictions import PredictionLog
from kairos.store.records import INPUT_PREFIX
from kairos.values import Window

__all__ = ["EarlyLook"]

_MOST_ROWS = 10_000
"""Of more rows, in holdout or stretch, every second, third, ... is looked at."""

_LEAST_HOLDOUT = 100
_MEMORY = 4


class EarlyLook:
    """Estimates the quality of one version on the days that are not mature.

    Args:
        log: Of predictions and labels.
        model: The model's name.
        version: Its number.
        profile: Whose levels categories have.
        holdout: Where the version's losses are known.
        loss_of: The loss.
        policy: From which lateness of labels on, and on how many rows.
        kept: Inputs that the log has as they came; ``None``: all.
        form: What the version answers with; not a list.
    """

    def __init__(
        self,
        log: PredictionLog,
        model: str,
        version: int,
        *,
        profile: Profile,
        holdout: HoldoutRows,
        loss_of: LossOf,
        policy: MonitorPolicy,
        kept: Collection[str] | None = None,
        form: AnswerForm = ONE_NUMBER,
    ) -> None:
        self._log, self._model, self._version = log, model, version
        self._profile, self._holdout, self._loss_of = profile, holdout, loss_of
        self._policy, self._kept, self._form = policy, kept, form
        self._fitted: tuple[tuple[str, ...], Estimator] | None = None
        self._last: tuple[tuple[int, timedelta], tuple[Estimate, Window] | None] | None = None

    def estimate(self, *, since: datetime, now: datetime, maturity: Maturity) -> tuple[Estimate, Window] | None:
        """What the days that are over and not mature are estimated at, and which these are.

        Args:
            since: Earlier rows are left out: when the version went live.
            now: Labels that arrived after the start of this day are not looked at.
            maturity: When a day counts.

        Returns:
            ``None`` where labels come soon, or where stretch or holdout have too few rows.
        """
        key = (day_number(now), maturity.matures_after)
        if self._last is None or self._last[0] != key:
            self._last = (key, self._look(since, day_start(key[0]), maturity))
        return self._last[1]

    def _look(self, since: datetime, today: datetime, maturity: Maturity) -> tuple[Estimate, Window] | None:
        start = max(since, day_start(day_number(maturity.mature_until(today))))
        if maturity.matures_after < self._policy.early_after or start >= today:
            return None
        if self._holdout.label.size < _LEAST_HOLDOUT:
            return None
        window = Window(start, today)
        rows = self._log.predictions(self._model, window, versions=[self._version])
        rows = rows.filter(pl.col("output").is_finite()).unique("id", keep="first", maintain_order=True)
        if len(rows) < self._policy.early_rows:
            return None
        labels = self._form.labelled(self._log.truths(self._model, window, rows, as_of=today))
        labels = labels.filter(pl.col("label").is_finite())
        labels = labels.filter(self._form.proper(self._loss_of, labels))
        rows = rows.join(labels, left_on="id", right_on="prediction_id", how="left", maintain_order="left")
        rows = rows.gather_every(-(-len(rows) // _MOST_ROWS))
        names = tuple(common_features(rows, self._profile, prefix=INPUT_PREFIX, kept=self._kept))
        names = tuple(name for name in names if name in self._holdout.table.columns)
        new = self._new_rows(rows, names, today, maturity)
        return self._estimator(names).estimate(new, alpha=self._policy.alpha), window

    def _new_rows(self, rows: pl.DataFrame, names: tuple[str, ...], today: datetime, maturity: Maturity) -> NewRows:
        back = Window(today - max(timedelta(days=28), _MEMORY * maturity.matures_after), today)
        came = self._log.arrivals(self._model, back, as_of=today)
        if self._form.outputs:  # no number says what all labels of a row are like: one group
            came = came.with_columns(label=pl.when(pl.col("label_at").is_not_null()).then(0.0))
        arrivals = group_arrivals(came, as_of=today)
        label = rows.get_column("label").fill_null(np.nan).to_numpy()
        days = rows.get_column("at").dt.epoch("d").to_numpy().astype(np.int64)
        return NewRows(
            inputs=feature_matrix(rows, self._profile, list(names), prefix=INPUT_PREFIX).matrix,
            prediction=self._form.answers(rows),
            label=label,
            chances=_chances(arrivals, label, ((day_number(today) - 1 - days) * 86400.0).astype(np.float64)),
            days=days,
            losses=self._form.losses(self._loss_of, rows) if self._form.outputs else None,
        )

    def _estimator(self, names: tuple[str, ...]) -> Estimator:
        if self._fitted is None or self._fitted[0] != names:
            held = self._holdout
            step = -(-held.label.size // _MOST_ROWS)
            features = feature_matrix(held.table.gather_every(step), self._profile, list(names))
            rows = LabelledRows(
                inputs=features.matrix,
                is_category=features.is_category,
                prediction=(held.prediction if held.answers is None else held.answers)[::step],
                losses=None if held.losses is None else held.losses[::step],
                label=held.label[::step],
                days=held.days[::step],
            )
            self._fitted = (names, Estimator(rows, self._loss_of))
        return self._fitted[1]


def _chances(
    arrivals: GroupArrivals | None, label: NDArray[np.float64], ages_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The chance of each row's label to be there by its age; 0 where rows are too young, or nothing is known."""
    if arrivals is None:
        return np.zeros_like(label)
    chances = arrivals.chances(label, ages_s)
    return np.where(ages_s >= arrivals.youngest_s, np.maximum(chances, 0.0), 0.0)
