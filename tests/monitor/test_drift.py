"""When a change of inputs or predictions is worth a line or a look, and when it stays quiet."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from kairos.models.profile import ColumnProfile
from kairos.monitor.checks.drift import column_drift, day_effect, input_drift, prediction_drift
from kairos.monitor.policy import MonitorPolicy

UNTIL = datetime(2012, 1, 8, tzinfo=UTC)
POLICY = MonitorPolicy()


def by_day(profile: ColumnProfile, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Counts per day of values of shape (days, rows)."""
    return np.stack([profile.bins.fold(profile.bins.counts(day)) for day in values])


def reference(rng: np.random.Generator) -> ColumnProfile:
    """A standard normal input, 5000 rows."""
    return ColumnProfile.fit("number", rng.normal(size=5000))


def test_a_large_shift_is_a_warning_and_never_an_alarm() -> None:
    """Inputs one standard deviation higher are worth a look; whether they harm, only labels can say."""
    rng = np.random.default_rng(1)
    profile = reference(rng)
    drift = column_drift(profile, by_day(profile, rng.normal(1.0, size=(7, 200))), POLICY)
    assert drift is not None
    (found,) = input_drift({"temp": drift}, policy=POLICY, until=UNTIL, version=1)
    assert (found.check, found.column, found.level) == ("input_drift", "temp", "warn")
    assert found.lower is not None
    assert found.lower > found.threshold == POLICY.drift_warn
    assert "Input 'temp' moved since training: PSI is at least" in found.sentence


def test_a_change_too_small_to_matter_stays_quiet_in_a_million_rows() -> None:
    """Any test of equality would shout here; a minimum-effect test does not."""
    rng = np.random.default_rng(2)
    profile = ColumnProfile.fit("number", rng.normal(size=100_000))
    drift = column_drift(profile, by_day(profile, rng.normal(0.05, size=(7, 140_000))), POLICY)
    assert drift is not None
    assert prediction_drift(drift, policy=POLICY, until=UNTIL, version=1) is None


def test_too_few_rows_or_days_give_no_verdict() -> None:
    """A small window is not "stable" and not "drift"."""
    rng = np.random.default_rng(3)
    profile = reference(rng)
    assert column_drift(profile, by_day(profile, rng.normal(size=(7, 5))), POLICY) is None
    assert column_drift(profile, by_day(profile, rng.normal(1.0, size=(2, 900))), POLICY) is None


def test_rows_of_one_day_count_for_what_they_are_worth() -> None:
    """With days that swing as a whole, 168 rows are worth about a dozen, and no false finding is made of them."""
    rng = np.random.default_rng(4)
    swing = rng.normal(size=(7, 1)) + rng.normal(scale=0.2, size=(7, 24))
    profile = ColumnProfile.fit("number", rng.normal(scale=(1 + 0.2**2) ** 0.5, size=5000))
    assert day_effect(by_day(profile, swing)) > 8
    assert column_drift(profile, by_day(profile, swing), POLICY) is None


def test_without_change_many_inputs_seldom_warn() -> None:
    """200 windows of 12 inputs at no change: at most 5 % of the windows hold any finding."""
    rng = np.random.default_rng(5)
    profile = reference(rng)
    noisy = 0
    for _ in range(200):
        drifts = {
            f"x{i}": drift
            for i in range(12)
            if (drift := column_drift(profile, by_day(profile, rng.normal(size=(7, 80))), POLICY)) is not None
        }
        noisy += bool(input_drift(drifts, policy=POLICY, until=UNTIL, version=1))
    assert noisy / 200 <= 0.05


def test_a_new_category_shows_as_drift() -> None:
    """A level that training never saw falls into "other", which training left empty."""
    profile = ColumnProfile.fit("category", np.array(["a", "b"] * 1000, dtype=object))
    live = np.array([profile.bins.fold(profile.bins.counts(["a", "b", "new"] * 80)) for _ in range(7)])
    drift = column_drift(profile, live, POLICY)
    assert drift is not None
    (found,) = input_drift({"kind": drift}, policy=POLICY, until=UNTIL, version=1)
    assert found.level == "warn"


def test_predictions_moved_is_said_of_the_prediction() -> None:
    """The finding has no column and its own check name."""
    rng = np.random.default_rng(6)
    profile = reference(rng)
    drift = column_drift(profile, by_day(profile, rng.normal(1.0, size=(7, 200))), POLICY)
    assert drift is not None
    found = prediction_drift(drift, policy=POLICY, until=UNTIL, version=4)
    assert found is not None
    assert (found.check, found.column, found.version) == ("prediction_drift", None, 4)


def test_a_thin_week_is_looked_at_together_with_the_weeks_before() -> None:
    """Fifty-six rows a week say nothing; four weeks of them show a large shift, and the window says so."""
    rng = np.random.default_rng(7)
    profile = reference(rng)
    thin = by_day(profile, rng.normal(2.0, size=(28, 8)))
    assert column_drift(profile, thin[-7:], POLICY) is None
    drift = column_drift(profile, thin, POLICY)
    assert drift is not None
    found = prediction_drift(drift, policy=POLICY, until=UNTIL, version=1)
    assert found is not None
    assert found.window.days == 28
