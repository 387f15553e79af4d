"""How long does a request wait for a free worker? Erlang's formulas, and Allen and Cunneen's for any service time.

Arrivals find ``servers`` workers that each take one request at a time, first come first served. With random arrivals
and exponential service times (M/M/c) the answers are exact; for others Allen and Cunneen's correction is a tool of
about 20 %, so the result of a load test belongs beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, finite

__all__ = ["ServiceTimes", "Wait", "erlang_b", "erlang_c", "response_quantile", "wait"]


def erlang_b(servers: int, load: float) -> float:
    """Chance that all ``servers`` are busy if a request that finds them so goes away, in [0, 1].

    Args:
        servers: Workers, 0 or more.
        load: Offered load in Erlang: arrival rate times mean service time, 0 or more.

    Examples:
        >>> round(erlang_b(2, 1.0), 6)
        0.2

    References:
        Erlang (1917); the recursion is stable for any number of servers.
    """
    if servers < 0 or not 0.0 <= load < math.inf:
        raise UsageError(
            "Servers and load do not fit.", given=f"{servers} servers, load {load!r}", accepted="both 0 or more"
        )
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Chance that a request has to wait if it stays until it is served, in [0, 1]; 1 where the queue grows for ever.

    Args:
        servers: Workers, 1 or more.
        load: Offered load in Erlang, 0 or more.

    Examples:
        >>> round(erlang_c(2, 1.0), 6)
        0.333333

    References:
        Erlang (1917).
    """
    blocked = erlang_b(servers, load)
    if servers < 1:
        raise UsageError("A queue needs servers.", given=servers, accepted="1 or more")
    busy = load / servers
    return 1.0 if busy >= 1.0 else blocked / (1.0 - busy * (1.0 - blocked))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """How long requests wait for a free worker: not at all with chance ``1 - p_wait``, else exponentially long."""

    servers: int
    busy: float
    """Share of the time that a worker works, 0 or more; from 1 on the queue grows for ever."""
    p_wait: float
    """Chance to wait at all."""
    mean_s: float
    """Over all requests, also those that do not wait; infinite where the queue grows for ever."""
    drain_per_s: float
    """Rate of the exponential tail; 0 where the queue grows for ever."""

    def beyond(self, t_s: float) -> float:
        """Chance to wait longer than ``t_s`` seconds."""
        return 1.0 if t_s < 0 else self.p_wait * math.exp(-self.drain_per_s * t_s)

    def quantile(self, p: float) -> float:
        """The wait in seconds that a share ``p`` of requests does not exceed."""
        _check_share(p)
        if self.drain_per_s == 0.0:
            return math.inf
        return max(0.0, math.log(self.p_wait / (1.0 - p)) / self.drain_per_s) if self.p_wait > 0.0 else 0.0


def wait(
    *, servers: int, rate_per_s: float, service_s: float, arrival_cv2: float = 1.0, service_cv2: float = 1.0
) -> Wait:
    """The wait at a given rate; exact for M/M/c (both ``cv2`` are 1), else after Allen and Cunneen.

    Args:
        servers: Workers, 1 or more.
        rate_per_s: Requests per second, 0 or more.
        service_s: Mean service time in seconds, above 0.
        arrival_cv2: How irregular arrivals are: 1 if random, more if they come in bursts; the index of dispersion of
            their counts (``dispersion``) stands in for it.
        service_cv2: Variance of the service time over its squared mean.

    Examples:
        >>> found = wait(servers=4, rate_per_s=3.2, service_s=1.0)
        >>> round(found.p_wait, 3), round(found.mean_s, 3)
        (0.596, 0.746)

    References:
        Allen (1990), section 5.3.2; the tail's rate is shrunk by the same factor as the mean wait grows.
    """
    if not (rate_per_s >= 0.0 and 0.0 < service_s < math.inf and min(arrival_cv2, service_cv2) >= 0.0):
        raise UsageError(
            "The rates of a queue do not fit.",
            given=f"{rate_per_s!r} a second, {service_s!r} s each, variability {arrival_cv2!r} and {service_cv2!r}",
            accepted="a rate and variabilities of 0 or more, a service time above 0",
        )
    load = rate_per_s * service_s
    p_wait, spare_per_s = erlang_c(servers, load), servers / service_s - rate_per_s
    busy = load / servers
    if busy >= 1.0:
        return Wait(servers=servers, busy=busy, p_wait=1.0, mean_s=math.inf, drain_per_s=0.0)
    spread = (arrival_cv2 + service_cv2) / 2
    if spread == 0.0:  # a clockwork: nobody ever waits
        return Wait(servers=servers, busy=busy, p_wait=0.0, mean_s=0.0, drain_per_s=math.inf)
    return Wait(
        servers=servers,
        busy=busy,
        p_wait=p_wait,
        mean_s=p_wait / spare_per_s * spread,
        drain_per_s=spare_per_s / spread,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTimes:
    """Measured service times as a histogram, such as the filled cells of ``LogBuckets``."""

    seconds: Floats
    """Values in ascending order, shape (k,), above 0."""
    shares: Floats
    """How often each occurs, shape (k,), sum 1."""

    @classmethod
    def of(cls, seconds: ArrayLike, counts: ArrayLike | None = None) -> ServiceTimes:
        """Takes values and how often each was seen (once if not told), in any order.

        Raises:
            ShapeMismatch: values and counts are not paired.
            UsageError: there is none, one is not above 0, or a count is negative.
        """
        values = finite("service times", seconds)
        seen = np.ones(values.size) if counts is None else finite("counts", counts)
        if seen.shape != values.shape:
            raise ShapeMismatch("Service times and counts are not paired.", given=f"{values.size} and {seen.size}")
        if not values.size or values.min() <= 0 or seen.min() < 0 or not seen.sum() > 0:
            raise UsageError("Service times need measured values.", accepted="seconds above 0, counts of 0 or more")
        order = np.argsort(values, kind="stable")
        return cls(seconds=values[order], shares=seen[order] / seen.sum())

    @property
    def mean_s(self) -> float:
        """Mean service time."""
        return float(self.shares @ self.seconds)

    @property
    def cv2(self) -> float:
        """Variance over the squared mean, 0 or more."""
        return float(self.shares @ (self.seconds - self.mean_s) ** 2) / self.mean_s**2

    def quantile(self, p: float) -> float:
        """The smallest value that a share ``p`` does not exceed."""
        _check_share(p)
        place = int(np.searchsorted(np.cumsum(self.shares), p * (1 - 1e-12)))
        return float(self.seconds[min(place, self.seconds.size - 1)])

    def slowed(self, factor: float) -> ServiceTimes:
        """The same with every request ``factor`` times as long."""
        return ServiceTimes(seconds=self.seconds * factor, shares=self.shares)


def response_quantile(waiting: Wait, service: ServiceTimes, p: float) -> float:
    """The response time in seconds, wait plus service, that a share ``p`` of requests does not exceed.

    Convolves the wait (an atom at 0 and an exponential tail) with the measured service times, exactly: between two
    neighbouring service times the tail of the sum is one constant plus one exponential.

    Examples:
        >>> at = wait(servers=1, rate_per_s=5.0, service_s=0.1)
        >>> round(response_quantile(at, ServiceTimes.of([0.1]), 0.99), 3)
        0.882
    """
    _check_share(p)
    if waiting.drain_per_s == 0.0:
        return math.inf
    times, shares = service.seconds, service.shares
    if waiting.p_wait == 0.0 or math.isinf(waiting.drain_per_s):
        return service.quantile(p)
    slower = np.append(np.cumsum(shares[::-1])[::-1][1:], 0.0)  # share of requests whose service is longer than this
    with np.errstate(divide="ignore"):  # a cell that nobody fell in
        grown = np.logaddexp.accumulate(np.log(shares) + waiting.drain_per_s * times)
    # P(response > x) for x from times[i] to times[i + 1] is slower[i] + exp(log p_wait + grown[i] - drain x)
    log_tail = math.log(waiting.p_wait) + grown
    at_start = slower + np.exp(log_tail - waiting.drain_per_s * times)
    at_end = slower + np.exp(log_tail - waiting.drain_per_s * np.append(times[1:], np.inf))
    place = int(np.argmax(at_end <= 1.0 - p))
    if at_start[place] <= 1.0 - p:
        return float(times[place])
    room = 1.0 - p - float(slower[place])
    if room <= 0.0:  # the tail is flat up to the next service time, as far as numbers can tell
        return float(times[place + 1])
    return float((log_tail[place] - math.log(room)) / waiting.drain_per_s)


def _check_share(p: float) -> None:
    if not 0.0 < p < 1.0:
        raise UsageError("A quantile is asked for at no share.", given=p, accepted="a number strictly between 0 and 1")
