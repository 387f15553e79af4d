"""Is the live loss probably above what its reference allows, on days whose labels are still to come?"""

from __future__ import annotations

from kairos.monitor.checks.quality import LossReference
from kairos.monitor.estimate import Estimate
from kairos.monitor.findings import Finding
from kairos.monitor.policy import MonitorPolicy
from kairos.values import Window

__all__ = ["estimated_quality"]


def estimated_quality(
    estimate: Estimate, reference: LossReference, *, loss: str, policy: MonitorPolicy, window: Window, version: int
) -> Finding | None:
    """Finds that every estimate, less its sampling error, is above the tolerated loss.

    One look at one stretch; the estimates assume that a row like one of the holdout still has such a truth. So it is a
    warning and never an alarm: it asks for labels.

    Args:
        estimate: Of the mean loss over the stretch.
        reference: Loss on the holdout.
        loss: Its name, for the sentence.
        policy: ``quality_tolerance``; ``alpha`` is what the bounds of the estimate were made with.
        window: The stretch.
        version: Which one is watched.

    Returns:
        ``warn``; ``info`` where something speaks against relying on the estimate; ``None`` if it is tolerated.
    """
    tolerated = reference.upper * (1 + policy.quality_tolerance)
    if not estimate.lower > tolerated:
        return None
    doubts = f" Do not rely on it: {'; '.join(estimate.flags)}." if estimate.flags else ""
    return Finding(
        check="estimated_quality",
        level="info" if estimate.flags else "warn",
        column=None,
        value=estimate.value,
        lower=estimate.lower,
        upper=estimate.upper,
        threshold=tolerated,
        window=window,
        rows=estimate.rows,
        sentence=(
            f"The mean {loss.replace('_', ' ')} of the {estimate.rows} predictions since {window.start:%Y-%m-%d} is "
            f"estimated at {estimate.value:.4g}, {estimate.lower:.4g} to {estimate.upper:.4g}, above the "
            f"{tolerated:.4g} tolerated, while {estimate.labelled / estimate.rows:.0%} of their labels are in "
            f"({', '.join(f'{name} {value:.4g}' for name, value in estimate.methods.items())}).{doubts}"
        ),
        version=version,
    )
