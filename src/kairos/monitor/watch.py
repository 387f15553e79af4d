"""One look at one live version: every check, on what its days add up to."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from kairos.models.profile import Profile
from kairos.monitor.cells import input_cells
from kairos.monitor.checks.bias import prediction_bias
from kairos.monitor.checks.estimated import estimated_quality
from kairos.monitor.checks.impossible import impossible_values
from kairos.monitor.checks.labels import unmatched_labels, unusable_labels
from kairos.monitor.checks.quality import LossReference, quality
from kairos.monitor.days import day_number, day_start
from kairos.monitor.early import EarlyLook
from kairos.monitor.findings import Finding
from kairos.monitor.forms import ONE_NUMBER, AnswerForm
from kairos.monitor.holdout import HoldoutRows
from kairos.monitor.inputs import look_at_inputs
from kairos.monitor.judgeable import LossOf
from kairos.monitor.maturity import Maturity
from kairos.monitor.policy import MonitorPolicy
from kairos.monitor.season import LastYear
from kairos.monitor.tallies import Tallies, Truth
from kairos.monitor.watched import watched_inputs
from kairos.stats.psi import psi
from kairos.store.predictions import PredictionLog
from kairos.values import Window

__all__ = ["LossOf", "Monitor", "window_drift"]

_LABEL_WINDOW = timedelta(days=28)
_LABEL_GRACE = timedelta(days=1)
"""A label that came so long ago should have met its prediction."""


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
        self._early: dict[str, tuple[int, EarlyLook]] = {}
        self._last_year: dict[str, tuple[int, LastYear]] = {}
        self._lost: dict[str, tuple[datetime, Finding | None]] = {}

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
        holdout: HoldoutRows | None = None,
        kept: Collection[str] | None = None,
        form: AnswerForm = ONE_NUMBER,
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
            holdout: Rows that the version had not learnt from; without them nothing is estimated before labels come.
            kept: Inputs that the log has as they came; ``None``: all.
            form: What the version answers with; of lists nothing is estimated before labels come.
        """
        policy = self._policy
        maturity = maturity or Maturity(matures_after=_matures_after(policy))
        tallies = self._tallies_of(model, version, profile, loss_of, live_since, maturity.matures_after, form)
        tallies.read(now)
        k, n = tallies.totals()
        since_live = Window(live_since, max(live_since, now))
        found: list[Finding | None] = [
            impossible_values(k, n, window=since_live, version=version, cap=policy.violation_cap, alpha=policy.alpha),
            *look_at_inputs(
                tallies,
                profile,
                self._last_year_of(model, version, profile),
                today=day_number(now),
                policy=policy,
                version=version,
            ),
        ]
        truth = tallies.truth(min_rows=policy.min_day_rows)
        found += _judge_truth(
            truth,
            profile,
            reference,
            usual_errors={} if holdout is None else holdout.usual_errors,
            form=form,
            loss=loss,
            since=live_since,
            policy=policy,
            version=version,
        )
        if (
            reference is not None
            and holdout is not None
            and not form.ranks
            and maturity.matures_after >= policy.early_after
        ):
            early = self._early_look(model, version, profile, holdout, loss_of, kept, form)
            estimated = early.estimate(since=live_since, now=now, maturity=maturity)
            if estimated is not None:
                found.append(
                    estimated_quality(
                        estimated[0], reference, loss=loss, policy=policy, window=estimated[1], version=version
                    )
                )
        found.append(self._lost_labels(model, version, now))
        bad, judged = tallies.unusable_labels(), int(truth.losses.rows.sum()) + truth.losses.waiting
        found.append(unusable_labels(bad, judged=judged, loss=loss, window=since_live, version=version))
        return tuple(finding for finding in found if finding is not None)

    def _lost_labels(self, model: str, version: int, now: datetime) -> Finding | None:
        """Whether labels of the last weeks found their predictions; looked up once a day."""
        today = day_start(day_number(now))
        if model not in self._lost or self._lost[model][0] != today:
            window = Window(today - _LABEL_WINDOW, today - _LABEL_GRACE)
            given = self._log.entity_labels(model, since=window.start, until=window.end)
            finding = None
            if len(given):
                matches = self._log.matches(model, since=window.start, until=window.end)
                finding = unmatched_labels(matches, given=len(given), window=window, version=version)
            self._lost[model] = (today, finding)
        return self._lost[model][1]

    def _last_year_of(self, model: str, version: int, profile: Profile) -> LastYear:
        """One for each model, in the bins of the version that is live now."""
        known, last_year = self._last_year.get(model, (None, None))
        if last_year is None or known != version:
            last_year = LastYear(self._log, model, profile)
            self._last_year[model] = (version, last_year)
        return last_year

    def _early_look(
        self,
        model: str,
        version: int,
        profile: Profile,
        holdout: HoldoutRows,
        loss_of: LossOf,
        kept: Collection[str] | None,
        form: AnswerForm,
    ) -> EarlyLook:
        """One for each model: what it has learnt from the holdout is learnt once."""
        known, early = self._early.get(model, (None, None))
        if early is None or known != version:
            early = EarlyLook(
                self._log,
                model,
                version,
                profile=profile,
                holdout=holdout,
                loss_of=loss_of,
                policy=self._policy,
                kept=kept,
                form=form,
            )
            self._early[model] = (version, early)
        return early

    def _tallies_of(
        self,
        model: str,
        version: int,
        profile: Profile,
        loss_of: LossOf,
        live_since: datetime,
        matures_after: timedelta,
        form: AnswerForm,
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
                unlabelled=self._policy.unlabelled,
                form=form,
            )
            self._tallies[model] = (wanted, tallies)
        return tallies


def _judge_truth(
    truth: Truth,
    profile: Profile,
    reference: LossReference | None,
    *,
    usual_errors: Mapping[str, float],
    form: AnswerForm,
    loss: str,
    since: datetime,
    policy: MonitorPolicy,
    version: int,
) -> list[Finding | None]:
    """What labels say about the mature days; of several targets of each, whose checks share the chance of error."""
    found: list[Finding | None] = []
    lead = form.targets[0] if form.targets else None
    usual = usual_errors.get(lead or "", _usual_error(loss, reference, profile)) if form.has_error else None
    each = {} if usual is None else {lead: (truth.errors, truth.level, usual)}
    each |= {name: (*truth.others[name], usual_errors[name]) for name in truth.others if name in usual_errors}
    for name, (errors, level, typical) in each.items():
        found.append(
            prediction_bias(
                errors,
                label_level=level,
                usual_error=typical,
                since=since,
                policy=replace(policy, alpha=policy.alpha / max(len(form.targets), 1)),
                version=version,
                unlabelled=truth.unlabelled,
                target=name,
            )
        )
    if reference is not None:
        found.append(
            quality(truth.losses, reference, loss=loss, policy=policy, version=version, unlabelled=truth.unlabelled)
        )
    return found


def _matures_after(policy: MonitorPolicy) -> timedelta:
    return policy.matures_fallback if policy.matures_after is None else policy.matures_after


def window_drift(rows: pl.DataFrame, profile: Profile) -> dict[str, float]:
    """How far each captured input of some rows is from training: its population stability index, 0 or more.

    A description, for pictures; whether it is more than chance is what ``Monitor.look`` tests.

    Args:
        rows: Of the prediction log.
        profile: Of the version that predicted them.
    """
    found, inputs = {}, watched_inputs(profile)
    for name, cells in input_cells(rows, profile).items():
        column = inputs[name].profile
        found[name] = float(psi(column.bins.fold(np.asarray(column.counts)), cells))
    return found


def _usual_error(loss: str, reference: LossReference | None, profile: Profile) -> float | None:
    """The usual size of an error, known before the version went live: it says how far a day's mean error may reach."""
    if reference is not None and loss == "absolute_error":
        return reference.mean
    if reference is not None and loss == "squared_error":
        return math.sqrt(reference.mean)
    return profile.target.sd
