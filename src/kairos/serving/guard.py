"""What may leave the server: a range for a model's output, and what happens to a value outside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

from kairos.errors import UsageError
from kairos.models.outputs import Output

__all__ = ["GuardAction", "Judged", "OutputGuard", "Said"]

GuardAction = Literal["clip", "flag", "fallback", "refuse"]

Said = float | tuple[float, ...]
"""What a version gives for a row: its number, or the numbers of all its outputs."""

Range = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a guard makes of one output."""

    output: Said | None
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
    each: tuple[tuple[str, float | None, float | None], ...] = ()
    """Of several numbers the name of one and its own range, which holds instead of the range of all."""

    def __post_init__(self) -> None:
        for lower, upper in ((self.lower, self.upper), *(limits[1:] for limits in self.each)):
            ends = [end for end in (lower, upper) if end is not None]
            if any(math.isnan(end) for end in ends) or (len(ends) == 2 and ends[0] > ends[1]):
                raise UsageError(
                    "An output range holds no number.", given=f"[{lower}, {upper}]", accepted="lower <= upper"
                )

    def lets_all(self, raws: Sequence[Said | None]) -> bool:
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
        return self._judge(raw, self.lower, self.upper)

    def judge_all(self, raws: Sequence[float], outputs: tuple[Output, ...]) -> Judged:
        """Says what may leave of the numbers of several outputs; the gravest violation decides for all of them.

        A number of a class is a chance, which has no range.

        >>> steps = (Output(name="h1"), Output(name="h2"))
        >>> OutputGuard(lower=0.0, on_violation="clip", each=(("h2", 1.0, None),)).judge_all((-3.0, 0.5), steps)
        Judged(output=(0.0, 1.0), violation='below', action='clip')
        """
        judged = [self._judge(raw, *ends) for raw, ends in zip(raws, _ranges(self, outputs), strict=True)]
        broken = [one for one in judged if one.violation is not None]
        if not broken:
            return Judged(output=tuple(raws), violation=None, action=None)
        worst = next((one for one in broken if one.output is None), broken[0])
        left = None if worst.output is None else tuple(cast("float", one.output) for one in judged)
        return Judged(output=left, violation=worst.violation, action=worst.action)

    def ranges(self, outputs: tuple[Output, ...]) -> tuple[Range, ...]:
        """The lowest and highest value that may leave of each number, in order; of a single one without outputs."""
        return _ranges(self, outputs) if outputs else ((self.lower, self.upper),)

    def _judge(self, raw: float, lower: float | None, upper: float | None) -> Judged:
        if not math.isfinite(raw):
            action: GuardAction = "refuse" if self.on_violation == "refuse" else "fallback"
            return Judged(output=None, violation="not_finite", action=action)
        if lower is not None and raw < lower:
            return self._outside(raw, "below", lower)
        if upper is not None and raw > upper:
            return self._outside(raw, "above", upper)
        return Judged(output=raw, violation=None, action=None)

    def _outside(self, raw: float, violation: str, nearest: float) -> Judged:
        if self.on_violation == "clip":
            return Judged(output=nearest, violation=violation, action="clip")
        output = raw if self.on_violation == "flag" else None
        return Judged(output=output, violation=violation, action=self.on_violation)


@lru_cache(maxsize=256)
def _ranges(guard: OutputGuard, outputs: tuple[Output, ...]) -> tuple[Range, ...]:
    own: dict[str, Range] = {name: (lower, upper) for name, lower, upper in guard.each}
    found: list[Range] = []
    for output in outputs:
        common = own.get(output.name, (guard.lower, guard.upper))
        found += [(None, None) if output.kind == "class" else own.get(name, common) for name in output.names]
    return tuple(found)
