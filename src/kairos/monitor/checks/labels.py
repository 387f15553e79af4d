"""Do labels find their predictions, and can they be true? Those that do not would otherwise be missed by nobody."""

from __future__ import annotations

from kairos.monitor.findings import Finding
from kairos.monitor.tallies import UnusableLabels
from kairos.store.matching import Matches
from kairos.values import Window

__all__ = ["unmatched_labels", "unusable_labels"]

_TOLERATED = 0.01
_FEW = 20


def unmatched_labels(found: Matches, *, given: int, window: Window, version: int) -> Finding | None:
    """Finds that labels by entity and time are about no prediction in the log, or about predictions of several times.

    A count, not an estimate: it has no error rate.

    Args:
        found: What became of the labels.
        given: How many they were.
        window: In which they arrived.
        version: Which one is watched.

    Returns:
        ``warn`` above 1 % of the labels, from 20 on; else ``None``.
    """
    lost = len(found.ambiguous) + len(found.unmatched)
    if lost < _FEW or lost <= _TOLERATED * given:
        return None
    return Finding(
        check="unmatched_labels",
        level="warn",
        column=None,
        value=lost / given,
        lower=None,
        upper=None,
        threshold=_TOLERATED,
        window=window,
        rows=given,
        sentence=(
            f"Of {given} labels by entity and time that came since {window.start:%Y-%m-%d}, {len(found.unmatched)} are "
            f"about no prediction in the log, and {len(found.ambiguous)} near predictions of more than one time."
        ),
        version=version,
    )


def unusable_labels(
    found: UnusableLabels | None, *, judged: int, loss: str, window: Window, version: int
) -> Finding | None:
    """Finds that labels are none that the loss takes, such as 7 where 0 or 1 is meant; they are left out.

    A count, not an estimate: it has no error rate.

    Args:
        found: The labels.
        judged: Rows whose labels are taken.
        loss: Its name.
        window: Since the version went live.
        version: Which one is watched.

    Returns:
        ``warn`` from the first such label on; else ``None``.
    """
    if found is None:
        return None
    return Finding(
        check="unusable_labels",
        level="warn",
        column=None,
        value=found.labels / (found.labels + judged),
        lower=None,
        upper=None,
        threshold=0.0,
        window=window,
        rows=found.labels + judged,
        sentence=(
            f"{found.labels} of {found.labels + judged} labels are none that {loss} takes, such as {found.value:g} for "
            f"the prediction {found.prediction_id!r}. They are left out until a right one comes."
        ),
        version=version,
    )
