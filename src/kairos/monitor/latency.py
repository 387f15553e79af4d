"""What "slow" means in a rollout: how long the champion took before it began."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kairos.values import Window

if TYPE_CHECKING:
    from kairos.store.predictions import PredictionLog

__all__ = ["latency_limits"]

_STRETCHES = (timedelta(hours=1), timedelta(days=1), timedelta(days=7))
"""How far back is looked, the next one only if the former held too few answers."""

_ENOUGH = 5_000
_NEEDED = {"slow_p95": (0.95, 200), "slow_p99": (0.99, 1_000)}
"""Quantile, and answers without which it is not known: about ten beyond it."""


def latency_limits(log: Callable[[], PredictionLog], model: str, version: int, *, before: datetime) -> dict[str, int]:
    """The 95 % and 99 % quantile of the time that a version took for its answers, in microseconds.

    Only what lies before the rollout is looked at, so the limits are fixed when it begins, and whoever asks later gets
    the same.

    Args:
        log: Gives the log of predictions; a server loads what reads it only when something is on trial.
        model: The model's name.
        version: The champion's number.
        before: When the rollout began.

    Returns:
        ``slow_p95`` and ``slow_p99``; what too few answers tell is left out.
    """
    import polars as pl  # see above

    latencies = pl.Series(dtype=pl.Int64)
    for stretch in _STRETCHES:
        rows = log().predictions(model, Window(before - stretch, before), versions=[version])
        latencies = rows.filter(pl.col("answered"))["latency_us"]
        if len(latencies) >= _ENOUGH:
            break
    return {
        name: int(latencies.quantile(quantile, interpolation="higher") or 0)
        for name, (quantile, needed) in _NEEDED.items()
        if len(latencies) >= needed
    }
