"""What asks for a new model, each as a sentence; all of them are kept, whatever is decided."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from kairos.delivery.retrain.age import best_period_days
from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.retrain.policy import RetrainPolicy
from kairos.delivery.retrain.regret import regret
from kairos.values import duration_text, length_words

__all__ = ["Origin", "Reason", "Waiting", "find_reasons", "period", "waiting_cost"]

Origin = Literal["finding", "contract", "regret", "growth", "age"]
"""What kind of reason it was; the first in this order gives its name to a training that has several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that asks for a new model."""

    origin: Origin
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What not changing has cost, and from which cost on a change pays; both as loss a row times days of traffic."""

    regret: float
    price: float | None
    """``None`` while the champion's usual loss is not known."""

    @property
    def is_too_dear(self) -> bool:
        """Whether a change would have paid."""
        return self.price is not None and self.regret >= self.price


def waiting_cost(policy: RetrainPolicy, facts: RetrainFacts) -> Waiting:
    """The two sides of the rule."""
    spent = regret(facts.readings, confidence=policy.confidence)
    usual = facts.usual_loss
    price = policy.cost.resolve(usual or 0.0) if policy.cost.kind == "absolute" or usual is not None else None
    return Waiting(regret=spent, price=price if price else None)


def period(policy: RetrainPolicy, facts: RetrainFacts) -> timedelta:
    """How old a champion may get if nothing else speaks.

    As the policy says; else, where models are proven to age, the best fixed period; where they are not, four times as
    long as champions lasted so far; and before anything is known, ``first_age``.
    """
    if policy.max_age is not None:
        return policy.max_age
    price = waiting_cost(policy, facts).price
    if facts.slope is None or price is None:
        return policy.first_age
    if facts.slope.is_proven:
        days = best_period_days(cost=price, slope=facts.slope.estimate)
    else:
        days = 4 * (statistics.median(facts.periods_days) if facts.periods_days else policy.first_age.days)
    return min(max(timedelta(days=round(days)), policy.cooldown), policy.max_period)


def find_reasons(policy: RetrainPolicy, facts: RetrainFacts) -> tuple[Reason, ...]:
    """Everything that asks for a new model, the gravest first."""
    assert facts.champion_trained_at is not None  # without a champion nobody asks
    found = [Reason(origin="finding", sentence=f"alarm: {name}") for name in facts.alarms if name in policy.on]
    if facts.contract_changed:
        sentence = "contract: the data have another contract than the one it learnt under"
        found.append(Reason(origin="contract", sentence=sentence))
    waiting = waiting_cost(policy, facts)
    if waiting.is_too_dear and waiting.price is not None:
        latest = facts.readings[-1]
        sentence = (
            f"regret: not changing has cost at least {waiting.regret:.3g} a row for a day ({policy.confidence:.0%}), "
            f"a change is worth {waiting.price:.3g}; on the last {latest.n} rows the live version lost "
            f"{latest.champion_mean:.4g}, a fresh one {latest.fresh_mean:.4g}"
        )
        found.append(Reason(origin="regret", sentence=sentence))
    if facts.new_rows is not None and facts.train_rows and facts.new_rows >= policy.growth * facts.train_rows:
        sentence = f"growth: {facts.new_rows} new rows, it learnt from {facts.train_rows}"
        found.append(Reason(origin="growth", sentence=sentence))
    age, oldest = facts.now - facts.champion_trained_at, period(policy, facts)
    if age >= oldest:
        old = f"{age.days} days" if age.days else length_words(age)
        sentence = f"age: the live version is {old} old, {duration_text(oldest)} is its time"
        found.append(Reason(origin="age", sentence=sentence))
    return tuple(found)
