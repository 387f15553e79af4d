"""Gate cases for pages: an ordinary one, and one whose every text is hostile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kairos.gates.case import GateCase
from kairos.gates.decide import decide
from kairos.gates.evidence import CheckResult, GateEvidence
from tests.gates.making import POLICY, evidence
from tests.web.stories import HOSTILE

__all__ = ["case_of", "hostile_case", "sliced"]

POLICY_WITH_SLICES = replace(POLICY, slices=("season",))


def sliced(*, better_by: float = 3.0, n: int = 400) -> GateEvidence:
    """Evidence with two slices."""
    season = np.where(np.arange(n) % 2, "summer", "winter")
    return evidence(n, better_by=better_by, policy=POLICY_WITH_SLICES, columns={"season": season})


def case_of(found: GateEvidence, *, version: str = "demand@7", against: str | None = "demand@5") -> GateCase:
    """Version 7 against version 5."""
    decision = decide(POLICY_WITH_SLICES, found)
    return GateCase(version=version, against=against, policy=POLICY_WITH_SLICES, evidence=found, decision=decision)


def hostile_case() -> GateCase:
    """Every text that a project may choose tries to break out of the page."""
    found = sliced()
    slices = {f"{HOSTILE}={name}": one for name, one in found.slices.items()}
    checks = (CheckResult(name=HOSTILE, state="failed", message=HOSTILE),)
    return case_of(replace(found, slices=slices, checks=checks), version=f"{HOSTILE}@7", against=f"{HOSTILE}@5")
