"""Waits beside pyworkforce's Erlang formula and the queues that ciw simulates event by event."""

from __future__ import annotations

import pytest

from kairos.stats.queueing import erlang_c, wait
from tests.oracles.oracle import ask


def test_the_chance_to_wait_is_that_of_pyworkforce() -> None:
    """Calls of three minutes, 100 in half an hour, and agents from 12 to 20."""
    agents = [12, 14, 16, 20]
    theirs = ask(
        """
        from pyworkforce.queuing import ErlangC
        calls = ErlangC(transactions=100, asa=20 / 60, aht=3, interval=30, shrinkage=0.0)
        answer = [calls.waiting_probability(positions=n) for n in agents]
        """,
        agents=agents,
    )
    assert [erlang_c(n, 100 * 3 / 30) for n in agents] == pytest.approx(theirs, rel=1e-9)


def test_waits_are_those_of_queues_that_ciw_simulates() -> None:
    """Four workers at a load of 3.2, twelve long days each: exact within 3 standard errors, or 25 %."""
    theirs = ask(
        """
        import ciw
        def one(service, seed):
            ciw.seed(seed)
            network = ciw.create_network(
                arrival_distributions=[ciw.dists.Exponential(rate=3.2)],
                service_distributions=[service], number_of_servers=[4])
            simulation = ciw.Simulation(network)
            simulation.simulate_until_max_time(4300)
            waits = [r.waiting_time for r in simulation.get_all_records() if r.arrival_date > 300]
            return float(np.mean(waits)), float(np.quantile(waits, 0.99))
        kinds = [ciw.dists.Exponential(rate=1.0), ciw.dists.Deterministic(value=1.0)]
        answer = [[one(kind, seed) for seed in range(12)] for kind in kinds]
        """
    )
    exponential, constant = ([mean for mean, _ in days] for days in theirs)
    mean = sum(exponential) / 12
    spread = (sum((x - mean) ** 2 for x in exponential) / 11 / 12) ** 0.5
    assert abs(mean - wait(servers=4, rate_per_s=3.2, service_s=1.0).mean_s) <= 3 * spread
    tool = wait(servers=4, rate_per_s=3.2, service_s=1.0, service_cv2=0.0)
    assert tool.mean_s == pytest.approx(sum(constant) / 12, rel=0.25)
    assert tool.quantile(0.99) == pytest.approx(sum(late for _, late in theirs[1]) / 12, rel=0.25)
