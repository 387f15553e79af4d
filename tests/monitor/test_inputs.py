"""Inputs that are missing, have moved as every year, or have moved and matter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kairos.models.profile import ColumnProfile, Profile
from kairos.monitor.checks.drift import ColumnDrift, column_drift
from kairos.monitor.checks.missing import missing_input
from kairos.monitor.checks.severity import drift_severity
from kairos.monitor.findings import Finding
from kairos.monitor.policy import MonitorPolicy
from kairos.monitor.season import LastYear, is_seasonal
from kairos.stats.psi import PsiTest
from kairos.values import Distance, PValue
from tests.monitor.logs import DAY, HOUR, START, new_log, prediction, profile_of, truth, write
from tests.monitor.test_watch import look

POLICY = MonitorPolicy()


def column(missing: int = 0) -> ColumnProfile:
    """A number of training, of 1,000 rows, some of them missing."""
    values = np.random.default_rng(1).normal(size=1000)
    values[:missing] = np.nan
    return ColumnProfile.fit("number", values)


def missing_finding(per_day: list[int], profile: ColumnProfile) -> Finding | None:
    """What is found on days of 200 rows of which so many lack the input."""
    inner = profile.bins.fold(profile.bins.counts(np.random.default_rng(2).normal(size=200)))
    days = []
    for gone in per_day:
        day = inner.copy()
        day[np.argmax(day)] -= gone
        day[-1] = gone
        days.append(day)
    return missing_input(
        "temp", profile, np.array(days), rows=1000, policy=POLICY, alpha=0.05, until=START + 7 * DAY, version=1
    )


def test_an_input_that_is_missing_more_often_than_it_was_is_found() -> None:
    """One row in ten on every day, where training lacked none; it says where to look."""
    found = missing_finding([20, 22, 19, 21, 20, 18, 20], column())
    assert found is not None
    assert (found.check, found.level, found.column) == ("missing_input", "warn", "temp")
    assert found.value == pytest.approx(0.1)
    assert "missing in 10.0% of 1400 rows of the last 7 days, in training in 0.0%" in found.sentence


def test_what_training_lacked_too_or_lacks_for_an_hour_is_no_finding() -> None:
    """A tenth as in training; none at all; and one bad day among seven, which is one mishap and not a thousand."""
    assert missing_finding([20] * 7, column(missing=100)) is None
    assert missing_finding([0] * 7, column()) is None
    assert missing_finding([0, 0, 0, 60, 0, 0, 0], column()) is None


def drifted(lower: float) -> ColumnDrift:
    """A column whose index is proven to be above so much."""
    test = PsiTest(
        psi=Distance(lower + 0.1),
        corrected=lower + 0.05,
        lower=Distance(lower),
        upper=Distance(lower + 0.2),
        p_value=PValue(0.001),
        alarm=True,
        too_small=False,
        needed_rows=100,
    )
    return ColumnDrift(days=7, rows=1400, effect=2.0, psi=lower + 0.1, test=test, threshold=0.1)


def severity(columns: dict[str, ColumnDrift], importances: dict[str, float]) -> Finding | None:
    return drift_severity(columns, importances, policy=POLICY, until=START, version=1)


def test_drift_matters_as_far_as_the_model_relies_on_what_moved() -> None:
    """Half of what it relies on, three times as far as is worth a line: severity 1. The worst is named first."""
    found = severity({"temp": drifted(0.3), "wind": drifted(0.9)}, {"temp": 0.5, "wind": 0.01, "hour": 0.49})
    assert found is not None
    assert found.level == "warn"
    assert found.value == pytest.approx(1.08)
    assert "'temp' (importance 50%, PSI at least 0.30), 'wind' (importance 1%" in found.sentence
    assert severity({"temp": drifted(0.3), "wind": drifted(0.9)}, {"temp": 0.3, "wind": 0.01, "hour": 0.69}) is None
    assert severity({"temp": drifted(0.05)}, {"temp": 1.0}) is None
    assert severity({"temp": drifted(0.9)}, {}) is None, "nobody knows what the model relies on"


def seasons(rng: np.random.Generator, days: range, warmth: float) -> list[object]:
    """Hourly requests with a temperature around some warmth."""
    return [
        prediction(24 * day + hour, 200.0 + hour, inputs={"temp": float(rng.normal(warmth, 3)), "kind": "work"})
        for day in days
        for hour in range(24)
    ]


@pytest.fixture(scope="module")
def winter() -> Profile:
    """Training saw temperatures around 10."""
    rng = np.random.default_rng(3)
    target = truth(rng, 100)
    profile = profile_of(rng.normal(10, 3, size=2400), target, target)
    return replace(profile, importances={"temp": 0.9, "kind": 0.1})


@pytest.mark.parametrize(("last_year", "level", "is_usual"), [(20.0, "info", True), (10.0, "warn", False)])
def test_a_change_that_comes_every_year_is_told_as_such(
    tmp_path: Path, winter: Profile, last_year: float, level: str, *, is_usual: bool
) -> None:
    """A warm June after a warm June: no warning and no severity. After a cold one it is news."""
    rng = np.random.default_rng(4)
    log = new_log(tmp_path)
    write(log, seasons(rng, range(30), last_year))  # type: ignore[arg-type]
    write(log, seasons(rng, range(364, 394), 20.0))  # type: ignore[arg-type]
    now = START + 394 * DAY + HOUR
    found = {f.check: f for f in look(log, winter, now, live_since=START + 364 * DAY) if f.column in (None, "temp")}
    assert (found["input_drift"].level, found["input_drift"].is_seasonal) == (level, is_usual)
    assert ("A year ago it was much the same." in found["input_drift"].sentence) == is_usual
    assert ("drift_severity" in found) != is_usual


def test_a_day_of_last_year_is_read_once(tmp_path: Path, winter: Profile) -> None:
    """And counted in the bins of today; days before the log have no rows."""
    rng = np.random.default_rng(5)
    log = new_log(tmp_path)
    write(log, seasons(rng, range(30), 20.0))  # type: ignore[arg-type]
    until = (START - START.replace(year=1970, month=1, day=1)).days + 364 + 30
    last = LastYear(log, "demand", winter)
    counts = last.input_counts("temp", until=until, days=28)
    assert counts.sum(axis=1).tolist() == [24] * 28
    assert last.prediction_counts(until=until, days=28).sum() == 24 * 28
    log.prune(START + 40 * DAY)
    assert np.array_equal(last.input_counts("temp", until=until, days=28), counts)
    assert last.input_counts("temp", until=until + 5, days=28).sum() == 24 * 23


def test_too_few_rows_of_last_year_explain_nothing() -> None:
    """Nor does a year that was half way between."""
    rng = np.random.default_rng(6)
    profile = ColumnProfile.fit("number", rng.normal(10, 3, size=2400))

    def counts(mean: float, rows: int) -> NDArray[np.int64]:
        return np.array([profile.bins.fold(profile.bins.counts(rng.normal(mean, 3, size=rows))) for _ in range(7)])

    now = counts(20, 200)
    drift = column_drift(profile, now, POLICY)
    assert drift is not None
    assert is_seasonal(now, counts(20, 200), drift, POLICY)
    assert not is_seasonal(now, counts(20, 2), drift, POLICY)
    assert not is_seasonal(now, counts(15, 200), drift, POLICY)
    assert not is_seasonal(now, np.zeros_like(now), drift, POLICY)
