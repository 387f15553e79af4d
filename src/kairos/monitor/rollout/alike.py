"""How alike two versions are, before there is any label: for people to look at. Nothing is decided by it."""

from __future__ import annotations

import numpy as np
import polars as pl

from kairos.delivery.rollout.evidence import LabelFree
from kairos.stats.bins import NumberBins
from kairos.stats.psi import psi_test

__all__ = ["label_free"]

_WITHIN = 0.1
"""Of the standard deviation of the champion's outputs: what still counts as the same answer."""

_MATTERS = 0.1
"""The stability index whose bounds are asked for."""


def label_free(requests: pl.DataFrame) -> LabelFree | None:
    """Compares outputs and times on requests that both versions answered; ``None`` without any.

    Args:
        requests: One row a request, with ``output_…`` and ``latency_us_…`` of both versions.
    """
    outputs = [pl.col(f"output_{arm}").is_finite() for arm in ("champion", "challenger")]
    both = requests.filter(outputs[0] & outputs[1])
    if both.is_empty():
        return None
    champion, challenger = (both[f"output_{arm}"].to_numpy() for arm in ("champion", "challenger"))
    within = _WITHIN * float(champion.std())
    bins = NumberBins.fit(champion)
    moved = psi_test(bins.fold(bins.counts(champion)), bins.fold(bins.counts(challenger)), eps=_MATTERS, alpha=0.05)
    times = [both[f"latency_us_{arm}"].to_numpy().astype(np.float64) for arm in ("champion", "challenger")]
    timed = times[0] > 0
    return LabelFree(
        pairs=len(both),
        agreement=float((np.abs(challenger - champion) <= within).mean()),
        within=within,
        psi=float(moved.psi),
        psi_lower=float(moved.lower),
        psi_upper=float(moved.upper),
        slower=float((times[1] > times[0]).mean()),
        latency_ratio=float(np.median(times[1][timed] / times[0][timed])) if timed.any() else 1.0,
    )
