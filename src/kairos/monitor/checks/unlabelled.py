"""Rows that are mature and have no label: told wherever they may matter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kairos.monitor.days import Days
from kairos.monitor.policy import MonitorPolicy

__all__ = ["unlabelled_sentence"]

_WORTH_TELLING = 0.01


def unlabelled_sentence(days: Days, unlabelled: NDArray[np.float64] | None, policy: MonitorPolicy) -> str:
    """How many rows have no label and what they count as, with a blank before it; nothing if they are few.

    Args:
        days: What was looked at.
        unlabelled: Share of the rows of each day that have no label, shape (n,), in [0, 1).
        policy: ``unlabelled``.
    """
    if unlabelled is None or not unlabelled.size or policy.unlabelled == "negative":
        return ""
    rows = days.rows / (1 - unlabelled)
    share = float((rows * unlabelled).sum() / rows.sum())
    if share < _WORTH_TELLING:
        return ""
    worst = ", and count as the worst case" if policy.unlabelled == "missing" else ", and are left out"
    return f" {share:.0%} of the rows have no label{worst}."
