"""The rollout: from shadow to live in steps, each as fast as the harm that it may do allows; and back.

    steps ──► policy ─┐
    rules ──►         ├─► harm ──┐
    evidence ─────────┴─► proof ─┴─► deciding ──► words     (worth: what requests are worth, for both)

What decides is imported from ``deciding``, and what it decides on from ``evidence``: the settings do without both.
"""

from __future__ import annotations

from kairos.delivery.rollout.policy import RolloutPolicy
from kairos.delivery.rollout.rules import EventRule, GuardRule, ValueRule
from kairos.delivery.rollout.steps import StageStep

__all__ = [
    "EventRule",
    "GuardRule",
    "RolloutPolicy",
    "StageStep",
    "ValueRule",
]
