"""One look at one live version: every check, on what its days add up to."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from kairos.models.profile import Profile
from kairos.monitor.checks.bias import prediction_bias
from kairos.monitor.checks.drift import ColumnDrift, column_drift, input_drift, prediction_drift
from kairos.monitor.checks.impossible import impossible_values
from kairos.monitor.checks.quality import LossReference, quality
from kairos.monitor.days import day_number, day_start
from kairos.monitor.findings import Finding
from kairos.monitor.maturity import Maturity
from kairos.monitor.policy import MonitorPolicy
from kairos.monitor.tallies import LossOf, Tallies, input_cells
from kairos.stats.psi import psi
from kairos.store.predictions import PredictionLog
from kairos.values import Window

__all__ = ["LossOf", "Monitor", "window_drift"]


class Monitor:
    """Looks at the live versions of one project. What it remembers only saves reading: a restart finds the same.

    Args:
        log: Of predictions and labels.
        policy: What is tolerated.
    """

    def __init__(self, log: PredictionLog, policy: MonitorPolicy) -> None:
        self._log = log
        self._policy = policy
        self._tallies: dict[str, tuple[tuple[int, datetime, timedelta], Tallies]] = {}

    def look(
        self,
        model: str,
        *,
        version: int,
        profile: Profile,
        reference: LossReference | None,
        loss: str,
        loss_of: LossOf,
        live_since: datetime,
        now: datetime,
        maturity: Maturity | None = None,
    ) -> tuple[Finding, ...]:
        """Everything that is to be found out about a live version, in the order of ``Check``.

        Every row that the version predicted counts, whoever answered: so a rollout beside it, which takes some users
        away, changes nothing. Looks may be as frequent as one likes; their times must not go back.

        Args:
            model: Its name.
            version: Its number.
            profile: What its training looked like.
            reference: Its loss on the holdout; without one, quality is not judged.
            loss: Name of the loss, for sentences.
            loss_of: The loss itself.
            live_since: When it went live; earlier rows are not looked at.
            now: Whatever happened or arrived later is not looked at.
            maturity: When a day counts; ``None``: as the policy says, without looking how labels arrived.
        """
        policy = self._policy
        matures_after = _matures_after(policy) if maturity is None else maturity.matures_after
        tallies = self._tallies_of(model, version, profile, loss_of, live_since, matures_after)
        tallies.read(now)
        k, n = tallies.totals()
        since_live = Window(live_since, max(live_since, now))
        found = [
            impossible_values(k, n, window=since_live, version=version, cap=policy.violation_cap, alpha=policy.alpha),
            *self._drift(tallies, profile, day_number(now), version),
        ]
        losses, errors, level = tallies.truth(min_rows=policy.min_day_rows)
        usual = _usual_error(loss, reference, profile)
        if usual is not None:
            found.append(
                prediction_bias(
                    errors, label_level=level, usual_error=usual, since=live_since, policy=policy, version=version
                )
            )
        if reference is not None:
            found.append(quality(losses, reference, loss=loss, policy=policy, version=version))
        return tuple(finding for finding in found if finding is not None)

    def _drift(self, tallies: Tallies, profile: Profile, today: int, version: int) -> list[Finding | None]:
        """Inputs and predictions of the last whole days against training."""
        policy = self._policy
        days, until = policy.drift_window_max.days, day_start(today)
        columns: dict[str, ColumnDrift] = {}
        for name, column in profile.columns.items():
            drift = column_drift(column, tallies.input_counts(name, until=today, days=days), policy)
            if drift is not None:
                columns[name] = drift
        found: list[Finding | None] = [*input_drift(columns, policy=policy, until=until, version=version)]
        drift = column_drift(profile.prediction, tallies.prediction_counts(until=today, days=days), policy)
        if drift is not None:
            found.append(prediction_drift(drift, policy=policy, until=until, version=version))
        return found

    def _tallies_of(
        self,
        model: str,
        version: int,
        profile: Profile,
        loss_of: LossOf,
        live_since: datetime,
        matures_after: timedelta,
    ) -> Tallies:
        """One set of days for each model: those of the version that is live now."""
        wanted = (version, live_since, matures_after)
        key, tallies = self._tallies.get(model, (None, None))
        if tallies is None or key != wanted:
            tallies = Tallies(
                self._log,
                model,
                version,
                profile=profile,
                loss_of=loss_of,
                live_since=live_since,
                matures_after=matures_after,
            )
            self._tallies[model] = (wanted, tallies)
        return tallies


def _matures_after(policy: MonitorPolicy) -> timedelta:
    return policy.matures_fallback if policy.matures_after is None else policy.matures_after


def window_drift(rows: pl.DataFrame, profile: Profile) -> dict[str, float]:
    """How far each captured input of some rows is from training: its population stability index, 0 or more.

    A description, for pictures; whether it is more than chance is what ``Monitor.look`` tests.

    Args:
        rows: Of the prediction log.
        profile: Of the version that predicted them.
    """
    found = {}
    for name, cells in input_cells(rows, profile).items():
        column = profile.columns[name]
        found[name] = float(psi(column.bins.fold(np.asarray(column.counts)), cells))
    return found


def _usual_error(loss: str, reference: LossReference | None, profile: Profile) -> float | None:
    """The usual size of an error, known before the version went live: it says how far a day's mean error may reach."""
    if reference is not None and loss == "absolute_error":
        return reference.mean
    if reference is not None and loss == "squared_error":
        return math.sqrt(reference.mean)
    return profile.target.sd
