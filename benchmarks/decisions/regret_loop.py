"""The loop's own decisions over a stream: readings, when to train, on which window, the gate, the refit, the trial.

All decisions are the product's, with its defaults: ``decide_retrain``, ``choose_window``, the gate, the check of
quality. Simplified are the trial, which takes ``TRIAL_DAYS`` and never ends a version early; a version whose gate
holds, which is given up and not sent to shadow; the gate's slices and the other checks, of which there are none; and
the way back while a version bakes, which is not taken. So what is bad goes live here rather more often than there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise

import numpy as np

from benchmarks.decisions.streams_timed import Change, Cut, TimedStream
from kairos.delivery.retrain import Reading, RetrainFacts, RetrainPolicy, TrainingWindow, choose_window, decide_retrain
from kairos.delivery.retrain.reasons import waiting_cost
from kairos.delivery.retrain.slope import risk_slope
from kairos.delivery.retrain.windows import windows_to_try
from kairos.gates.decide import decide
from kairos.gates.measure import measure
from kairos.gates.policy import GatePolicy, Require
from kairos.gates.rows import GateRows
from kairos.monitor.checks.quality import loss_reference, quality
from kairos.monitor.days import Days
from kairos.monitor.policy import MonitorPolicy
from kairos.values import Verdict, Window

__all__ = ["HOLDOUT_DAYS", "TRIAL_DAYS", "Training", "loop", "trainings"]

HOLDOUT_DAYS = 14.0
TRIAL_DAYS = 3.0
_USUAL = 4
"""The last readings, whose fresh models tell what a fresh model loses."""

_BEGAN = datetime(2020, 1, 6, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training of the loop and what its gate said."""

    at: float
    origin: str
    window: TrainingWindow
    verdict: Verdict


def loop(stream: TimedStream, policy: RetrainPolicy | None = None) -> list[Change]:
    """Who answers when, if Kairos decides.

    Args:
        stream: What is lived through, a turn a day.
        policy: ``None``: the defaults.
    """
    return _Loop(stream, policy or RetrainPolicy()).live()[0]


def trainings(stream: TimedStream, policy: RetrainPolicy | None = None) -> list[Training]:
    """All trainings of the same, also those whose versions did not go live."""
    return _Loop(stream, policy or RetrainPolicy()).live()[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """A version under way."""

    change: Change
    """From when on the refit answers, if nothing speaks against it."""
    judged: Cut
    """Of its twin."""


@dataclass(slots=True)
class _Loop:
    stream: TimedStream
    policy: RetrainPolicy
    schedule: list[Change] = field(default_factory=list)
    made: list[Training] = field(default_factory=list)
    read: list[Reading] = field(default_factory=list)
    about: int = 0
    """Index of the first reading that may be about the champion."""
    trained: float = 0.0
    """When the champion was trained."""
    judged: Cut = field(init=False)
    """Of its twin, which was judged on the rows held out after it."""
    failures: int = 0
    tried_regret: float | None = None

    def live(self) -> tuple[list[Change], list[Training]]:
        """A turn a day, from the start to the end."""
        stream, trial = self.stream, None
        self.schedule, self.trained = [stream.first], stream.start
        self.judged = replace(stream.first.cut, until=stream.first.cut.until - HOLDOUT_DAYS)
        for now in np.arange(stream.start + 1, stream.end).tolist():
            if trial is not None and now >= trial.change.at:
                self._go_live(trial)
                trial = None
            self._take_reading(now)
            if trial is None:
                trial = self._turn(now)
        return self.schedule, self.made

    def _turn(self, now: float) -> _Trial | None:
        facts = self._facts(now)
        decision = decide_retrain(self.policy, facts)
        if decision.action != "retrain" or decision.origin is None:
            return None
        window = choose_window(self.read)
        known = now - self.stream.delay_days
        days = self.stream.history_days if window.days is None else window.days
        judged = Cut(until=known - HOLDOUT_DAYS, days=days)
        verdict = self._gate(
            judged, known, "superior" if decision.origin in ("finding", "contract") else "non_inferior"
        )
        self.made.append(Training(at=now, origin=decision.origin, window=window, verdict=verdict))
        if verdict == "fail":
            self.failures, self.tried_regret = self.failures + 1, waiting_cost(self.policy, facts).regret
        if verdict != "pass":
            return None
        return _Trial(change=Change(at=now + TRIAL_DAYS, cut=Cut(until=known, days=days)), judged=judged)

    def _go_live(self, trial: _Trial) -> None:
        self.schedule.append(trial.change)
        self.about, self.failures, self.tried_regret = len(self.read), 0, None
        self.judged, self.trained = trial.judged, trial.change.at - TRIAL_DAYS

    @property
    def champion(self) -> Change:
        """What answers."""
        return self.schedule[-1]

    def _take_reading(self, now: float) -> None:
        """Of the next block, if its truth is known by now."""
        stream, block = self.stream, self.policy.block / timedelta(days=1)
        begins = stream.start + block * len(self.read)
        if now - stream.delay_days < begins + block:
            return
        fresh = begins - stream.delay_days
        tried = {}
        rows = stream.daily(np.ones(stream.day.size), begins, begins + block)[1]
        for window in windows_to_try(stream.history_days, weighted=False):
            cut = Cut(until=fresh, days=stream.history_days if window.days is None else window.days)
            tried[window.name] = tuple(stream.daily(stream.losses(cut), begins, begins + block)[0].tolist())
        own = self.champion.cut
        has_seen = own.until > begins
        sums = () if has_seen else stream.daily(stream.losses(own), begins, begins + block)[0].tolist()
        self.read.append(
            Reading(
                window=Window(_moment(begins), _moment(begins + block)),
                rows=tuple(rows.tolist()),
                champion=tuple(sums),
                tried=tried,
                chosen=choose_window(self.read).name,
                age_days=max(fresh - own.until, 0.0),
            )
        )

    def _facts(self, now: float) -> RetrainFacts:
        stream, known = self.stream, now - self.stream.delay_days
        mine = [one for one in self.read[self.about :] if one.champion]
        fresh = [one.fresh_mean for one in self.read[-_USUAL:] if one.n]
        learnt, new = stream.learns(self.champion.cut), stream.rows(self.champion.cut.until, known)
        return RetrainFacts(
            now=_moment(now),
            champion_trained_at=_moment(self.trained),
            usual_loss=float(np.mean(fresh)) if fresh else None,
            readings=tuple(mine),
            slope=risk_slope(self.read),
            periods_days=tuple(later.at - earlier.at for earlier, later in pairwise(self.schedule)),
            alarms=("quality",) if self._is_alarmed(known) else (),
            new_rows=new.stop - new.start,
            train_rows=learnt.stop - learnt.start,
            trained_at=tuple(_moment(one.at) for one in self.made),
            tried_regret=self.tried_regret,
            failures_in_a_row=self.failures,
        )

    def _is_alarmed(self, known: float) -> bool:
        """Whether the check of quality finds that the champion loses more than its holdout has promised."""
        stream = self.stream
        held_out = stream.rows(self.judged.until, self.judged.until + HOLDOUT_DAYS)
        reference = loss_reference(stream.losses(self.judged)[held_out])
        began = math.ceil(self.champion.at)
        sums, rows = stream.daily(stream.losses(self.champion.cut), began, math.floor(known))
        if reference is None or not rows.size:
            return False
        numbers = np.unique(np.floor(stream.day[stream.rows(began, math.floor(known))]))
        days = Days(means=sums / rows, rows=rows, ends=tuple(_moment(one + 1) for one in numbers), waiting=0)
        found = quality(days, reference, loss=stream.loss, policy=MonitorPolicy(), version=1)
        return found is not None and found.level == "alarm"

    def _gate(self, judged: Cut, known: float, require: Require) -> Verdict:
        """On the rows held out that the champion has not learnt from either."""
        stream = self.stream
        rows = stream.rows(max(judged.until, self.champion.cut.until), known)
        policy = GatePolicy(loss=stream.loss, require=require, discover=False)
        seen = GateRows(
            truth=stream.label[rows],
            challenger=stream.answers(judged)[rows].astype(np.float64),
            champion=stream.answers(self.champion.cut)[rows].astype(np.float64),
            times=(stream.day[rows] * 86_400e6).astype("datetime64[us]"),
            digest="of a stream",
        )
        return decide(policy, measure(seen, policy, as_of=_moment(known))).verdict


@cache
def _moment(day: float) -> datetime:
    return _BEGAN + timedelta(days=day)
