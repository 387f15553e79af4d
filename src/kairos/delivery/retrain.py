"""Whether to train anew: a pure decision from findings, age and what was tried before.

A finding of harm asks for a new model, and so does age. A retraining storm is prevented by a cooldown, by one
challenger at a time, and by backing off after a challenger that was not good enough. A training that came to no end,
because the source was down or the machine was, is tried again sooner, each time after twice as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from kairos.values import duration_text

__all__ = ["RetrainDecision", "RetrainFacts", "RetrainPolicy", "decide_retrain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainPolicy:
    """When a new model is worth training."""

    on: frozenset[str] = frozenset({"quality", "prediction_bias"})
    """Checks that ask for a new model: by an alarm; those of drift, which never is proof of harm, by a warning."""
    max_age: timedelta = timedelta(days=30)
    """A champion older than this is trained anew whatever the findings say."""
    cooldown: timedelta = timedelta(days=7)
    """The least time between two trainings; after a version proven bad it doubles, up to ``max_cooldown``."""
    max_cooldown: timedelta = timedelta(days=30)
    retry: timedelta = timedelta(hours=1)
    """The pause after a training that failed or was cut off; it doubles with each one in a row, up to the cooldown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainFacts:
    """What is known when the decision is made."""

    now: datetime
    champion_trained_at: datetime | None
    """When the live version was registered; ``None`` if nothing is live."""
    alarms: tuple[str, ...]
    """Checks that ask for a new model since the live version went live, each once, in the order of their names."""
    last_training_at: datetime | None
    unfinished_in_a_row: int = 0
    """Trainings, up to the last one, that failed or were cut off."""
    failures_in_a_row: int
    """Versions since the last promotion that were rejected by their gate or rolled back."""
    challenger_on_trial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainDecision:
    """Train or wait, and why."""

    train: bool
    origin: Literal["finding", "age"] | None
    reasons: tuple[str, ...]


def decide_retrain(policy: RetrainPolicy, facts: RetrainFacts) -> RetrainDecision:
    """Whether to train a new version now; every reason is kept, whatever the answer."""
    if facts.champion_trained_at is None:
        return RetrainDecision(train=False, origin=None, reasons=("nothing is live",))
    alarms = tuple(f"alarm: {a}" for a in facts.alarms if a in policy.on)
    age = facts.now - facts.champion_trained_at
    old = (f"age: the live version is {age.days} days old",) if age >= policy.max_age else ()
    if not alarms and not old:
        return RetrainDecision(train=False, origin=None, reasons=("no alarm and not too old",))
    reasons = alarms + old
    if facts.challenger_on_trial:
        return RetrainDecision(train=False, origin=None, reasons=(*reasons, "waits: a challenger is on trial"))
    pause = min(policy.cooldown * 2 ** min(facts.failures_in_a_row, 16), max(policy.max_cooldown, policy.cooldown))
    if facts.unfinished_in_a_row:
        pause = min(policy.retry * 2 ** min(facts.unfinished_in_a_row - 1, 16), pause)
    if facts.last_training_at is not None and facts.now - facts.last_training_at < pause:
        last = f"waits: the last training was less than {duration_text(pause)} ago"
        return RetrainDecision(train=False, origin=None, reasons=(*reasons, last))
    return RetrainDecision(train=True, origin="finding" if alarms else "age", reasons=reasons)
