"""Do labels find their predictions? Those that do not would otherwise be missed by nobody."""

from __future__ import annotations

from kairos.monitor.findings import Finding
from kairos.store.matching import Matches
from kairos.values import Window

__all__ = ["unmatched_labels"]

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
