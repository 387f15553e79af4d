"""When predictions are proven to be too high or too low."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from kairos.monitor.checks.bias import bias_interval, prediction_bias
from kairos.monitor.days import Days
from kairos.monitor.findings import Finding
from kairos.monitor.policy import MonitorPolicy

START = datetime(2012, 1, 1, tzinfo=UTC)
POLICY = MonitorPolicy()


def look(errors: NDArray[np.float64]) -> Finding | None:
    """The check on daily errors of a model whose usual error is 50 on a label level of 200."""
    days = Days(
        means=errors,
        rows=np.full(errors.size, 24),
        ends=tuple(START + timedelta(days=i + 1) for i in range(errors.size)),
        waiting=0,
    )
    return prediction_bias(days, label_level=200.0, usual_error=50.0, since=START, policy=POLICY, version=1)


def test_predictions_too_high_alarm_with_direction_and_bound() -> None:
    """A bias of 30 % of the label level is proven within two months, as too high, and bounded away from 5 %."""
    rng = np.random.default_rng(1)
    found = look(rng.normal(60, 18, size=60))
    assert found is not None
    assert found.level == "alarm"
    assert found.lower is not None
    assert found.lower >= found.threshold == 10.0
    assert found.rows == 60 * 24
    assert "too high by at least" in found.sentence


def test_predictions_too_low_alarm_the_other_way() -> None:
    """The mirror image has an upper bound below minus the tolerance."""
    rng = np.random.default_rng(2)
    found = look(rng.normal(-60, 18, size=60))
    assert found is not None
    assert found.upper is not None
    assert found.upper <= -10.0
    assert "too low by at least" in found.sentence


def test_a_tolerated_bias_seldom_alarms_however_often_one_looks() -> None:
    """200 streams of a year at exactly the tolerance, looked at every ten days: at most 5 % (+ 5 errors) ever alarm."""
    rng = np.random.default_rng(3)
    ever = sum(any(look(e[:n]) is not None for n in range(5, 366, 10)) for e in rng.normal(10, 25, size=(200, 365)))
    assert ever / 200 <= 0.05 + 5 * (0.05 * 0.95 / 200) ** 0.5


def test_bounds_cover_the_true_mean_at_every_look() -> None:
    """200 streams, looked at after 10, 40 and 160 days: the bounds ever miss in at most 5 % (+ 5 errors)."""
    rng = np.random.default_rng(4)
    missed = 0
    for errors in np.clip(rng.normal(0.2, 0.3, size=(200, 160)), -1, 1):
        bounds = [bias_interval(errors[:n], bound=1.0, alpha=0.05) for n in (10, 40, 160)]
        missed += any(not low <= 0.2 <= high for low, high in bounds)
    assert missed / 200 <= 0.05 + 5 * (0.05 * 0.95 / 200) ** 0.5


def test_no_days_say_nothing() -> None:
    """Without labels there is no bias and no all-clear."""
    assert look(np.empty(0)) is None
    assert bias_interval(np.empty(0), bound=2.0, alpha=0.05) == (-2.0, 2.0)
