"""What requests are worth with the challenger, against what they are worth with the champion."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from kairos.delivery.rollout.evidence import RolloutEvidence, Valued
from kairos.delivery.rollout.policy import RolloutPolicy
from kairos.delivery.rollout.rules import ValueRule
from kairos.stats.arms import ArmValues, arms_interval, arms_log_e
from kairos.values import Interval

__all__ = ["Worth", "harm_of_values", "valued", "worth_of", "worth_safety"]


class Worth(NamedTuple):
    """The difference that the challenger makes to one kind of value."""

    rule: ValueRule
    events: int
    """Values of both versions."""
    interval: Interval
    """Challenger's less champion's, a request; both bounds together err with chance alpha, at all looks."""
    clipped: int
    """Values that lay outside the range."""

    def __str__(self) -> str:
        """With its bounds, for a sentence.

        ``revenue 0.2 lower a request (0.5 lower to 0.1 higher, 812 values)``.
        """
        found = self.interval
        if not math.isfinite(found.lower) or not math.isfinite(found.upper):
            return f"{self.rule.name} unknown yet ({self.events} values)"
        clipped = f", {self.clipped} of them cut to the range" if self.clipped else ""
        bounds = f"{_more(found.lower)} to {_more(found.upper)}"
        return f"{self.rule.name} {_more(found.estimate)} a request ({bounds}, {self.events} values{clipped})"


def valued(policy: RolloutPolicy, evidence: RolloutEvidence) -> Iterator[tuple[ValueRule, Valued]]:
    """Each rule with what is known, in the order of the evidence."""
    rules = {rule.name: rule for rule in policy.values}
    for each in evidence.values:
        if each.name in rules:
            yield rules[each.name], each


def harm_of_values(policy: RolloutPolicy, evidence: RolloutEvidence) -> dict[str, float]:
    """By guard: natural log of the e-value against "requests are worth no less with the challenger"."""
    return {
        rule.kind: arms_log_e(
            _steps(each, evidence), null=0.0, side="less" if rule.better == "higher" else "greater", reach=each.reach
        )
        for rule, each in valued(policy, evidence)
    }


def worth_safety(rule: ValueRule, each: Valued, evidence: RolloutEvidence, margin: float) -> float:
    """Natural log of the e-value against "a request is worth less by the margin, or more than that"."""
    higher = rule.better == "higher"
    return arms_log_e(
        _steps(each, evidence),
        null=-margin if higher else margin,
        side="greater" if higher else "less",
        reach=each.reach,
    )


def worth_of(policy: RolloutPolicy, evidence: RolloutEvidence) -> tuple[Worth, ...]:
    """What is known of each kind of value; kinds of which nothing is known yet are left out."""
    return tuple(
        Worth(
            rule=rule,
            events=events,
            interval=arms_interval(_steps(each, evidence), reach=each.reach, alpha=policy.alpha),
            clipped=each.clipped,
        )
        for rule, each in valued(policy, evidence)
        if (events := sum(sum(pair) for pair in each.events.values()))
    )


def _steps(each: Valued, evidence: RolloutEvidence) -> dict[float, ArmValues]:
    nothing = (0, 0)
    return {
        float(share): ArmValues(
            requests=asked,
            events=each.events.get(share, nothing),
            totals=each.totals.get(share, nothing),
            sizes=each.sizes.get(share, nothing),
            squares=each.squares.get(share, nothing),
        )
        for share, asked in evidence.asked.items()
    }


def _more(difference: float) -> str:
    if difference == 0:
        return "the same"
    return f"{abs(difference):.3g} {'higher' if difference > 0 else 'lower'}"
