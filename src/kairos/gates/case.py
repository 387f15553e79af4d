"""A gate's decision with all that it rests on, as the texts for people take it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kairos.errors import UsageError
from kairos.gates.decide import GateDecision
from kairos.gates.evidence import GateEvidence, PackageCost
from kairos.gates.policy import GatePolicy
from kairos.values import parse_moment

__all__ = ["GateCase"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCase:
    """Which version was judged, against what, by which policy, on which evidence, and what came of it."""

    version: str
    """``demand@7``."""
    against: str | None
    """``demand@5``; ``None``: the simple baseline."""
    policy: GatePolicy
    evidence: GateEvidence
    decision: GateDecision
    cost: PackageCost | None = None
    """What the package costs, measured now and for information; what a limit rests on is in the evidence."""

    @property
    def short(self) -> str:
        """``Version 7``."""
        return f"Version {self.version.rpartition('@')[2]}"

    @property
    def other(self) -> str:
        """``version 5``, or ``the simple baseline``."""
        return "the simple baseline" if self.against is None else f"version {self.against.rpartition('@')[2]}"

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """The first and the last moment of the rows, if they have moments."""
        try:
            return parse_moment(self.evidence.oldest or ""), parse_moment(self.evidence.freshest or "")
        except UsageError:
            return None
