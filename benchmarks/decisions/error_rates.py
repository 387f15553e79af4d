"""How often decisions are wrong while they are looked at whenever there is something new, for losses of many kinds.

Run: ``python -m benchmarks.decisions.error_rates``. Stated is 5 %. Each figure is decided by the product itself:

* *taken back*: a version that is just as good is taken back in four weeks, by its losses or by one of five guards;
* *let through*: one that is worse by exactly the margin leaves shadow;
* *lower, upper*: the confidence sequence is ever on the wrong side of the true mean difference;
* *gate*: one that is worse by exactly the gate's margin passes on two weeks held out, at one look.

The cases named *broken* violate what the rest is meant for; the figure says by how much the level moves.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.decisions.loss_trials import LOSSES, POLICY, draw, let_through, never_covered, taken_back
from benchmarks.decisions.report import Row, main, share
from benchmarks.decisions.streams import DependentLosses
from kairos.stats.dependence import Dependence
from kairos.stats.paired import paired_mean

__all__ = ["gate_passes", "simulate"]

ALPHA = POLICY.alpha
GATE_DAYS, GATE_MARGIN = 14, 0.01
_AT_ONCE = 1000


def simulate(runs: int) -> Iterator[Row]:
    """A table for all kinds of losses."""
    for number, (case, losses) in enumerate(LOSSES.items()):
        found = [list(_part(losses, size, seed=(number, at))) for at, size in enumerate(_sizes(runs))]
        for figure, *hits in zip(("taken back", "let through", "lower", "upper", "gate"), *found, strict=True):
            rate = float(np.average(hits, weights=list(_sizes(runs))))
            yield Row(
                table=f"wrong decisions, {ALPHA:.0%} are stated",
                case=case,
                who="kairos",
                figure=figure,
                value=share(rate, runs),
            )


def gate_passes(losses: DependentLosses, rng: np.random.Generator, runs: int) -> NDArray[np.bool_]:
    """Whether a version that is worse by the gate's margin passes, shape (runs,)."""
    difference = losses.draw(rng, runs, GATE_DAYS)
    champion = rng.gamma(4.0, 0.25, size=difference.shape)
    times = Dependence(times=np.arange(difference[0].size))
    passes = np.zeros(runs, dtype=bool)
    for run in range(runs):
        theirs = champion[run].ravel()
        mine = theirs + difference[run].ravel() + GATE_MARGIN
        lower = paired_mean(theirs, mine, alpha=ALPHA, dependence=times, own=False).lower
        passes[run] = lower > -GATE_MARGIN * theirs.mean()
    return passes


def _part(losses: DependentLosses, runs: int, *, seed: tuple[int, int]) -> Iterator[float]:
    rng = np.random.default_rng(seed)
    equal = draw(losses, rng, runs)
    yield float(taken_back(equal, rng).mean())
    yield float(let_through(draw(losses, rng, runs, worse=POLICY.harm_margin)).mean())
    yield from never_covered(equal, 0.0)
    yield float(gate_passes(losses, rng, runs).mean())


def _sizes(runs: int) -> Iterator[int]:
    """Parts that fit into memory."""
    for begun in range(0, runs, _AT_ONCE):
        yield min(_AT_ONCE, runs - begun)


if __name__ == "__main__":
    raise SystemExit(main("Wrong decisions, looked at all the time", lambda n: list(simulate(n)), runs=10_000))
