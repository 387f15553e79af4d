"""Waits in queues are as long as computed (S17): 600 simulated queues of 3,000 requests each."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.decisions.once import QUEUES, RATE, SERVERS, waits_in_queues
from kairos.stats.queueing import Wait, wait

RUNS = 600


@pytest.mark.parametrize("kind", QUEUES)
def test_waits_are_as_long_as_in_simulated_queues(kind: str) -> None:
    """Four workers at a load of 3.2: exact for exponential times, within 25 % of the mean wait and p99 for others."""
    waits = waits_in_queues(kind, RUNS)
    found: Wait = wait(servers=SERVERS, rate_per_s=RATE, service_s=1.0, service_cv2=QUEUES[kind])
    if kind == "exponential":
        for simulated, told in ((waits.mean, found.mean_s), (waits.p_wait, found.p_wait)):
            assert abs(simulated.mean() - told) <= 3 * simulated.std(ddof=1) / np.sqrt(RUNS)
        assert waits.p99 == pytest.approx(found.quantile(0.99), rel=0.03)
    else:
        assert waits.mean.mean() == pytest.approx(found.mean_s, rel=0.25)
        assert waits.p99 == pytest.approx(found.quantile(0.99), rel=0.25)
