"""Rows and evidence made up for the tests of this room."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.gates.evidence import GateEvidence
from kairos.gates.measure import measure
from kairos.gates.policy import GatePolicy
from kairos.gates.rows import GateRows

__all__ = ["DIGEST", "POLICY", "Floats", "evidence", "losses", "of_losses"]

Floats = NDArray[np.float64]
POLICY = GatePolicy(loss="absolute_error")
DIGEST = "0" * 32


def losses(n: int, *, better_by: float, seed: int = 0, sd: float = 5.0) -> tuple[Floats, Floats]:
    """Losses around 40 of a champion, and of a challenger that is better by so much on average."""
    rng = np.random.default_rng(seed)
    champion = 40 + sd * rng.standard_normal(n)
    return champion, champion - better_by + sd * rng.standard_normal(n)


def of_losses(champion: Floats, challenger: Floats, **more: Any) -> GateRows:
    """Rows on which two models have these absolute errors: what is true is 0."""
    return GateRows(
        truth=np.zeros(len(champion)), champion=np.asarray(champion), challenger=np.asarray(challenger),
        digest=DIGEST, **more,
    )  # fmt: skip


def evidence(
    n: int = 400, *, better_by: float = 3.0, policy: GatePolicy = POLICY, seed: int = 0, **more: Any
) -> GateEvidence:
    """What is measured of ``losses``; ``more`` goes to the rows, or to ``measure`` if it knows it."""
    known = ("checks", "cost", "rank", "rows_per_day", "label_delay_days", "as_of", "incomparable", "functions")
    given = {name: more.pop(name) for name in known if name in more}
    return measure(of_losses(*losses(n, better_by=better_by, seed=seed), **more), policy, **given)
