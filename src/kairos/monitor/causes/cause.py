"""What a search for causes finds: causes, each with its part in what went wrong, the likeliest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kairos.monitor.causes.evidence import Kind
from kairos.values import Interval, Json, plain

__all__ = ["Cause", "Causes"]

_LEAST_SHARE = 0.10
"""A cause that accounts for less is told of, but does not explain a rise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Something that changed, and its part in what went wrong."""

    kind: Kind
    what: str
    """Part of a sentence."""
    since: datetime
    """When it changed: of an input the beginning of the UTC day, of an event its time."""
    share: Interval | None
    """Of the rise, 1 is all of it; ``None`` if there is no rise to part."""
    column: str | None = None
    version: str | None = None
    seq: int | None = None
    """The ledger entry that tells of it."""
    is_timely: bool = True
    """Whether it came when the rise did: at most some days before, and not after it."""
    together: int = 1
    """So many changes came at once, and share the blame: which of them it was is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Causes:
    """What was found, the likeliest cause first."""

    model: str
    as_of: datetime
    named: str
    since: datetime | None
    """The first day of the rise; ``None`` if none is to be seen."""
    before: float | None
    after: float | None
    """Mean of the symptom before and after."""
    causes: tuple[Cause, ...]
    reference: Literal["before", "holdout"]
    rows: int
    days: int
    column: str | None = None
    """The input that the finding is about, if it is about one."""

    @property
    def first(self) -> Cause | None:
        """The cause that explains it, if one does; without a rise, what became of the input that was asked about."""
        head = self.causes[0] if self.causes else None
        if head is None or head.share is None:
            return head if head is not None and head.column is not None and head.column == self.column else None
        return head if head.share.estimate >= _LEAST_SHARE else None

    def plain(self) -> dict[str, Json]:
        """As JSON can hold it."""
        return dict(plain(self))
