"""The loop's own decisions over a past: readings, when to train, on which window, gate, refit, trial, and bake.

All decisions are the product's, with its defaults: ``decide_retrain``, ``choose_window``, the gate, the check of
quality, and the proof of harm by which a version is taken back. Simplified are the trial, which takes ``TRIAL_DAYS``;
a version whose gate holds, which is given up and not sent to shadow; and slices and other checks, of which there are
none. So what is bad goes live here rather more often than there, and what is good a little later.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np

from kairos.app.backtest.evidence import (
    gate_verdict,
    is_alarmed,
    is_harmful,
    moment,
    take_reading,
)
from kairos.app.backtest.past import Change, Cut, Past
from kairos.delivery.retrain.decide import decide_retrain
from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.retrain.policy import RetrainPolicy
from kairos.delivery.retrain.readings import Reading
from kairos.delivery.retrain.reasons import waiting_cost
from kairos.delivery.retrain.slope import risk_slope
from kairos.delivery.retrain.windows import TrainingWindow, choose_window
from kairos.delivery.rollout import RolloutPolicy
from kairos.gates.policy import GatePolicy, Require
from kairos.values import Verdict

__all__ = ["TRIAL_DAYS", "Rules", "Training", "loop", "trainings"]

TRIAL_DAYS = 3.0
_USUAL = 4
"""The last readings, whose fresh models tell what a fresh model loses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training of the loop and what its gate said."""

    at: float
    origin: str
    window: TrainingWindow
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a project says about one model's changes."""

    retrain: RetrainPolicy = field(default_factory=RetrainPolicy)
    gate: GatePolicy | None = None
    """Its alpha, margin, floor and number of rows count; ``None``: the defaults."""
    delivery: RolloutPolicy = field(default_factory=RolloutPolicy)
    """Its alpha and bake count."""


def loop(past: Past, rules: Rules | None = None) -> list[Change]:
    """Who answers when, if Kairos decides.

    Args:
        past: What is lived through, a turn a day.
        rules: ``None``: the defaults.
    """
    return _live(past, rules).schedule


def trainings(past: Past, rules: Rules | None = None) -> list[Training]:
    """All trainings of the same, also those whose versions did not go live."""
    return _live(past, rules).made


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    cut: Cut
    judged: Cut
    """Of its twin, which was judged on the rows held out after it."""
    trained: float
    """Day."""


def _live(past: Past, rules: Rules | None) -> _Loop:
    cut = past.first.cut
    judged = replace(cut, until=cut.until - past.holdout_days)
    first = _Version(cut=cut, judged=judged, trained=past.start)
    found = _Loop(past, rules or Rules(), champion=first, since=past.start, schedule=[past.first])
    for now in np.arange(past.start + 1, past.end).tolist():
        found.turn(now)
    return found


@dataclass(slots=True)
class _Loop:
    """What the ledger would know, and a turn a day."""

    past: Past
    rules: Rules
    champion: _Version
    since: float
    """When the champion went live."""
    schedule: list[Change]
    before: _Version | None = None
    """The former champion, while the present one bakes."""
    challenger: _Version | None = None
    made: list[Training] = field(default_factory=list)
    read: list[Reading] = field(default_factory=list)
    about: int = 0
    """Index of the first reading that may be about the champion."""
    lasted: list[float] = field(default_factory=list)
    """How long former champions were live, in days."""
    failures: int = 0
    tried_regret: float | None = None
    spent_regret: float = 0.0
    """What waiting had cost when the last version was trained."""

    def turn(self, now: float) -> None:
        """Bake, trial, reading, training: in the loop's order."""
        self._bake(now)
        self._try(now)
        block = self.rules.retrain.block / timedelta(days=1)
        begins = self.past.start + block * len(self.read)
        if now - self.past.delay_days >= begins + block:
            self.read.append(take_reading(self.past, begins, block, self.champion.cut, self.read))
        if self.challenger is None and self.before is None:
            self._train(now)

    def _bake(self, now: float) -> None:
        if self.before is None:
            return
        if self._is_harmful(self.champion, self.before, self.champion.trained, now):
            self._answer(self.before, now)
            self._count_failure()
        elif now < self.since + self.rules.delivery.bake / timedelta(days=1):
            return
        self.before = None

    def _try(self, now: float) -> None:
        if self.challenger is None:
            return
        if self._is_harmful(self.challenger, self.champion, self.challenger.trained, now):
            self._count_failure()
        elif now < self.challenger.trained + TRIAL_DAYS:
            return
        else:
            self.lasted.append(now - self.since)
            self.before, self.failures, self.tried_regret = self.champion, 0, None
            self._answer(self.challenger, now)
        self.challenger = None

    def _answer(self, version: _Version, now: float) -> None:
        self.champion, self.since, self.about = version, now, len(self.read)
        self.schedule.append(Change(at=now, cut=version.cut))

    def _count_failure(self) -> None:
        self.failures, self.tried_regret = self.failures + 1, self.spent_regret

    def _is_harmful(self, new: _Version, old: _Version, since: float, now: float) -> bool:
        return is_harmful(
            self.past, new.cut, old.cut, old.judged, since, now - self.past.delay_days, policy=self.rules.delivery
        )

    def _train(self, now: float) -> None:
        facts = self._facts(now)
        decision = decide_retrain(self.rules.retrain, facts)
        if decision.action != "retrain" or decision.origin is None:
            return
        self.spent_regret = waiting_cost(self.rules.retrain, facts).regret
        window, known = choose_window(self.read), now - self.past.delay_days
        days = self.past.history_days if window.days is None else window.days
        judged = Cut(until=known - self.past.holdout_days, days=days)
        require: Require = "superior" if decision.origin in ("finding", "contract") else "non_inferior"
        verdict = gate_verdict(self.past, judged, self.champion.cut, known, self._gate(require))
        self.made.append(Training(at=now, origin=decision.origin, window=window, verdict=verdict))
        if verdict == "fail":
            self._count_failure()
        if verdict == "pass":
            learnt = Cut(until=known, days=days) if self.rules.retrain.refit else judged
            self.challenger = _Version(cut=learnt, judged=judged, trained=now)

    def _gate(self, require: Require) -> GatePolicy:
        gate, loss = self.rules.gate, self.past.loss
        if gate is None:
            return GatePolicy(loss=loss, require=require, discover=False)
        return GatePolicy(
            loss=loss,
            require=gate.require if require == "superior" else require,
            alpha=gate.alpha,
            margin=gate.margin,
            min_rows=gate.min_rows,
            floor=gate.floor,
            discover=False,
        )

    def _facts(self, now: float) -> RetrainFacts:
        past, champion, known = self.past, self.champion, now - self.past.delay_days
        fresh = [one.fresh_mean for one in self.read[-_USUAL:] if one.n]
        learnt, new = past.learns(champion.cut), past.rows(champion.cut.until, known)
        return RetrainFacts(
            now=moment(now),
            champion_trained_at=moment(champion.trained),
            usual_loss=float(np.mean(fresh)) if fresh else None,
            readings=tuple(one for one in self.read[self.about :] if one.champion),
            slope=risk_slope(self.read),
            periods_days=tuple(self.lasted),
            alarms=("quality",) if is_alarmed(past, champion.cut, champion.judged, self.since, known) else (),
            new_rows=new.stop - new.start,
            train_rows=learnt.stop - learnt.start,
            trained_at=tuple(moment(one.at) for one in self.made),
            tried_regret=self.tried_regret,
            failures_in_a_row=self.failures,
        )
