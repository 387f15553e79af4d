"""How long requests wait, how throughput grows, how many instances that takes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.capacity import CapacityGoal, instances_for
from kairos.stats.queueing import ServiceTimes, erlang_b, erlang_c, response_quantile, wait
from kairos.stats.scaling import fit_scaling
from kairos.stats.traffic import dispersion, peak_rate

PINNED = {
    (1, 0.5): 0.5,
    (2, 1): 0.333333,
    (5, 4): 0.554113,
    (10, 8): 0.409180,
    (20, 16): 0.256078,
    (50, 45): 0.363864,
    (100, 95): 0.506457,
}


@pytest.mark.parametrize("servers_and_load", PINNED)
def test_erlang_c_agrees_with_published_values(servers_and_load: tuple[int, float]) -> None:
    """The chance to wait, to six decimals."""
    assert erlang_c(*servers_and_load) == pytest.approx(PINNED[servers_and_load], abs=1e-6)


@given(st.integers(1, 200), st.floats(0.0, 250.0))
def test_more_servers_never_make_requests_wait_more(servers: int, load: float) -> None:
    """Both chances are in [0, 1], fall with servers, and those who stay are more often blocked than those who leave."""
    here, more = erlang_c(servers, load), erlang_c(servers + 1, load)
    assert 0.0 <= more <= here <= 1.0
    assert 0.0 <= erlang_b(servers, load) <= here


def test_a_full_queue_grows_for_ever() -> None:
    """At a load of one per server the answer is infinite, not a number that looks fine."""
    found = wait(servers=2, rate_per_s=2.0, service_s=1.0)
    assert (found.p_wait, found.mean_s, found.quantile(0.5), found.beyond(9.0)) == (1.0, math.inf, math.inf, 1.0)
    assert response_quantile(found, ServiceTimes.of([1.0]), 0.5) == math.inf


def test_the_wait_of_one_server_is_the_textbook_one() -> None:
    """M/M/1 at half load: mean wait one service time; M/D/1: half of it; nobody waits for a clockwork."""
    assert wait(servers=1, rate_per_s=0.5, service_s=1.0).mean_s == pytest.approx(1.0)
    assert wait(servers=1, rate_per_s=0.5, service_s=1.0, service_cv2=0.0).mean_s == pytest.approx(0.5)
    clockwork = wait(servers=1, rate_per_s=0.5, service_s=1.0, service_cv2=0.0, arrival_cv2=0.0)
    assert (clockwork.mean_s, response_quantile(clockwork, ServiceTimes.of([1.0]), 0.9)) == (0.0, 1.0)


def test_waits_agree_with_the_pinned_ones() -> None:
    """Four servers at a load of 3.2: mean waits and p99 for exponential, constant and two-phase service times."""
    found = {cv2: wait(servers=4, rate_per_s=3.2, service_s=1.0, service_cv2=cv2) for cv2 in (1.0, 0.0, 7.48)}
    assert [round(one.mean_s, 3) for one in found.values()] == [0.746, 0.373, 3.161]
    assert [round(one.quantile(0.99), 1) for one in found.values()] == [5.1, 2.6, 21.7]


@given(
    st.lists(st.floats(0.001, 10.0), min_size=1, max_size=30),
    st.floats(0.05, 0.95),
    st.floats(0.01, 0.999),
    st.integers(1, 8),
)
def test_a_response_quantile_leaves_just_the_share_it_promises(
    seconds: list[float], busy: float, p: float, servers: int
) -> None:
    """The chance of a longer response, added up over all service times, is at most 1 - p there, and more before."""
    service = ServiceTimes.of(seconds)
    found = wait(servers=servers, rate_per_s=busy * servers / service.mean_s, service_s=service.mean_s)
    x = response_quantile(found, service, p)

    def beyond(t: float) -> float:
        return float(sum(q * found.beyond(t - s) for s, q in zip(service.seconds, service.shares, strict=True)))

    assert beyond(x * (1 + 1e-9)) <= 1 - p + 1e-9
    assert beyond(x * (1 - 1e-9)) >= 1 - p - 1e-9


def test_service_times_count_what_they_are_given() -> None:
    """Values with counts are the same as values repeated; a quantile is one of the values."""
    counted, listed = ServiceTimes.of([2.0, 1.0], [1, 3]), ServiceTimes.of([1.0, 1.0, 1.0, 2.0])
    assert (counted.mean_s, counted.cv2) == pytest.approx((listed.mean_s, listed.cv2))
    assert (counted.quantile(0.75), counted.quantile(0.76)) == (1.0, 2.0)
    assert counted.slowed(2.0).mean_s == pytest.approx(2.5)
    for bad in ([], [0.0], [-1.0]):
        with pytest.raises(UsageError):
            ServiceTimes.of(bad)
    with pytest.raises(ShapeMismatch):
        ServiceTimes.of([1.0], [1, 2])


@given(st.floats(1, 1e4), st.floats(0.0, 0.5), st.floats(0.0, 0.02))
def test_the_scalability_law_is_found_again(alone: float, contention: float, crosstalk: float) -> None:
    """Without noise the fit gives back what the throughput was made from."""
    n = np.array([1.0, 2, 4, 8, 16])
    x = alone * n / (1 + contention * (n - 1) + crosstalk * n * (n - 1))
    found = fit_scaling(n, x, resamples=10)
    assert found.alone_per_s == pytest.approx(alone, rel=1e-6)
    assert (found.contention, found.crosstalk) == pytest.approx((contention, crosstalk), abs=1e-6)
    assert found.throughput(8).estimate == pytest.approx(x[3], rel=1e-6)


def test_the_best_number_of_workers_is_where_throughput_falls() -> None:
    """With crosstalk the 22nd worker brings the last gain; without any there is no best."""
    n = np.array([1.0, 2, 4, 8, 16, 32])
    found = fit_scaling(n, 100 * n / (1 + 0.05 * (n - 1) + 0.002 * n * (n - 1)), resamples=10)
    assert found.best == pytest.approx(math.sqrt(0.95 / 0.002), rel=1e-6)
    assert found.throughput(22).estimate > max(found.throughput(20).estimate, found.throughput(24).estimate)
    assert fit_scaling(n, 100 * n, resamples=10).best == math.inf
    with pytest.raises(UsageError, match="three or more"):
        fit_scaling([1, 1, 2], [1, 1, 2])


def test_the_scaling_interval_covers_under_noise() -> None:
    """Measured three times with 5 % noise, the 90 % interval of the throughput covers in about 90 % of runs."""
    rng, n = np.random.default_rng(0), np.tile([1.0, 2, 4, 8], 3)
    x, truth = 100 * n / (1 + 0.05 * (n - 1) + 0.002 * n * (n - 1)), 800 / (1 + 0.05 * 7 + 0.002 * 56)
    found = [
        fit_scaling(n, x * np.exp(0.05 * rng.standard_normal(12)), resamples=200, seed=i).throughput(8)
        for i in range(150)
    ]
    assert 0.80 <= np.mean([one.lower <= truth <= one.upper for one in found]) <= 0.97
    again = fit_scaling(n, x * np.exp(0.05 * np.random.default_rng(1).standard_normal(12)), seed=3)
    assert np.array_equal(
        again.draws, fit_scaling(n, x * np.exp(0.05 * np.random.default_rng(1).standard_normal(12)), seed=3).draws
    )


SERVICE = ServiceTimes.of([0.04, 0.06])


def test_the_answer_is_the_fewest_instances_that_keep_the_promise_and_one_more() -> None:
    """Three keep p99 within 200 ms, two do not, and a fourth may fail."""
    goal = CapacityGoal(slo_s=0.2)
    found = instances_for(goal, rate_per_s=35.0, service=SERVICE)
    assert (found.instances, found.needed, found.limited_by) == (4, 3, "slo")
    assert (
        found.response_s
        <= 0.2
        < response_quantile(wait(servers=2, rate_per_s=35.0, service_s=0.05, service_cv2=SERVICE.cv2), SERVICE, 0.99)
    )
    assert found.sentence == (
        "4 instances: 3 hold p99 within 200 ms up to 45 requests a second, and 1 may fail. At 35 a second p99 is "
        "125 ms and workers are 58% busy; with 2, p99 would be 508 ms."
    )
    at_most = instances_for(goal, rate_per_s=found.carries_per_s * 0.999, service=SERVICE)
    assert at_most.needed == 3
    assert (instances_for(goal, rate_per_s=found.carries_per_s * 1.001, service=SERVICE).needed or 0) > 3


def test_other_limits_are_named() -> None:
    """Workers too busy although quick enough; a quiet service that still wants two; none to spare."""
    goal = CapacityGoal(slo_s=0.2)
    busy = instances_for(goal, rate_per_s=400.0, service=SERVICE)
    assert (busy.limited_by, busy.needed) == ("busy", 27)
    assert "with 26 they would be 77% busy, more than the 75% allowed" in busy.sentence
    quiet = instances_for(goal, rate_per_s=0.0, service=SERVICE)
    assert (quiet.instances, quiet.needed, quiet.limited_by) == (2, 1, "minimum")
    alone = instances_for(CapacityGoal(slo_s=0.2, spare=0, at_least=1), rate_per_s=1.0, service=SERVICE)
    assert alone.sentence.startswith("1 instance: 1 holds p99 within 200 ms up to")


def test_no_number_of_instances_makes_slow_work_quick() -> None:
    """The answer says so, and is no error."""
    found = instances_for(CapacityGoal(slo_s=0.05), rate_per_s=1.0, service=SERVICE)
    assert (found.instances, found.needed, found.carries_per_s) == (None, None, 0.0)
    assert found.sentence == (
        "No number of instances answers 0.99 of the requests within 50 ms: "
        "the work alone takes 60 ms, without any wait."
    )


def test_workers_that_share_a_machine_need_more_instances() -> None:
    """Contention and bursts both cost, and a law that was measured on fewer workers is called a guess."""
    n = np.array([1.0, 2, 4, 8])
    scaling = fit_scaling(n, 20 * n / (1 + 0.1 * (n - 1)), resamples=10)
    goal = CapacityGoal(slo_s=0.2)

    def needed(*, bursts: float = 1.0, shared: bool = False, workers: int = 4) -> int:
        found = instances_for(
            goal,
            rate_per_s=400.0,
            service=SERVICE,
            workers=workers,
            arrival_cv2=bursts,
            scaling=scaling if shared else None,
        )
        assert found.is_extrapolated == (shared and workers > 8)
        return found.needed or 0

    assert needed() < needed(bursts=100.0)
    assert needed() < needed(shared=True)
    assert needed(shared=True, workers=16) > 0
    with pytest.raises(UsageError):
        instances_for(goal, rate_per_s=1e9, service=SERVICE)


def test_the_peak_is_an_upper_bound_of_a_quantile() -> None:
    """Many minutes: one of them bounds it; few: the busiest one's own uncertainty; growth comes on top."""
    rng = np.random.default_rng(0)
    minutes = rng.poisson(600, size=1200)
    many = peak_rate(minutes)
    assert many.bound == "rank"
    assert many.measured_per_s <= many.rate_per_s <= minutes.max() / 60
    assert peak_rate(minutes, growth=0.5).rate_per_s == pytest.approx(1.5 * many.rate_per_s)
    few = peak_rate(minutes[:60])
    assert few.bound == "poisson"
    assert few.rate_per_s > minutes[:60].max() / 60
    with pytest.raises(UsageError):
        peak_rate([])


def test_the_peak_bound_holds_as_often_as_promised() -> None:
    """Over 1,000 draws of 600 minutes, the true 99 % quantile is above the bound in at most 5 % of them."""
    minutes = np.random.default_rng(1).poisson(600, size=(1000, 600))
    missed = np.mean([peak_rate(one).rate_per_s * 60 < 658 for one in minutes])  # the Poisson(600) quantile is 658
    assert missed <= 0.07


def test_bursts_are_seen_at_the_scale_at_which_they_happen() -> None:
    """Random arrivals have a dispersion of about 1; bursts of ten windows are found in windows of ten, not in one."""
    rng = np.random.default_rng(0)
    assert dispersion(rng.poisson(3, size=4000), longest=8) == pytest.approx(1.0, abs=0.2)
    bursty = rng.poisson(np.repeat(rng.choice([1.0, 5.0], size=400), 10))
    assert dispersion(bursty, longest=1) < 3.0 < dispersion(bursty)
    with pytest.raises(UsageError, match="30 or more"):
        dispersion([1.0] * 29)
