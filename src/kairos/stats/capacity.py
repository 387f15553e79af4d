"""How many instances? The fewest that keep a promise at the peak, and one more for the one that fails."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kairos.errors import UsageError
from kairos.stats.queueing import ServiceTimes, Wait, response_quantile, wait
from kairos.stats.scaling import Scaling

__all__ = ["Capacity", "CapacityGoal", "instances_for"]

_MOST = 10_000
"""Instances beyond which the answer helps nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityGoal:
    """What is promised to users, and what is held in reserve."""

    slo_s: float
    """Seconds within which a share ``quantile`` of requests is answered, above 0."""
    quantile: float = 0.99
    most_busy: float = 0.75
    """Share of the time that workers may be at work at the peak, above 0 and below 1."""
    spare: int = 1
    """Instances that may fail without anybody noticing, 0 or more."""
    at_least: int = 2
    """Instances, the spare ones included."""

    def __post_init__(self) -> None:
        if not (0 < self.slo_s < math.inf and 0 < self.quantile < 1 and 0 < self.most_busy < 1):
            raise UsageError(
                "Nothing can meet this goal for capacity.",
                given=f"{self.slo_s!r} s for {self.quantile!r} of requests, workers {self.most_busy!r} busy",
                accepted="seconds above 0, and two shares strictly between 0 and 1",
            )
        if self.spare < 0 or self.at_least < 1:
            raise UsageError(
                "A goal for capacity counts instances.", given=f"{self.spare} spare, {self.at_least} least"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How many instances, what decides it, and how far they carry."""

    instances: int | None
    """With the spare ones; ``None`` if no number keeps the promise."""
    needed: int | None
    """Of them, those that have to be up."""
    limited_by: Literal["slo", "busy", "minimum"]
    """Why not one fewer: the promised time, the share of busy workers, or only the least number."""
    response_s: float
    """The promised quantile of the response time with just ``needed`` up; without an answer, of the work alone."""
    wait: Wait | None
    """How requests wait then."""
    carries_per_s: float
    """The rate up to which ``needed`` instances keep the promise; 0 without an answer."""
    is_extrapolated: bool
    """An instance has more workers than its scaling was measured with."""
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crew:
    """Instances that are all alike, at work for one goal."""

    goal: CapacityGoal
    workers: int
    service: ServiceTimes
    arrival_cv2: float

    def wait(self, instances: int, rate_per_s: float) -> Wait:
        return wait(
            servers=instances * self.workers,
            rate_per_s=rate_per_s,
            service_s=self.service.mean_s,
            arrival_cv2=self.arrival_cv2,
            service_cv2=self.service.cv2,
        )

    def response_s(self, instances: int, rate_per_s: float) -> float:
        return response_quantile(self.wait(instances, rate_per_s), self.service, self.goal.quantile)

    def holds(self, instances: int, rate_per_s: float) -> bool:
        return (
            self.wait(instances, rate_per_s).busy <= self.goal.most_busy * (1 + 1e-9)
            and self.response_s(instances, rate_per_s) <= self.goal.slo_s
        )

    def fewest(self, rate_per_s: float) -> int:
        """By halving: one more instance never makes it worse."""
        if not self.holds(_MOST, rate_per_s):
            raise UsageError(
                "So many requests cannot be planned for.",
                given=f"{rate_per_s:g} a second",
                accepted=f"{_MOST} instances",
            )
        low, high = 0, _MOST
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.holds(middle, rate_per_s) else (middle, high)
        return high

    def carries_per_s(self, instances: int) -> float:
        """By halving: one more request never makes it better."""
        low, high = 0.0, self.goal.most_busy * instances * self.workers / self.service.mean_s
        if self.holds(instances, high):
            return high
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if self.holds(instances, middle) else (low, middle)
        return low


def instances_for(
    goal: CapacityGoal,
    *,
    rate_per_s: float,
    service: ServiceTimes,
    workers: int = 1,
    arrival_cv2: float = 1.0,
    scaling: Scaling | None = None,
) -> Capacity:
    """The smallest number of instances that keeps the goal at this rate, plus the spare ones.

    Workers of one instance share a machine; instances share nothing. With a ``scaling`` measured on one instance its
    workers are slowed down as under full load, by the cautious end of the interval.

    Args:
        goal: What is promised.
        rate_per_s: Requests per second at the peak (``peak_rate``), 0 or more.
        service: Service times measured with one worker and no other load.
        workers: Per instance, 1 or more.
        arrival_cv2: As for ``wait``; ``dispersion`` measures it.
        scaling: How an instance's throughput grows with its workers; ``None``: as many workers, as many times.

    Examples:
        >>> found = instances_for(CapacityGoal(slo_s=0.2), rate_per_s=35.0, service=ServiceTimes.of([0.04, 0.06]))
        >>> found.instances, found.needed, round(found.carries_per_s, 1)
        (4, 3, 45.0)
    """
    if workers < 1 or not rate_per_s >= 0:
        raise UsageError("Instances do not fit.", given=f"{workers} workers, {rate_per_s!r} a second")
    crew = _Crew(
        goal=goal, workers=workers, service=service.slowed(_slowdown(scaling, workers)), arrival_cv2=arrival_cv2
    )
    is_extrapolated = scaling is not None and workers > scaling.most_measured
    alone_s = crew.service.quantile(goal.quantile)
    if alone_s > goal.slo_s:
        return Capacity(
            instances=None,
            needed=None,
            limited_by="slo",
            response_s=alone_s,
            wait=None,
            carries_per_s=0.0,
            is_extrapolated=is_extrapolated,
            sentence=(
                f"No number of instances answers {goal.quantile:.4g} of the requests within {_ms(goal.slo_s)}: the "
                f"work alone takes {_ms(alone_s)}, without any wait."
            ),
        )
    fewest = crew.fewest(rate_per_s)
    needed = max(fewest, goal.at_least - goal.spare)
    return Capacity(
        instances=needed + goal.spare,
        needed=needed,
        limited_by=_limit(crew, fewest, rate_per_s) if needed == fewest and fewest > 1 else "minimum",
        response_s=crew.response_s(needed, rate_per_s),
        wait=crew.wait(needed, rate_per_s),
        carries_per_s=crew.carries_per_s(needed),
        is_extrapolated=is_extrapolated,
        sentence=_sentence(crew, fewest, needed, rate_per_s),
    )


def _slowdown(scaling: Scaling | None, workers: int) -> float:
    """By how much work takes longer when all workers of an instance are at it, at the cautious end."""
    if scaling is None or workers == 1:
        return 1.0
    _, contention, crosstalk = scaling.draws.T
    drawn = 1 + contention * (workers - 1) + crosstalk * workers * (workers - 1)
    return max(scaling.slowdown(workers), float(np.quantile(drawn, 1 - scaling.alpha / 2)))


def _limit(crew: _Crew, fewest: int, rate_per_s: float) -> Literal["slo", "busy"]:
    """What one instance fewer would break."""
    return "busy" if crew.response_s(fewest - 1, rate_per_s) <= crew.goal.slo_s else "slo"


def _sentence(crew: _Crew, fewest: int, needed: int, rate_per_s: float) -> str:
    goal, name = crew.goal, f"p{100 * crew.goal.quantile:g}"
    most, total = f"{crew.carries_per_s(needed):.3g} requests a second", needed + goal.spare
    carry = f"{needed} {'holds' if needed == 1 else 'hold'} {name} within {_ms(goal.slo_s)} up to {most}"
    spare = "" if not goal.spare else f", and {goal.spare} may fail"
    here = (
        f"At {rate_per_s:.3g} a second {name} is {_ms(crew.response_s(needed, rate_per_s))} and workers are "
        f"{crew.wait(needed, rate_per_s).busy:.0%} busy"
    )
    if needed > fewest or needed == 1:
        why = ""
    elif _limit(crew, needed, rate_per_s) == "slo":
        why = f"; with {needed - 1}, {name} would be {_ms(crew.response_s(needed - 1, rate_per_s))}"
    else:
        busy = crew.wait(needed - 1, rate_per_s).busy
        why = f"; with {needed - 1} they would be {busy:.0%} busy, more than the {goal.most_busy:.0%} allowed"
    return f"{total} {'instance' if total == 1 else 'instances'}: {carry}{spare}. {here}{why}."


def _ms(seconds: float) -> str:
    if math.isinf(seconds):
        return "without end"
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
