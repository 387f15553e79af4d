"""What a metric is over seeds stands beside it under names of its own, and is told in one line with it."""

from __future__ import annotations

import math

import pytest

from kairos.experiments.ports import SeedRecord
from kairos.experiments.spread import metrics_text, spread_metrics, spreads_of
from kairos.values import Digest


def seeds(*metrics: dict[str, float]) -> list[SeedRecord]:
    """One for each."""
    return [
        SeedRecord(seed=seed, package=Digest("1" * 32 + ".dir"), holdout=Digest("2" * 32), metrics=each)
        for seed, each in enumerate(metrics)
    ]


def test_mean_and_deviation_stand_beside_the_metric() -> None:
    """Of each target as well; not of a baseline, nor of what one seed lacks or has as no number."""
    told = spread_metrics(
        "m",
        seeds(
            {"m.mae": 1.0, "m.mae.h1": 4.0, "m.mae.baseline": 9.0, "m.odd": 1.0, "m.few": 1.0},
            {"m.mae": 2.0, "m.mae.h1": 4.0, "m.mae.baseline": 9.0, "m.odd": math.nan},
        ),
    )
    assert told == {"m.seeds": 2.0, "m.mae.mean": 1.5, "m.mae.sd": pytest.approx(math.sqrt(0.5)), "m.mae.h1.mean": 4.0}
    plain, spreads = spreads_of({"m.mae": 1.0, "m.mae.h1": 4.0, "other.mae": 3.0, **told})
    assert plain == {"m.mae": 1.0, "m.mae.h1": 4.0, "other.mae": 3.0}
    assert {name: (each.seeds, each.mean) for name, each in spreads.items()} == {
        "m.mae": (2, 1.5),
        "m.mae.h1": (2, 4.0),
    }
    assert spreads["m.mae.h1"].sd is None


def test_a_target_keeps_its_name() -> None:
    """One that is called ``mean`` is no mean over seeds."""
    own = {"m.mae": 1.0, "m.mae.mean": 7.0}
    assert spread_metrics("m", seeds(own, {"m.mae": 2.0, "m.mae.mean": 8.0})) == {}
    assert metrics_text(own) == "m.mae 1, m.mae.mean 7"
