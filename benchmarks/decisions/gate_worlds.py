"""Worlds in which the truth about two models is known: how often does the gate claim more than is true?

Each world draws one holdout and compares; the claim is wrong if the bound that a pass rests on is above the true
difference. That is the same as a version that is worse by exactly the margin and passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy import signal, special

from kairos.gates.compare import Comparer
from kairos.gates.lacks import few
from kairos.gates.metrics import Metric
from kairos.gates.policy import GatePolicy
from kairos.gates.rows import GateRows
from kairos.stats.bootstrap import Statistic, paired_bootstrap
from kairos.stats.comparison import Comparison
from kairos.stats.dependence import INDEPENDENT, Dependence
from kairos.stats.paired import paired_mean

__all__ = ["WORLDS", "Rates", "World", "rates"]

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator], tuple[Comparison, bool]]
"""One holdout: the comparison, and whether there is evidence enough to judge it."""

ALPHA = 0.05
_BURN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A way in which rows come, and what is true of the two models."""

    name: str
    rows: int
    truth: Callable[[], float]
    """The true difference; above 0 the challenger is better."""
    draw: Draw
    promised: float = 0.055
    """The rate that is stated for it: 5 %, and what the approximation of few rows may add."""
    blind: Draw | None = None
    """The same, judged as if rows were independent."""
    is_slow: bool = False
    """Whether a draw takes hundredths of a second: then a fifth of the runs have to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How often a bound missed."""

    world: World
    runs: int
    too_high: float
    """Of those that were judged: the lower bound was above the truth, so a version passes that must not."""
    too_low: float
    """… the upper bound was below the truth, so a version fails that must not."""
    judged: float
    """Share for which there was evidence enough."""
    blind: float | None
    """``too_high`` of who takes rows as independent."""


def rates(world: World, runs: int, seed: int = 1) -> Rates:
    """Draws a world again and again.

    Args:
        world: Which.
        runs: How many times; a fifth of it if the world is slow.
        seed: The same seed gives the same rates.
    """
    runs = max(1, runs // 5) if world.is_slow else runs
    truth = world.truth()
    random = np.random.default_rng(seed)
    found = [world.draw(random) for _ in range(runs)]
    judged = [one for one, is_enough in found if is_enough]
    blind = None
    if world.blind is not None:
        random = np.random.default_rng(seed)
        blind = float(np.mean([world.blind(random)[0].lower > truth for _ in range(runs)]))
    return Rates(
        world=world,
        runs=runs,
        too_high=float(np.mean([one.lower > truth for one in judged])) if judged else 0.0,
        too_low=float(np.mean([one.upper < truth for one in judged])) if judged else 0.0,
        judged=len(judged) / runs,
        blind=blind,
    )


def _skewed(random: np.random.Generator, n: int) -> Floats:
    """The difference of two skewed losses, mean 0."""
    return random.gamma(1.0, 1.0, n) - random.gamma(0.7, 1.0, n) - 0.3


def _series(random: np.random.Generator, n: int, phi: float, *, skewed: bool = True) -> Floats:
    """An autoregression whose steps are skewed, mean 0, variance 1."""
    steps = random.gamma(1.0, 1.0, n + _BURN) - 1.0 if skewed else random.standard_normal(n + _BURN)
    return np.asarray(signal.lfilter([math.sqrt(1 - phi**2)], [1.0, -phi], steps)[_BURN:])


def _mean(draw: Callable[[np.random.Generator], Floats], ties: Dependence = INDEPENDENT) -> Draw:
    def one(random: np.random.Generator) -> tuple[Comparison, bool]:
        difference = draw(random)
        return paired_mean(difference, np.zeros_like(difference), alpha=ALPHA, dependence=ties, own=False), True

    return one


def _in_time(n: int) -> Dependence:
    return Dependence(times=np.arange(n))


def _days(random: np.random.Generator, days: int) -> Floats:
    return np.repeat(random.standard_normal(days), 24) + random.standard_normal(24 * days)


_WHO, _WHEN = np.repeat(np.arange(30), 40), np.tile(np.arange(40), 30)


def _users(random: np.random.Generator) -> Floats:
    return np.asarray(random.standard_normal(30)[_WHO] + random.standard_normal(1200))


def _users_and_hours(random: np.random.Generator) -> Floats:
    return np.asarray(
        0.7 * random.standard_normal(30)[_WHO] + 0.7 * random.standard_normal(40)[_WHEN] + random.standard_normal(1200)
    )


def _judge(
    metric: str, rows: GateRows, *, alpha: float = ALPHA, functions: Mapping[str, Statistic] | None = None
) -> tuple[Comparison, bool]:
    policy = GatePolicy(loss="zero_one", metric=metric, alpha=alpha)
    assert rows.champion is not None
    known: Metric = policy.known(metric)
    found = Comparer(rows=rows, policy=policy, functions=functions or {})(known, rows.champion, rows.challenger)
    return found, few(known, found) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Classifiers:
    """Two classifiers by their latent scores; thresholded they differ on a few rows."""

    n: int
    share: float = 0.1
    skill: tuple[float, float] = (2.4, 2.3)
    alike: float = 0.97
    """Correlation of the two models' errors."""
    phi: float = 0.0
    """Autocorrelation of truth and errors in time."""
    times: bool = False

    def draw(self, random: np.random.Generator) -> GateRows:
        """One holdout."""
        truth = (special.ndtr(self._noise(random)) < self.share).astype(int)
        common = self._noise(random)
        own = [math.sqrt(self.alike) * common + math.sqrt(1 - self.alike) * self._noise(random) for _ in range(2)]
        scores = [
            special.ndtr(skill * (truth - 0.5) + error - 0.6) for skill, error in zip(self.skill, own, strict=True)
        ]
        return GateRows(
            truth=truth,
            champion=scores[0],
            challenger=scores[1],
            times=np.arange(self.n) if self.times else None,
            digest=str(random.integers(1 << 62)),
        )

    def _noise(self, random: np.random.Generator) -> Floats:
        return _series(random, self.n, self.phi, skewed=False)

    def world(self, name: str, metric: str, promised: float) -> World:
        """The world in which they are compared by a metric."""
        return World(
            name=name,
            rows=self.n,
            truth=lambda: _true_difference(self, metric),
            draw=lambda random: _judge(metric, self.draw(random)),
            promised=promised,
            is_slow=metric not in ("auc", "f1") or self.times,
        )


@cache
def _true_difference(models: _Classifiers, metric: str) -> float:
    """From two million rows: each class and each error as often as it is in the long run."""
    big = _Classifiers(n=2_000_000, share=models.share, skill=models.skill, alike=models.alike)
    rows = big.draw(np.random.default_rng(0))
    assert rows.champion is not None
    if metric == "auc":
        areas = [float(special.ndtr(skill / math.sqrt(2))) for skill in models.skill]
        return areas[1] - areas[0]
    policy = GatePolicy(loss="zero_one", metric=metric)
    found = Comparer(rows=rows, policy=policy)(policy.known(metric), rows.champion, rows.challenger)
    return found.difference


def _table(n: int, b: float, c: float) -> Draw:
    """Rows that are newly right with chance ``b`` and newly wrong with chance ``c``."""

    def one(random: np.random.Generator) -> tuple[Comparison, bool]:
        kind = random.choice(3, size=n, p=[b, c, 1 - b - c])
        rows = GateRows(truth=np.zeros(n), champion=(kind == 0) * 1.0, challenger=(kind == 1) * 1.0, digest="0")
        return _judge("zero_one", rows)

    return one


def _errors(n: int, phi: float) -> Draw:
    """Two models with heavy-tailed errors of 1 and 0.95, alike to a half."""

    def one(random: np.random.Generator) -> tuple[Comparison, bool]:
        common, first, second = (
            _series(random, n, phi, skewed=False) if phi else random.standard_t(5, n) / math.sqrt(5 / 3)
            for _ in range(3)
        )
        rows = GateRows(
            truth=np.zeros(n),
            champion=math.sqrt(0.5) * (common + first),
            challenger=0.95 * math.sqrt(0.5) * (common + second),
            times=np.arange(n) if phi else None,
            digest="0",
        )
        return _judge("rmse", rows)

    return one


def _root(truth: Floats, prediction: Floats) -> float:
    return math.sqrt(float(((prediction - truth) ** 2).mean()))


def _by_function(n: int, phi: float, resamples: int = 200) -> Draw:
    """The root mean squared error again, as a function that nobody knows anything about."""

    def one(random: np.random.Generator) -> tuple[Comparison, bool]:
        common, first, second = (_series(random, n, phi, skewed=False) for _ in range(3))
        found = paired_bootstrap(
            _root,
            np.zeros(n),
            math.sqrt(0.5) * (common + first),
            0.95 * math.sqrt(0.5) * (common + second),
            better="lower",
            alpha=ALPHA,
            seed=int(random.integers(1 << 31)),
            dependence=_in_time(n) if phi else INDEPENDENT,
            resamples=resamples,
        )
        return found, True

    return one


def _chances(n: int) -> Draw:
    """Squared errors of chances, few rows: the difference is bounded."""

    def one(random: np.random.Generator) -> tuple[Comparison, bool]:
        chance = random.beta(1.0, 4.0, n)
        truth = (random.uniform(size=n) < chance).astype(int)
        rows = GateRows(truth=truth, champion=np.clip(chance + 0.1, 0, 1), challenger=chance, digest="0")
        policy = GatePolicy(loss="squared_error")
        assert rows.champion is not None
        return Comparer(rows=rows, policy=policy)(policy.known("squared_error"), rows.champion, rows.challenger), True

    return one


def _chances_truth() -> float:
    """What is lost by answering a tenth too much, where that is possible."""
    chance = np.random.default_rng(0).beta(1.0, 4.0, 4_000_000)
    return float(((np.clip(chance + 0.1, 0, 1) - chance) ** 2).mean())


def _nothing() -> float:
    return 0.0


def _means() -> Iterator[World]:
    for n, promised in ((100, 0.06), (500, 0.055)):
        skewed = _mean(partial(_skewed, n=n))
        yield World(name="mean, skewed, independent", rows=n, truth=_nothing, draw=skewed, promised=promised)
    tied: list[tuple[str, int, Callable[[np.random.Generator], Floats], Dependence, float]] = [
        *((f"mean, autocorrelation {phi}", 336, partial(_series, n=336, phi=phi), _in_time(336), 0.06) for phi in _PHI),
        ("mean, each day its own level", 336, partial(_days, days=14), _in_time(336), 0.075),
        ("mean, thirty users", 1200, _users, Dependence(entities=_WHO), 0.055),
        ("mean, thirty users and forty hours", 1200, _users_and_hours, Dependence(times=_WHEN, entities=_WHO), 0.06),
    ]
    for name, n, draw, ties, promised in tied:
        yield World(name=name, rows=n, truth=_nothing, draw=_mean(draw, ties), promised=promised, blind=_mean(draw))


def _others() -> Iterator[World]:
    yield World(
        name="mean of a bounded loss, by betting",
        rows=120,
        truth=_chances_truth,
        draw=_chances(120),
        promised=0.05,
        is_slow=True,
    )
    for n in (100, 1000):
        draw = _table(n, 0.0075, 0.0175)
        yield World(name="error rate, 2.5 % of rows differ", rows=n, truth=lambda: -0.01, draw=draw, promised=0.06)
    yield World(name="RMSE, heavy tails", rows=300, truth=lambda: 0.05, draw=_errors(300, 0.0), promised=0.06)
    yield World(name="RMSE, autocorrelation 0.8", rows=336, truth=lambda: 0.05, draw=_errors(336, 0.8), promised=0.065)
    for phi, name in ((0.0, "RMSE as one's own function"), (0.8, "RMSE as one's own function, autocorrelation 0.8")):
        draw = _by_function(336, phi)
        yield World(name=name, rows=336, truth=lambda: 0.05, draw=draw, promised=0.07, is_slow=True)
    yield _Classifiers(n=400, share=0.35, alike=0.7).world("area under the ROC curve", "auc", 0.06)
    yield _Classifiers(n=1000, share=0.3, alike=0.7, phi=0.8, times=True).world(
        "area under the ROC curve, autocorrelation 0.8", "auc", 0.07
    )
    yield _Classifiers(n=1600, share=0.12).world("F1", "f1", 0.08)
    yield _Classifiers(n=2400, share=0.12, phi=0.8, times=True).world("F1, autocorrelation 0.8", "f1", 0.08)
    yield _Classifiers(n=1600, share=0.12).world("precision", "precision", 0.08)
    yield _Classifiers(n=1600, share=0.12).world("Matthews' coefficient", "mcc", 0.08)


_PHI = (0.3, 0.6, 0.8, 0.9)
WORLDS: tuple[World, ...] = (*_means(), *_others())
"""All worlds, in the order in which they are told."""
