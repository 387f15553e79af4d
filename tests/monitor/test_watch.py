"""What a look at a live version finds, from the prediction log alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kairos.models.profile import Profile
from kairos.monitor.checks.quality import LossReference
from kairos.monitor.findings import Finding
from kairos.monitor.policy import MonitorPolicy
from kairos.monitor.watch import Monitor, window_drift
from kairos.store.predictions import Label, Prediction, PredictionLog
from kairos.values import Window
from tests.monitor.logs import DAY, HOUR, START, label, new_log, prediction, profile_of, truth, write

DAYS = 40
REFERENCE = LossReference(mean=40.0, upper=42.0, cap=200.0, rows=336)


def absolute_error(label: NDArray[Any], output: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.abs(label - output), dtype=np.float64)


@pytest.fixture(scope="module")
def profile() -> Profile:
    """What training looked like: temperatures around 10, predictions like the truth of 100 days."""
    rng = np.random.default_rng(1)
    target = truth(rng, 100)
    return profile_of(rng.normal(10, 3, size=2400), target, target)


def look(log: PredictionLog, profile: Profile, now: datetime, **changes: Any) -> tuple[Finding, ...]:
    """One look by a monitor that knows nothing yet."""
    return again(Monitor(log, MonitorPolicy()), profile, now, **changes)


def again(monitor: Monitor, profile: Profile, now: datetime, **changes: Any) -> tuple[Finding, ...]:
    given: dict[str, Any] = {
        "version": 1,
        "profile": profile,
        "reference": REFERENCE,
        "loss": "absolute_error",
        "loss_of": absolute_error,
        "live_since": START,
        "now": now,
    }
    return monitor.look("demand", **given | changes)


def served(seed: int, *, days: int = DAYS, warmer: float = 0.0, noise: float = 50.0, **changes: Any) -> list[Any]:
    """Hourly predictions that miss the truth by about 40, and labels a day later."""
    rng = np.random.default_rng(seed)
    records: list[Prediction | Label] = []
    for hour, value in enumerate(truth(rng, days)):
        inputs = {"temp": float(rng.normal(10 + warmer, 3)), "kind": "work" if hour % 2 else "free"}
        output = max(0.0, float(value + rng.normal(0, noise)))
        records += [prediction(hour, output, inputs=inputs, **changes), label(hour, float(value))]
    return records


def test_a_model_that_does_what_it_did_gives_no_finding(tmp_path: Path, profile: Profile) -> None:
    """Forty days like training: nothing to say, at any of the daily looks."""
    log = new_log(tmp_path)
    write(log, served(2))
    monitor = Monitor(log, MonitorPolicy())
    assert [again(monitor, profile, START + day * DAY) for day in range(1, DAYS + 2)] == [()] * (DAYS + 1)


def test_each_check_speaks_for_itself(tmp_path: Path, profile: Profile) -> None:
    """Warmer days, predictions twice as high and out of range: every check has its finding, in the order of checks."""
    rng = np.random.default_rng(3)
    records: list[Any] = []
    for hour, value in enumerate(truth(rng, DAYS)):
        below = hour % 20 == 0
        inputs = {"temp": float(rng.normal(20, 3)), "kind": "work" if hour % 2 else "free"}
        changes: dict[str, Any] = {"violation": "below", "action": "clip", "raw": -15.0} if below else {}
        records.append(prediction(hour, 0.0 if below else float(2 * value + 50), inputs=inputs, **changes))
        records.append(label(hour, float(value)))
    log = new_log(tmp_path)
    write(log, records)
    found = look(log, profile, START + (DAYS + 2) * DAY)
    assert [(f.check, f.column, f.level) for f in found] == [
        ("impossible_values", None, "alarm"),
        ("input_drift", "temp", "warn"),
        ("prediction_drift", None, "warn"),
        ("prediction_bias", None, "alarm"),
        ("quality", None, "alarm"),
    ]


def test_a_restart_finds_the_same_at_every_look(tmp_path: Path, profile: Profile) -> None:
    """A monitor that has looked every day, at odd hours and with labels still coming in, remembers nothing wrong."""
    records = served(4, warmer=4.0, noise=130.0)
    rng = np.random.default_rng(5)
    arrival = sorted(records, key=lambda r: r.at if isinstance(r, Prediction) else r.at + DAY * int(rng.integers(0, 6)))
    log = new_log(tmp_path)
    monitor, written, some = Monitor(log, MonitorPolicy()), 0, 0
    for look_number in range(1, 20):
        now = START + look_number * timedelta(hours=53)
        ready = written
        while ready < len(arrival) and arrival[ready].at <= now:
            ready += 1
        write(log, arrival[written:ready])
        written = ready
        found = again(monitor, profile, now)
        assert found == look(new_log(tmp_path), profile, now)
        some += len(found)
    assert some > 0


def test_an_impossible_value_is_told_on_the_day_it_happens(tmp_path: Path, profile: Profile) -> None:
    """Whether the user got it or not: an answer that the guard refused never left, and is counted all the same."""
    log = new_log(tmp_path)
    fine = [prediction(hour, 200.0) for hour in range(40)]
    refused = prediction(40, None, raw=float("nan"), violation="not_finite", action="refuse", answered=False)
    write(log, [*fine, refused])
    (found,) = look(log, profile, START + 41 * HOUR)
    assert (found.check, found.level, found.rows) == ("impossible_values", "info", 41)


def test_other_versions_and_earlier_rows_are_not_looked_at(tmp_path: Path, profile: Profile) -> None:
    """A bad challenger in shadow, and the version's own time before it went live, say nothing about what is live."""
    log = new_log(tmp_path)
    write(log, served(6, version=2, role="challenger", violation="above", action="flag"))
    assert look(log, profile, START + (DAYS + 2) * DAY) == ()
    later = START + (DAYS + 1) * DAY
    assert look(log, profile, later + DAY, version=2, live_since=later) == ()


def test_a_day_counts_once_its_labels_had_time_and_late_ones_still_correct_it(tmp_path: Path, profile: Profile) -> None:
    """A wrong half of the labels is not judged before the day has matured; the other half, a week late, is not lost."""
    log = new_log(tmp_path)
    early = [label(hour, 1000.0) for hour in range(24 * DAYS) if hour % 2]
    late = [label(hour, 1000.0, delay=8 * DAY + HOUR) for hour in range(24 * DAYS) if not hour % 2]
    write(log, [*(prediction(hour, 200.0) for hour in range(24 * DAYS)), *early, *late])
    monitor = Monitor(log, MonitorPolicy())
    now = START + (DAYS + 1) * DAY
    first = {f.check: f.rows for f in again(monitor, profile, now)}
    assert first["prediction_bias"] == 12 * DAYS + 12 * (DAYS - 7)
    assert {f.check: f.rows for f in again(monitor, profile, now + 7 * DAY)}["prediction_bias"] == 24 * DAYS


def test_labels_that_are_sent_again_take_nothing_away(tmp_path: Path, profile: Profile) -> None:
    """A file of all labels so far, sent once more weeks later: a restart still knows what was known in time."""
    log = new_log(tmp_path)
    days = DAYS + 40
    truths = [label(hour, 1000.0) for hour in range(24 * days)]
    write(log, [*(prediction(hour, 200.0) for hour in range(24 * days)), *truths])
    monitor, now = Monitor(log, MonitorPolicy()), START + (days + 2) * DAY
    before = again(monitor, profile, now)
    assert {f.check: f.rows for f in before}["prediction_bias"] == 24 * days
    write(log, [replace(each, at=now) for each in truths])
    assert again(monitor, profile, now) == look(new_log(tmp_path), profile, now) == before


def test_an_input_that_is_not_captured_has_no_verdict(tmp_path: Path, profile: Profile) -> None:
    """What the capture policy does not keep cannot drift."""
    log = new_log(tmp_path)
    write(log, [prediction(hour, 200.0 + hour % 5) for hour in range(24 * DAYS)])
    assert {f.check for f in look(log, profile, START + DAYS * DAY)} == {"prediction_drift"}


def test_quality_needs_a_reference(tmp_path: Path, profile: Profile) -> None:
    """Without losses on a holdout nobody knows what is too much; bias is judged by the spread of the target."""
    log = new_log(tmp_path)
    write(log, [r for hour in range(24 * DAYS) for r in (prediction(hour, 800.0), label(hour, 200.0))])
    checks = {f.check for f in look(log, profile, START + (DAYS + 2) * DAY, reference=None)}
    assert "prediction_bias" in checks
    assert "quality" not in checks


def test_window_drift_describes_every_captured_input(tmp_path: Path, profile: Profile) -> None:
    """One number an input, larger for the one that moved; inputs that were not captured are not there."""
    log = new_log(tmp_path)
    write(log, served(7, warmer=6.0))
    rows = log.predictions("demand", Window(START, START + DAYS * DAY))
    distances = window_drift(rows, profile)
    assert distances["temp"] > 1.0 > 0.05 > distances["kind"]
    assert window_drift(rows.drop("in.temp"), profile).keys() == {"kind"}
