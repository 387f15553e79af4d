"""Labels by entity and time that find no prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kairos.monitor.policy import MonitorPolicy
from kairos.monitor.watch import Monitor
from kairos.store.predictions import EntityLabel
from tests.monitor.logs import DAY, HOUR, START, new_log, prediction, profile_of, truth, write
from tests.monitor.test_watch import again


def test_labels_that_find_no_prediction_are_a_finding(tmp_path: Path) -> None:
    """A time zone that somebody got wrong: labels come, and nothing is judged by them. A few are nobody's fault."""
    rng = np.random.default_rng(1)
    target = truth(rng, 100)
    profile = profile_of(rng.normal(10, 3, size=2400), target, target)
    for off, is_found in ((HOUR / 2, True), (0 * HOUR, False)):
        log = new_log(tmp_path / str(is_found))
        write(log, [prediction(hour, float(target[hour])) for hour in range(24 * 10)])
        writer = log.writer("labels")
        writer.append_entity_labels(
            [
                EntityLabel(model="demand", key=None, about=START + hour * HOUR + off, value=1.0, at=START + 5 * DAY)
                for hour in range(48)
            ]
        )
        writer.close()
        found = [
            f for f in again(Monitor(log, MonitorPolicy()), profile, START + 9 * DAY) if f.check == "unmatched_labels"
        ]
        assert bool(found) == is_found
        if found:
            assert found[0].level == "warn"
            assert "Of 48 labels by entity and time" in found[0].sentence
            assert "48 are about no prediction in the log" in found[0].sentence
