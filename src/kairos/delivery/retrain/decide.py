"""The decision: train, recalibrate, ask a person, or wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.retrain.policy import RetrainPolicy
from kairos.delivery.retrain.reasons import Origin, Reason, find_reasons
from kairos.delivery.retrain.storms import held_back
from kairos.values import Json, plain, unplain

__all__ = ["WAITS", "Action", "RetrainDecision", "decide_retrain"]

WAITS = "waits: "
"""What the last reason begins with where a version is asked for and held back."""

Action = Literal["retrain", "recalibrate", "investigate", "wait"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainDecision:
    """What to do, and why."""

    action: Action
    origin: Origin | None
    """The gravest reason; ``None`` if nothing is to be made."""
    reasons: tuple[str, ...]
    """Everything that asks for a new model; and, where it is not made, what holds it back."""

    @property
    def makes_version(self) -> bool:
        """Whether a new version is to be made."""
        return self.action in ("retrain", "recalibrate")

    def plain(self) -> Json:
        """The decision as JSON holds it."""
        return plain(self)

    @classmethod
    def from_plain(cls, value: Json) -> RetrainDecision:
        """Undoes ``plain``."""
        found: dict[str, Any] = unplain(value)
        return cls(**{**found, "reasons": tuple(found["reasons"])})


def decide_retrain(policy: RetrainPolicy, facts: RetrainFacts) -> RetrainDecision:
    """Whether to make a new version now; every reason is kept, whatever the answer.

    Under an open fault, or where the triage finds that the pipeline broke rather than the world changed, nothing is
    learnt: a person has to look. A bias that leaves the ranking intact is mended by recalibration, unless that was
    tried on this champion before.
    """
    if facts.champion_trained_at is None:
        return RetrainDecision(action="wait", origin=None, reasons=("nothing is live",))
    reasons = find_reasons(policy, facts)
    if not reasons:
        return RetrainDecision(action="wait", origin=None, reasons=("no reason to change",))
    sentences = tuple(reason.sentence for reason in reasons)
    if facts.faults or facts.advice == "investigate":
        faults = facts.faults or ("its inputs broke rather than the world changed; look upstream",)
        sentences += tuple(f"fault: {fault}" for fault in faults)
        return RetrainDecision(action="investigate", origin=None, reasons=sentences)
    held = held_back(policy, facts, reasons)
    if held is not None:
        return RetrainDecision(action="wait", origin=None, reasons=(*sentences, f"{WAITS}{held}"))
    return RetrainDecision(action=_action(facts, reasons), origin=reasons[0].origin, reasons=sentences)


def _action(facts: RetrainFacts, reasons: tuple[Reason, ...]) -> Literal["retrain", "recalibrate"]:
    only_found = {reason.origin for reason in reasons} == {"finding"}
    may = facts.advice == "recalibrate" and only_found and not facts.was_recalibrated
    return "recalibrate" if may else "retrain"
