"""Is harm proven? Any guard, or the paired loss, that proves it ends a rollout.

Each guard has a part of alpha. It acts when its e-value reaches ``1 / (part x alpha)``, so all of them together roll a
harmless version back with chance alpha at most, however they depend on each other and however often one looks. A guard
that gathers evidence in several ways has the mean of its e-values, which is an e-value again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kairos.delivery.rollout.evidence import Guard, RolloutEvidence
from kairos.delivery.rollout.policy import RolloutPolicy
from kairos.delivery.rollout.worth import harm_of_values
from kairos.stats.badevents import Counts, harm_log_e
from kairos.stats.rates import rate_log_e

__all__ = ["EVEN", "Alarm", "alarms", "guard_log_e", "log_limits", "log_mean", "share_counts"]

EVEN = 0.5
"""A bad event that only one of two equally good versions has on a request is as likely the one's as the other's."""

LOSS = "loss"
"""The name of the paired loss among the guards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """How much speaks for harm of one kind."""

    name: str
    log_e: float
    """Natural log of the e-value."""
    log_limit: float
    """From here on it is proven."""

    @property
    def is_proven(self) -> bool:
        """Whether it is; NaN proves nothing."""
        return self.log_e >= self.log_limit


def alarms(policy: RolloutPolicy, evidence: RolloutEvidence) -> tuple[Alarm, ...]:
    """What every guard says, the paired loss first; it has its part of alpha even while there are no labels."""
    worth = harm_of_values(policy, evidence)
    names = [LOSS, *(guard.name for guard in evidence.guards), *worth]
    limits = log_limits(names, policy.critical, policy.alpha)
    log_es = {LOSS: 0.0 if evidence.loss is None else evidence.loss.harm_log_e}
    log_es |= {guard.name: guard_log_e(guard, tolerance=policy.tolerance) for guard in evidence.guards} | worth
    return tuple(Alarm(name=name, log_e=log_es[name], log_limit=limits[name]) for name in names)


def log_limits(names: Sequence[str], critical: Sequence[str], alpha: float) -> dict[str, float]:
    """The natural log of the e-value at which each guard acts.

    Critical guards share half of alpha, the others the other half; without critical ones all have the same.

    >>> limits = log_limits(["loss", "errors", "timeouts"], ["errors"], 0.05)
    >>> [round(math.exp(limit)) for limit in limits.values()]
    [80, 40, 80]
    """
    special = [name for name in names if name in critical]
    usual = [name for name in names if name not in critical]
    if not special or not usual:
        return {name: math.log(len(names) / alpha) for name in names}
    return {name: math.log(2 * len(special if name in critical else usual) / alpha) for name in names}


def guard_log_e(guard: Guard, *, tolerance: float = 0.0) -> float:
    """Natural log of the e-value against "the challenger does no harm of this kind"."""
    ratio = 1 + tolerance
    parts = []
    if "pairs" in guard.by:
        parts.append(harm_log_e({EVEN: guard.pairs}, ratio))
    if "shares" in guard.by:
        parts.append(harm_log_e(share_counts(guard.asked), ratio))
    if "cap" in guard.by and guard.cap is not None:
        parts.append(rate_log_e(*guard.own, guard.cap, "greater"))
    return log_mean(parts)


def share_counts(asked: Mapping[str, tuple[int, int]]) -> Counts:
    """Counts by share, as the statistics take them."""
    return {float(share): pair for share, pair in asked.items()}


def log_mean(logs: Sequence[float]) -> float:
    """Logarithm of the mean of numbers given by their logarithms; 0 without any.

    >>> round(log_mean([math.log(3.0), 0.0]), 6) == round(math.log(2.0), 6)
    True
    """
    return float(np.logaddexp.reduce(logs)) - math.log(len(logs)) if logs else 0.0
