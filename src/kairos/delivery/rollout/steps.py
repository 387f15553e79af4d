"""The steps of a rollout, and what the table asks for in each. See docs/design/0006."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from kairos.delivery.stages import Stage
from kairos.errors import SettingsError

__all__ = ["DEFAULT_STAGES", "Demand", "StageStep", "demand"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStep:
    """One step of a rollout."""

    stage: Stage
    share: float
    """The part of requests that the challenger answers, in [0, 1]."""

    @classmethod
    def parse(cls, text: str) -> StageStep:
        """Reads ``shadow``, ``canary:10%`` or ``live``.

        >>> StageStep.parse("canary:10%")
        StageStep(stage='canary', share=0.1)
        """
        name, colon, share = text.partition(":")
        if name == "shadow" and not colon:
            return cls(stage="shadow", share=0.0)
        if name == "live" and not colon:
            return cls(stage="live", share=1.0)
        if name == "canary" and share.endswith("%"):
            try:
                part = float(share[:-1]) / 100
            except ValueError:
                part = math.nan
            if 0 < part < 1:
                return cls(stage="canary", share=part)
        raise SettingsError(
            "A rollout stage cannot be read.", given=text, accepted="'shadow', 'canary:N%' with 0 < N < 100, or 'live'"
        )

    def __str__(self) -> str:
        return f"{self.stage} with {self.share:.4g} of the requests" if self.stage == "canary" else self.stage


DEFAULT_STAGES = tuple(
    StageStep.parse(text) for text in ("shadow", "canary:1%", "canary:5%", "canary:25%", "canary:50%", "live")
)
"""The ramp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the table asks of a challenger before it leaves a step."""

    max_ratio: float
    """Its bad events have to be fewer than this many times the champion's."""
    min_requests: int
    """Requests that it has answered; in shadow, that both versions predicted."""
    dwell: timedelta
    """The least time in the step."""


_TABLE = (
    (0.0, Demand(max_ratio=math.inf, min_requests=500, dwell=timedelta(hours=1))),
    (0.01, Demand(max_ratio=10.0, min_requests=300, dwell=timedelta(minutes=10))),
    (0.05, Demand(max_ratio=4.0, min_requests=1_000, dwell=timedelta(minutes=30))),
    (0.25, Demand(max_ratio=2.0, min_requests=4_000, dwell=timedelta(hours=2))),
    (0.5, Demand(max_ratio=1.5, min_requests=8_000, dwell=timedelta(hours=4))),
    (1.0, Demand(max_ratio=1.25, min_requests=0, dwell=timedelta(hours=24))),
)
_SHARES = tuple(share for share, _ in _TABLE)


def demand(share: float, following: float) -> Demand:
    """What the table asks for at a share, before the share becomes ``following``.

    Of shares that are not in the table: number and time of the row below, and a ratio that keeps
    ``(ratio - 1) following`` at 0.5, as the table does about.

    >>> demand(0.25, 0.5).max_ratio, demand(0.25, 1.0).max_ratio
    (2.0, 1.5)
    """
    row = max(index for index, known in enumerate(_SHARES) if known <= share)
    found = _TABLE[row][1]
    in_table = share == _SHARES[row] and (share == 1.0 or following == _SHARES[row + 1])
    if in_table or share == 0.0:
        return found
    ratio = min(10.0, max(1.25, 1 + 0.5 / following))
    return Demand(max_ratio=ratio, min_requests=found.min_requests, dwell=found.dwell)
