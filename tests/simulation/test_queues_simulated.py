"""Queues by the recursion of Kiefer and Wolfowitz (1955): each request goes to the worker that is free first."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kairos.stats.queueing import Wait, wait

SERVERS, RATE, RUNS = 4, 3.2, 600
CUSTOMERS, WARM_UP = 4000, 1000


def simulated(service: NDArray[np.float64], gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Waits after the warm-up, shape (customers, runs); the workloads of the workers are kept in ascending order."""
    load = np.zeros((service.shape[1], SERVERS))
    waits = np.empty((CUSTOMERS - WARM_UP, service.shape[1]))
    for i in range(CUSTOMERS):
        if i >= WARM_UP:
            waits[i - WARM_UP] = load[:, 0]
        load[:, 0] += service[i]
        load = np.sort(np.maximum(load - gaps[i][:, None], 0.0), axis=1)
    return waits


def two_phases(rng: np.random.Generator) -> NDArray[np.float64]:
    """Mostly short, sometimes long: mean 1, squared coefficient of variation 7.48."""
    p = (1 + np.sqrt((7.48 - 1) / (7.48 + 1))) / 2
    scale = np.where(rng.uniform(size=(CUSTOMERS, RUNS)) < p, 1 / (2 * p), 1 / (2 * (1 - p)))
    return np.asarray(scale * rng.exponential(1.0, scale.shape))


@pytest.mark.parametrize(("kind", "cv2"), [("exponential", 1.0), ("constant", 0.0), ("two phases", 7.48)])
def test_waits_are_as_long_as_in_simulated_queues(kind: str, cv2: float) -> None:
    """Four workers at a load of 3.2: exact for exponential times, within 25 % of the mean wait and p99 for others."""
    rng = np.random.default_rng(1)
    times = {
        "exponential": rng.exponential(1.0, (CUSTOMERS, RUNS)),
        "constant": np.ones((CUSTOMERS, RUNS)),
        "two phases": two_phases(rng),
    }
    waits = simulated(times[kind], rng.exponential(1 / RATE, (CUSTOMERS, RUNS)))
    found: Wait = wait(servers=SERVERS, rate_per_s=RATE, service_s=1.0, service_cv2=cv2)
    means, late = waits.mean(axis=0), float(np.quantile(waits, 0.99))
    if kind == "exponential":
        standard_error = means.std(ddof=1) / np.sqrt(RUNS)
        assert abs(means.mean() - found.mean_s) <= 3 * standard_error
        p_wait = (waits > 0).mean(axis=0)
        assert abs(p_wait.mean() - found.p_wait) <= 3 * p_wait.std(ddof=1) / np.sqrt(RUNS)
        assert late == pytest.approx(found.quantile(0.99), rel=0.03)
    else:
        assert means.mean() == pytest.approx(found.mean_s, rel=0.25)
        assert late == pytest.approx(found.quantile(0.99), rel=0.25)
