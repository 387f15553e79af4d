"""How often a promise is broken while somebody looks at everything: chances, simulated for tests and benchmarks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import special

from benchmarks.decisions.streams import DRAWS, Floats, events
from kairos.stats.asymptotic import asymptotic_path
from kairos.stats.badevents import harm_log_e_path
from kairos.stats.bernstein import bernstein_path
from kairos.stats.betting import betting_path
from kairos.stats.boundaries import BetaBinomial
from kairos.stats.detector import BETS
from kairos.stats.harmful import harmful_shift
from kairos.stats.hedged import hedged_log_e_path
from kairos.stats.rates import rate_log_e_path
from kairos.stats.sequence import mean_log_e_path

__all__ = [
    "ALPHA",
    "DRAWS",
    "HARM_SEEN",
    "METHODS",
    "ONLY_RATES",
    "asymptotic_misses",
    "benign_shift_alarms",
    "ever",
    "harm_seen",
    "misses",
    "moving_mean_misses",
    "run_lengths",
    "t_test_misses",
]

ALPHA = 0.05
LOOKS = 2000
HARM_SEEN = (
    (0.01, 10.0, 28), (0.01, 5.0, 92), (0.01, 3.0, 237), (0.01, 2.0, 974), (0.05, 5.0, 21),
    (0.05, 2.0, 190), (0.05, 1.5, 714), (0.25, 2.0, 55), (0.25, 1.5, 174), (0.5, 1.5, 174),
)  # fmt: skip
"""Share of a canary, its bad events over the champion's, and how many of them it takes, by the published table."""

CHUNK = 500
"""Streams at a time, for the memory's sake."""

Method = Callable[[Floats, float], Floats]
"""From streams, shape (streams, looks), and their mean: log e-values against that mean, of the same shape."""


def misses(method: str, draw: str, runs: int, *, looks: int = LOOKS) -> float:
    """The share of streams that the true mean is ever outside of the bounds of, over all looks.

    Args:
        method: A name in ``METHODS``.
        draw: A name in ``DRAWS``.
        runs: Streams.
        looks: Values of each.
    """
    mean, of = DRAWS[draw]
    return ever(lambda x: METHODS[method](x, mean) >= 0, lambda rng, shape: of(rng, shape), runs, looks)


def ever(
    broken: Callable[[Floats], np.ndarray[tuple[int, ...], np.dtype[np.bool_]]],
    draw: Callable[[np.random.Generator, tuple[int, int]], Floats],
    runs: int,
    looks: int = LOOKS,
    seed: int = 1,
) -> float:
    """The share of streams in which something ever happens."""
    rng = np.random.default_rng(seed)
    hits = 0
    for start in range(0, runs, CHUNK):
        x = draw(rng, (min(CHUNK, runs - start), looks))
        hits += int(broken(x).any(axis=1).sum())
    return hits / runs


def _bernstein(x: Floats, mean: float) -> Floats:
    _, lower, upper = bernstein_path(x, lower=0, upper=1, alpha=ALPHA)
    return np.asarray(np.maximum(lower - mean, mean - upper), dtype=np.float64) - 1e-12


def _betting(x: Floats, mean: float) -> Floats:
    return hedged_log_e_path(x, null_mean=mean, lower=0, upper=1, alpha=ALPHA) - math.log(1 / ALPHA)


def _one_sided_bets(x: Floats, mean: float) -> Floats:
    return betting_path(x, null_mean=mean, lower=0, upper=1) - math.log(1 / ALPHA)


def _gamma_exponential(x: Floats, mean: float) -> Floats:
    return mean_log_e_path(x, mean, lower=0, upper=1, alpha=ALPHA) - math.log(2 / ALPHA)


def _rate_one_sided(x: Floats, mean: float) -> Floats:
    return _of_counts(x, lambda k, n: rate_log_e_path(k, n, mean, "greater")) - math.log(1 / ALPHA)


def _rate_two_sided(x: Floats, mean: float) -> Floats:
    mixture = BetaBinomial(v_opt=500 * mean * (1 - mean), g=mean, h=1 - mean, sides=2)
    return _of_counts(x, lambda k, n: mixture.log_e(k - n * mean, n * mean * (1 - mean))) - math.log(1 / ALPHA)


def _of_counts(x: Floats, log_e: Callable[[Floats, Floats], Floats]) -> Floats:
    """Evidence that depends on counts alone, computed once for each pair of counts that occurs."""
    k = np.cumsum(x, axis=1).astype(np.int64)
    n = np.arange(1, x.shape[1] + 1)
    code = k * (x.shape[1] + 1) + n
    pairs = np.zeros(int(code.max()) + 1)
    seen = np.unique(code)
    pairs[seen] = log_e((seen // (x.shape[1] + 1)).astype(np.float64), (seen % (x.shape[1] + 1)).astype(np.float64))
    return np.asarray(pairs[code])


METHODS: dict[str, Method] = {
    "empirical Bernstein": _bernstein,
    "hedged bets": _betting,
    "one-sided bets": _one_sided_bets,
    "gamma-exponential": _gamma_exponential,
    "beta-binomial, one-sided": _rate_one_sided,
    "beta-binomial, two-sided": _rate_two_sided,
}
"""Name -> method; at 0 or more the true mean is refuted."""

ONLY_RATES = ("beta-binomial, one-sided", "beta-binomial, two-sided")


def t_test_misses(draw: str, runs: int, *, looks: int = LOOKS, every: int = 1, first: int = 20) -> float:
    """The same for a two-sided t-test (normal quantile) at the usual level, from the first look on."""
    mean, of = DRAWS[draw]
    z = float(special.ndtri(1 - ALPHA / 2))
    n = np.arange(1, looks + 1)

    def broken(x: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        average = x.cumsum(axis=1) / n
        variance = np.maximum((x**2).cumsum(axis=1) / n - average**2, 1e-12) * n / np.maximum(n - 1, 1)
        return np.asarray(np.abs(average - mean) > z * np.sqrt(variance / n))[:, max(first, every) - 1 :: every]

    return ever(broken, of, runs, looks)


def asymptotic_misses(draw: str, runs: int, *, looks: int = LOOKS, waits: bool, t_opt: float = 500) -> float:
    """The same for asymptotic bounds: silent before 50 events, as ours, or from value 50 on, as platforms use them."""
    mean, of = DRAWS[draw]
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(runs):
        x = of(rng, (1, looks))[0]
        if waits:
            _, lower, upper = asymptotic_path(x, alpha=ALPHA, t_opt=t_opt)
            hits += bool(((mean < lower) | (mean > upper)).any())
        else:
            rho2 = float(-special.lambertw(-(ALPHA**2) / math.e, -1).real - 1) / t_opt
            hits += bool(_asymptotic_broken(x, mean, rho2)[49:].any())
    return hits / runs


def _running_variance(x: Floats) -> Floats:
    n = np.arange(1, x.size + 1)
    mean = x.cumsum() / n
    return np.asarray(np.maximum((x**2).cumsum() - n * mean**2, 0.0) / np.maximum(n - 1, 1))


def _asymptotic_broken(x: Floats, mean: float, rho2: float) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    t = np.arange(1, x.size + 1)
    grown = t * rho2 + 1
    reach = np.sqrt(_running_variance(x) * 2 * grown / (t**2 * rho2) * np.log(np.sqrt(grown) / ALPHA))
    return np.asarray(np.abs(x.cumsum() / t - mean) > reach)


def moving_mean_misses(runs: int, *, looks: int = 1000) -> float:
    """How often bounds of the running mean ever miss it, while differences of 0/1 losses swing from -8 % to 8 %."""
    expected = 0.08 * np.sin(np.arange(looks) / 60)
    truth = expected.cumsum() / np.arange(1, looks + 1)

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
        u = rng.uniform(size=shape)
        return np.where(u < 0.05 + expected / 2, 1.0, np.where(u > 0.95 + expected / 2, -1.0, 0.0))

    def broken(x: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return np.asarray(mean_log_e_path(x, truth, lower=-1, upper=1, alpha=ALPHA) >= math.log(2 / ALPHA))

    return ever(broken, draw, runs, looks)


def run_lengths(runs: int, *, rate: float, tolerated: float, threshold: float, kind: str, most: int) -> Floats:
    """Values until the detector's alarm in each stream, shape (runs,); ``most`` where there is none by then."""
    rng = np.random.default_rng(3)
    bets = np.array(BETS)
    up, down = 1 + bets / tolerated * (1 - tolerated), 1 - bets
    m = np.zeros((runs, bets.size))
    lengths = np.full(runs, float(most))
    alive = np.arange(runs)
    for t in range(1, most + 1):
        hit = rng.uniform(size=alive.size) < rate
        m = np.where(hit[:, np.newaxis], up, down) * (m + 1 if kind == "e-SR" else np.maximum(m, 1))
        alarms = m.mean(axis=1) >= threshold
        if alarms.any():
            lengths[alive[alarms]] = t
            alive, m = alive[~alarms], m[~alarms]
            if alive.size == 0:
                break
    return lengths


def benign_shift_alarms(runs: int, *, rate: float = 0.12, labels: int = 2000, claim: str = "average") -> Floats:
    """The label at which harm is claimed; infinite if never. 2,000 held-out rows at 10 %, a tolerance of 2 points."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(runs):
        source, target = events(rng, 0.10, (1, 2000))[0], events(rng, rate, (1, labels))[0]
        at = harmful_shift(source, target, tolerance=0.02, claim=claim).alarm_at
        found.append(math.inf if at is None else float(at + 1))
    return np.array(found)


def harm_seen(share: float, ratio: float, runs: int, *, most: int) -> Floats:
    """Bad events until a canary at that share, with ``ratio`` times the champion's, is seen at 5 %; shape (runs,).

    Looked at after every bad event; ``most`` where it is not seen by then.
    """
    rng = np.random.default_rng(int(1000 * share + ratio))
    found = []
    for start in range(0, runs, CHUNK):
        size = (min(CHUNK, runs - start), most)
        mine = (rng.uniform(size=size) < share * ratio / (share * ratio + 1 - share)).astype(np.float64)
        path = harm_log_e_path(np.full(most, share), mine, 1 - mine)
        hits = path >= math.log(1 / ALPHA)
        found.append(np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, most))
    return np.concatenate(found).astype(np.float64)
