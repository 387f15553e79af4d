"""How much proof a challenger owes before it answers more users: fixed before the evidence is looked at."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from kairos.delivery.rollout.rules import EventRule, GuardRule, ValueRule
from kairos.delivery.rollout.steps import DEFAULT_STAGES, Demand, StageStep, demand
from kairos.delivery.stages import Stage
from kairos.errors import SettingsError
from kairos.values import Json, parse_duration

__all__ = ["RolloutPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPolicy:
    """How much proof a challenger owes before it answers more users."""

    stages: tuple[StageStep, ...] = DEFAULT_STAGES
    alpha: float = 0.05
    """Chance of rolling back a harmless version over the whole rollout, and of promoting a harmful one."""
    harm_margin: float = 0.10
    """How much worse the challenger's mean loss may be, as a part of the champion's. The gate has judged finer before;
    here it is about harm that no holdout shows."""
    min_pairs: int = 100
    """Labelled requests, answered by both, before a promotion is thought of."""
    min_canary_requests: int | None = None
    """Requests that the challenger has answered itself before it goes on; ``None``: what the table and the traffic
    ask for."""
    min_dwell: timedelta | None = None
    """The least time in a stage; ``None``: that of the table."""
    max_wait: timedelta = timedelta(days=14)
    """The most time in a stage; then the challenger waits in shadow for a person."""
    bake: timedelta = timedelta(days=7)
    """How long the former champion is kept warm after a promotion, so that harm shown late still leads back to it."""
    guards: tuple[GuardRule, ...] = ()
    """Limits that the owner states, beside the guards that compare with the champion."""
    critical: tuple[str, ...] = ("loss",)
    """Guards that together get half of alpha; without any, all guards get the same. Labels are slow and counts are not:
    half of alpha brings the loss about a day, and costs the others half a bad event."""
    tolerance: float = 0.0
    """By how much the challenger's bad events may exceed the champion's before it counts as harm, as a part of them."""
    cap: float = 0.001
    """A rate of bad events that is proven to be below this is good enough, whatever the champion's is."""
    bad_answers: float = 3.0
    """What a step may cost before it can be taken back."""
    events: tuple[EventRule, ...] = ()
    """What may happen to users; a guard each."""
    values: tuple[ValueRule, ...] = ()
    """What requests are worth afterwards; a guard each."""
    timeout: timedelta = timedelta(seconds=1)
    """A prediction that takes longer is a bad event, however slow the champion is."""
    loss_is_proven: bool = False
    """Whether nothing has to be proven about the loss here, because the gate has proven it of the version's twin: of a
    refit. Harm that the loss shows ends its trial all the same."""

    def __post_init__(self) -> None:
        if not self.stages or self.stages[-1].stage != "live":
            raise SettingsError("A rollout has to end live.", given=str([s.stage for s in self.stages]))
        shares = [s.share for s in self.stages]
        if shares != sorted(set(shares)):
            raise SettingsError("A rollout's shares have to grow.", given=str(shares))
        has_canary = [step.stage for step in self.stages[-2:]] == ["canary", "live"]
        if not has_canary and any(rule.margin is not None for rule in self.values):
            raise SettingsError(
                "A margin of values needs a canary before live, where the values of both versions can be told apart.",
                given=", ".join(str(step) for step in self.stages),
                accepted="stages that end with 'canary:N%', 'live'",
            )
        if not self.tolerance >= 0 or not 0 < self.cap < 1 or not self.bad_answers > 0:
            raise SettingsError(
                "A rollout's tolerance, cap or bad_answers is out of range.",
                given=f"tolerance {self.tolerance}, cap {self.cap}, bad_answers {self.bad_answers}",
                accepted="tolerance of 0 or more, cap between 0 and 1, bad_answers above 0",
            )

    def after(self, stage: Stage, share: float) -> StageStep:
        """The step that follows."""
        for step in self.stages:
            if step.share > share or (stage == "registered" and step.share >= share):
                return step
        return self.stages[-1]

    def demand(self, share: float) -> Demand:
        """What is asked for at a share before the next step, whatever the traffic; see ``demand`` in ``steps``."""
        following = self.after("live" if share >= 1 else "canary", share)
        table = demand(share, following.share)
        return Demand(
            max_ratio=table.max_ratio,
            min_requests=table.min_requests,
            dwell=table.dwell if self.min_dwell is None else self.min_dwell,
        )

    @classmethod
    def from_plain(cls, value: Json) -> RolloutPolicy:
        """Undoes ``plain``."""
        known: dict[str, Any] = {f.name: value[f.name] for f in fields(cls) if f.name in value}
        known["stages"] = tuple(StageStep(**step) for step in value["stages"])
        known["guards"] = tuple(GuardRule(**rule) for rule in value["guards"])
        known["events"] = tuple(EventRule(**event) for event in value["events"])
        known["values"] = tuple(_value_rule(rule) for rule in value.get("values", ()))
        known["critical"] = tuple(value["critical"])
        for name in ("max_wait", "bake", "timeout"):
            known[name] = parse_duration(value[name])
        known["min_dwell"] = None if value["min_dwell"] is None else parse_duration(value["min_dwell"])
        return cls(**known)


def _value_rule(value: Json) -> ValueRule:
    return ValueRule(**{**value, "range": None if value["range"] is None else tuple(value["range"])})
