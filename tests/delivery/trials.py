"""Evidence of made-up trials."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kairos.delivery.rollout.evidence import Guard, PairedLoss, RolloutEvidence

__all__ = ["GOOD", "START", "clean_guards", "evidence"]

START = datetime(2012, 1, 1, tzinfo=UTC)
GOOD = PairedLoss(pairs=300, champion_mean=50.0, challenger_mean=40.0, lower=-15.0, upper=-4.0, harm_log_e=-3.0)


def evidence(loss: PairedLoss | None = GOOD, *, days: float = 5, per_day: int = 24, **more: Any) -> RolloutEvidence:
    """Of a trial in its first stage; every request was predicted by both, and a quarter was the challenger's."""
    requests = round(per_day * days)
    given = {
        "as_of": START + timedelta(days=days),
        "since": START,
        "loss": loss,
        "requests": requests,
        "pairs": requests,
        "asked": {"0.25": (requests // 4, requests - requests // 4)},
    }
    return RolloutEvidence(**{**given, **more})


def clean_guards(predictions: int, asked: int) -> tuple[Guard, ...]:
    """Of a challenger and a champion that never had a bad event."""
    nothing = {"0.25": (0, 0)}
    return (
        Guard(name="errors", what="errors", asked=nothing, own=(0, predictions)),
        Guard(name="slow_p95", what="slow answers", by=("shares",), asked=nothing, own=(0, asked), reference=0.05),
    )
