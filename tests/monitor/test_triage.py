"""What a bias asks for: recalibrate, train anew, or look whether something broke."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kairos.monitor.triage import TriageEvidence, gather_triage, triage
from kairos.stats.concordance import Concordance

Floats = NDArray[np.float64]

SOUND = TriageEvidence(
    rows=500,
    days=20,
    bias=12.0,
    bias_error=2.0,
    uneven_p=0.4,
    slices_p={"season": 0.3},
    ranking_before=Concordance(value=0.81, error=0.02, rows=500),
    ranking_now=Concordance(value=0.80, error=0.02, rows=500),
)


def advice(**changes: Any) -> str:
    return triage(replace(SOUND, **changes)).advice


def test_a_level_that_is_off_is_recalibrated() -> None:
    """The ranking holds and the bias is even; both are said."""
    found = triage(SOUND)
    assert found.advice == "recalibrate"
    assert found.reasons == (
        "predictions are too high by 12, alike for low and high ones",
        "rows are still ranked as before: 0.800 of pairs are in order",
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ranking_now": Concordance(value=0.70, error=0.02, rows=500)}, "ranks rows worse than on its holdout"),
        ({"uneven_p": 0.001}, "the bias is uneven"),
        ({"slices_p": {"season": 0.001, "day": 0.5}}, "the bias differs by season"),
        ({"bias": 1.0}, "recalibrating would mend nothing"),
        ({"rows": 50}, "50 labelled rows of 20 days do not tell"),
        ({"days": 2}, "of 2 days do not tell"),
    ],
)
def test_what_recalibration_would_not_mend_is_trained_anew(changes: dict[str, Any], reason: str) -> None:
    """A lost ranking, an uneven bias, one that differs by slice; and where it cannot be told."""
    bins = gather_triage(np.arange(200.0), np.zeros(200), np.arange(200) // 10).bins
    found = triage(replace(SOUND, bins=bins, **changes))
    assert found.advice == "retrain"
    assert reason in found.reasons[0]


def test_a_small_drop_or_an_unproven_one_is_no_reason() -> None:
    """A point less matters to nobody; more has to be proven. Of several columns one may be odd by chance."""
    assert advice(ranking_now=Concordance(value=0.801, error=0.001, rows=500)) == "recalibrate"
    assert advice(ranking_now=Concordance(value=0.75, error=0.05, rows=500)) == "recalibrate"
    assert advice(slices_p=dict.fromkeys("abcdef", 0.003)) == "recalibrate"
    assert advice(ranking_before=None) == "recalibrate"


def test_what_broke_is_looked_at_before_anything_is_learnt() -> None:
    """An open fault, or predictions that moved although no input did; with inputs that moved, the world did."""
    broken = triage(replace(SOUND, faults=("the data contract is broken",), mix_moved=True))
    assert broken.advice == "investigate"
    assert broken.reasons[0] == "the data contract is broken"
    assert "something between them may be broken" in broken.reasons[1]
    assert advice(mix_moved=True) == "investigate"
    assert advice(mix_moved=True, inputs_moved=True) == "recalibrate"


def world(
    rng: np.random.Generator, change: str, *, is_chance: bool, days: int = 28
) -> tuple[Floats, Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Prediction, label, day and slice of hourly rows, after the world changed in one way or not at all."""
    day = np.repeat(np.arange(days), 24)
    x, part = rng.normal(size=day.size), rng.integers(0, 2, size=day.size)
    if is_chance:
        odds = {"none": 2 * x, "level": 2 * x + 1, "slice": 2 * x + 2 * part, "lost": 0.5 * x + 1}[change]
        return 1 / (1 + np.exp(-2 * x)), (rng.random(x.size) < 1 / (1 + np.exp(-odds))).astype(float), day, part
    mean = 100 + 30 * x
    noise = 15 * rng.normal(size=x.size) + 3 * rng.normal(size=days)[day]
    now = {"none": mean, "level": 1.2 * mean + 5, "slice": mean + 40 * part, "lost": 100 + 10 * x}[change]
    spread = 25 * rng.normal(size=x.size) if change == "lost" else 0.0
    return mean, now + noise + spread, day, part


@pytest.mark.parametrize("is_chance", [True, False])
@pytest.mark.parametrize(
    ("change", "expected", "share"),
    [("none", "retrain", 0.85), ("level", "recalibrate", 0.85), ("slice", "retrain", 0.95), ("lost", "retrain", 0.95)],
)
def test_it_is_right_about_worlds_whose_change_is_known(
    change: str, expected: str, share: float, *, is_chance: bool
) -> None:
    """Four weeks of hourly rows, numbers or probabilities: what it says in nine cases of ten."""
    rng = np.random.default_rng(7)
    found = Counter[str]()
    for _ in range(60):
        before = world(rng, "none", is_chance=is_chance)[:3]
        prediction, label, day, part = world(rng, change, is_chance=is_chance)
        found[triage(gather_triage(prediction, label, day, slices={"part": part}, before=before)).advice] += 1
    assert found[expected] >= share * 60


def test_few_rows_have_no_bins() -> None:
    """And what is always the same prediction has one."""
    few = gather_triage(np.ones(20), np.ones(20), np.arange(20))
    assert (few.bins, few.uneven_p) == ((), 1.0)
    rng = np.random.default_rng(8)
    found = gather_triage(np.full(480, 100.0), 90 + rng.normal(size=480), np.repeat(np.arange(20), 24))
    assert len(found.bins) == 1
    assert triage(found).advice == "recalibrate"
