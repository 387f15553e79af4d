"""Rows that are mature and have no label: left out and told, taken for negative, or for the worst case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kairos.models.profile import Profile
from kairos.monitor.findings import Finding
from kairos.monitor.policy import MonitorPolicy, Unlabelled
from kairos.monitor.watch import Monitor
from tests.monitor.logs import DAY, START, label, new_log, prediction, profile_of, truth, write
from tests.monitor.test_watch import again

DAYS = 40


@pytest.fixture(scope="module")
def profile() -> Profile:
    """Of a model that is usually off by about 40."""
    rng = np.random.default_rng(1)
    target = truth(rng, 100)
    return profile_of(rng.normal(10, 3, size=2400), target, target)


def look(tmp_path: Path, profile: Profile, unlabelled: Unlabelled, *, off: float, every: int) -> dict[str, Finding]:
    """Predictions that are off by so much, of which one in so many has a label."""
    log = new_log(tmp_path)
    records: list[Any] = []
    for hour, value in enumerate(truth(np.random.default_rng(2), DAYS)):
        records.append(prediction(hour, float(value) + off))
        if hour % every == 0:
            records.append(label(hour, float(value)))
    write(log, records)
    monitor = Monitor(log, MonitorPolicy(unlabelled=unlabelled))
    return {f.check: f for f in again(monitor, profile, START + (DAYS + 2) * DAY)}


def test_rows_without_a_label_are_left_out_and_told(tmp_path: Path, profile: Profile) -> None:
    """Half of them: what is found rests on the other half, and says so."""
    found = look(tmp_path, profile, "exclude", off=80.0, every=2)
    for check in ("prediction_bias", "quality"):
        assert found[check].rows == 12 * DAYS
        assert "50% of the rows have no label, and are left out." in found[check].sentence


def test_a_row_without_a_label_may_be_negative(tmp_path: Path, profile: Profile) -> None:
    """Where only conversions are reported, silence is a 0: the rows that were right by half are wrong now."""
    assert "prediction_bias" not in look(tmp_path / "a", profile, "exclude", off=0.0, every=2)
    found = look(tmp_path / "b", profile, "negative", off=0.0, every=2)
    assert found["prediction_bias"].rows == 24 * DAYS
    assert found["prediction_bias"].value > 80
    assert "no label" not in found["prediction_bias"].sentence


def test_nothing_is_proven_that_missing_labels_could_undo(tmp_path: Path, profile: Profile) -> None:
    """One in ten missing leaves the alarms; half of them missing could hide anything, so there is none."""
    some = look(tmp_path / "a", profile, "missing", off=80.0, every=1)
    assert some.keys() >= {"prediction_bias", "quality"}
    few = look(tmp_path / "b", profile, "missing", off=100.0, every=2)
    assert "prediction_bias" not in few
    lower, upper = some["prediction_bias"].lower, some["prediction_bias"].upper
    assert lower is not None
    assert upper is not None
    assert lower <= 80.0 <= upper
