"""What would have been seen by now: silence means little where nothing could have been heard."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from kairos.delivery.rollout.evidence import Guard
from kairos.delivery.rollout.harm import EVEN, share_counts
from kairos.stats.badevents import harm_log_e

__all__ = ["Power", "power"]

_FAR = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What one guard would have taken back by now, in about half of the cases."""

    name: str
    ratio: float
    """So many times the champion's bad events; infinite if it had none."""
    rate: float
    """Such a part of the challenger's predictions, had the champion no bad event; infinite without predictions."""

    def __str__(self) -> str:
        if math.isfinite(self.ratio):
            return f"{self.name}: r >= {self.ratio:.2g}"
        return f"{self.name}: a rate of {self.rate:.2g}" if self.rate <= 1 else f"{self.name}: nothing yet"


def power(guard: Guard, log_limit: float) -> Power:
    """What a guard that acts at ``log_limit`` would have seen by now, the champion's bad events being what they were.

    Where several kinds of evidence are averaged, the better one alone is asked.
    """
    schemes = [scheme for scheme in guard.by if scheme != "cap"]
    needed = log_limit + math.log(max(1, len(guard.by)))
    ratios = [_FAR]
    if "pairs" in schemes:
        ratios.append(_smallest(lambda r: _gain({EVEN: guard.pairs[1]}, r) >= needed))
    if "shares" in schemes:
        champion = {share: bad for share, (_, bad) in share_counts(guard.asked).items()}
        ratios.append(_smallest(lambda r: _gain(champion, r) >= needed))
    best = min(ratios)
    events = _events_alone(EVEN if "pairs" in schemes else _share(guard), needed)
    predictions = guard.own[1]
    return Power(
        name=guard.name,
        ratio=best if best < _FAR else math.inf,
        rate=events / predictions if predictions else math.inf,
    )


def _gain(champion: dict[float, int], ratio: float) -> float:
    """The expected log e-value of a test against 1 if the truth were ``ratio``, given the champion's bad events."""
    total = 0.0
    for share, bad in champion.items():
        odds = share / (1 - share)
        likely = share * ratio / (share * ratio + 1 - share)
        total += bad * (ratio * odds * math.log(likely / share) + math.log((1 - likely) / (1 - share)))
    return total


def _smallest(is_enough: Callable[[float], bool]) -> float:
    """The smallest ratio above 1 that is enough, by bisection; what is enough stays so for larger ones."""
    if not is_enough(_FAR):
        return _FAR
    low, high = 0.0, math.log(_FAR)
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if is_enough(math.exp(middle)) else (middle, high)
    return math.exp(high)


def _share(guard: Guard) -> float:
    """The smallest share so far, where a bad event of the challenger says most."""
    return min(share_counts(guard.asked), default=EVEN)


@lru_cache(maxsize=256)
def _events_alone(share: float, needed: float) -> int:
    """How many bad events, all of them the challenger's, prove harm."""
    return next((n for n in range(1, 1000) if harm_log_e({share: (n, 0)}) >= needed), 1000)
