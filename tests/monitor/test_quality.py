"""When a rising loss becomes an alarm, how fast, and how seldom for nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from kairos.monitor.checks.quality import LossReference, loss_reference, quality
from kairos.monitor.days import Days, daily_means
from kairos.monitor.findings import Finding
from kairos.monitor.policy import MonitorPolicy

POLICY = MonitorPolicy()
START = datetime(2012, 1, 1, tzinfo=UTC)
HOURS = 1 + 0.6 * np.sin(np.arange(24) / 24 * 2 * np.pi)  # losses differ by hour of day, on average 1


def hourly(rng: np.random.Generator, days: int, mean: float = 50.0) -> NDArray[np.float64]:
    """Losses of every hour: a daily swing times noise."""
    return mean * np.tile(HOURS, days) * rng.gamma(2.0, 0.5, size=24 * days)


def first_alarm(found: Finding) -> int:
    """The day of the first alarm, counted from the start."""
    day = datetime.fromisoformat(found.sentence.split("ended ")[1][:10]).replace(tzinfo=UTC)
    return (day - START).days


def as_days(losses: NDArray[np.float64]) -> Days:
    """The daily means of hourly losses from 2012 on."""
    at = np.datetime64("2012-01-01", "us") + np.arange(losses.size) * np.timedelta64(3600, "s")
    return daily_means(at, losses, mature_until=START + timedelta(hours=losses.size))


def test_a_doubled_loss_alarms_within_weeks() -> None:
    """After a hundred quiet days the loss doubles: half of 50 streams alarm within 14 days, all within 28.

    Faster is not to be had at one false alarm in 180 days and with a reference of 14 days.
    """
    rng = np.random.default_rng(1)
    delays = []
    for _ in range(50):
        reference = loss_reference(hourly(rng, 14))
        assert reference is not None
        losses = np.concatenate([hourly(rng, 100), hourly(rng, 28, mean=100.0)])
        found = quality(as_days(losses), reference, loss="absolute_error", policy=POLICY, version=2)
        assert found is not None
        assert found.level == "alarm"
        assert abs((found.window.start - START).days - 100) <= 10
        assert found.value > found.threshold > reference.upper
        delays.append(first_alarm(found) - 100)
    assert min(delays) > 0
    assert np.median(delays) <= 14


def test_a_loss_at_the_tolerated_level_alarms_less_than_once_in_180_days() -> None:
    """At exactly the tolerated mean, 40 streams run on average 180 days (less 5 errors) before their first alarm.

    And at most 1 stream in 3 alarms within the first 60 days, which the detector promises too: its expectation after n
    days is at most n. Streams are cut at 400 days, which makes the average only smaller.
    """
    rng = np.random.default_rng(2)
    reference = LossReference(mean=50.0, upper=50.0, cap=300.0, rows=1440)
    lengths = []
    for _ in range(40):
        days = as_days(hourly(rng, 400, mean=55.0))
        found = quality(days, reference, loss="absolute_error", policy=POLICY, version=1)
        lengths.append(400 if found is None else first_alarm(found))
    assert np.mean(lengths) >= 180 - 5 * np.std(lengths) / 40**0.5
    assert np.mean(np.array(lengths) <= 60) <= 60 / 180


def test_a_loss_like_the_reference_stays_quiet_for_two_years() -> None:
    """The hour of day swings the loss by a factor of four every day; whole days do not mind."""
    rng = np.random.default_rng(3)
    reference = loss_reference(hourly(rng, 30))
    assert reference is not None
    assert quality(as_days(hourly(rng, 730)), reference, loss="absolute_error", policy=POLICY, version=1) is None


def test_a_loss_that_came_down_again_is_a_warning() -> None:
    """An incident that is over is told, but no longer an alarm."""
    rng = np.random.default_rng(4)
    reference = loss_reference(hourly(rng, 30))
    assert reference is not None
    losses = np.concatenate([hourly(rng, 60), hourly(rng, 20, mean=120.0), hourly(rng, 120, mean=40.0)])
    found = quality(as_days(losses), reference, loss="absolute_error", policy=POLICY, version=1)
    assert found is not None
    assert found.level == "warn"
    assert found.sentence.endswith("It has come down since.")


def test_the_sentence_says_the_numbers_a_person_needs() -> None:
    """Loss, tolerated loss, reference, day and error rate are all in one line."""
    rng = np.random.default_rng(5)
    reference = loss_reference(hourly(rng, 30))
    assert reference is not None
    found = quality(as_days(hourly(rng, 30, mean=150.0)), reference, loss="absolute_error", policy=POLICY, version=1)
    assert found is not None
    for part in ("mean absolute error rose to 1", "from 2012-01-", "tolerated (holdout: ", "once in 180 days"):
        assert part in found.sentence


def test_without_days_or_losses_there_is_no_verdict() -> None:
    """No labels, one row of reference or a reference without any loss: nothing can be said, so nothing is."""
    reference = loss_reference(np.array([1.0, 2.0, 3.0]))
    assert reference is not None
    assert quality(as_days(np.empty(0)), reference, loss="squared_error", policy=POLICY, version=1) is None
    assert loss_reference(np.array([1.0])) is None
    assert loss_reference(np.zeros(50)) is None
