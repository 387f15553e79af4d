"""What may leave the server: a range for a model's output, and what happens to a value outside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from kairos.errors import UsageError

__all__ = ["GuardAction", "Judged", "OutputGuard"]

GuardAction = Literal["clip", "flag", "fallback", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a guard makes of one output."""

    output: float | None
    """What may leave; ``None``: nothing of this version may."""
    violation: str | None
    """``"below"``, ``"above"``, ``"not_finite"``, or ``None`` for a value in range."""
    action: GuardAction | None
    """What is done about the violation; ``"fallback"`` asks another version first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputGuard:
    """The range of a model's output, both ends included, and the action on a value outside it.

    A value that is not finite never leaves, whatever the action: another version is asked, and if none can answer the
    request is refused.

    Examples:
        >>> OutputGuard(lower=0.0, on_violation="clip").judge(-15.0)
        Judged(output=0.0, violation='below', action='clip')

    Raises:
        UsageError: the range is empty or not a number.
    """

    lower: float | None = None
    upper: float | None = None
    on_violation: GuardAction = "flag"

    def __post_init__(self) -> None:
        ends = [end for end in (self.lower, self.upper) if end is not None]
        if any(math.isnan(end) for end in ends) or (len(ends) == 2 and ends[0] > ends[1]):
            raise UsageError(
                "An output range holds no number.", given=f"[{self.lower}, {self.upper}]", accepted="lower <= upper"
            )

    def lets_all(self, raws: Sequence[float | None]) -> bool:
        """Whether ``judge`` finds nothing in any of these outputs, none of which is ``None``; it may miss that.

        >>> OutputGuard(lower=0.0).lets_all([1.0, 2.0]), OutputGuard(lower=0.0).lets_all([1.0, math.nan])
        (True, False)
        """
        values = cast("Sequence[float]", raws)
        if not math.isfinite(sum(values)):  # not so if any is not, and then they can be compared
            return False
        return (self.lower is None or min(values) >= self.lower) and (self.upper is None or max(values) <= self.upper)

    def judge(self, raw: float) -> Judged:
        """Says what may leave for a model's own output ``raw``."""
        if not math.isfinite(raw):
            action: GuardAction = "refuse" if self.on_violation == "refuse" else "fallback"
            return Judged(output=None, violation="not_finite", action=action)
        if self.lower is not None and raw < self.lower:
            return self._outside(raw, "below", self.lower)
        if self.upper is not None and raw > self.upper:
            return self._outside(raw, "above", self.upper)
        return Judged(output=raw, violation=None, action=None)

    def _outside(self, raw: float, violation: str, nearest: float) -> Judged:
        if self.on_violation == "clip":
            return Judged(output=nearest, violation=violation, action="clip")
        output = raw if self.on_violation == "flag" else None
        return Judged(output=output, violation=violation, action=self.on_violation)
