"""How soon a worse version is seen, beside the rules that others use at the same stated error, and how often each errs.

Run: ``python -m benchmarks.decisions.power``. Losses of both versions on the same requests, four weeks, looked at when
a day has ended. *Equally good* is the share that is taken back though it is just as good: 5 % are stated by all but the
fixed limit, which states nothing. Where that is far above 5 %, the days beside it are no merit. For rates of bad events
see ``benchmarks.decisions.rollout``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.decisions import sequential_rivals as rivals
from benchmarks.decisions.loss_trials import ALPHA, DAYS, LOSSES, draw
from benchmarks.decisions.many_blocks import block_log_e
from benchmarks.decisions.report import Row, main, share
from benchmarks.decisions.streams import Floats

__all__ = ["RULES", "simulate"]

Rule = Callable[[Floats, Floats], Floats]
"""From losses of champion and challenger, shape (trials, days, rows): the day on which it is taken back."""

CASES = (
    "normal",
    "heavy tails (t, 3 degrees of freedom)",
    "lognormal, against the challenger",
    "autocorrelation 0.6",
    "a shock each day, 30 %",
)
WORSE = (0.1, 0.2, 0.5)
"""By how much the challenger's mean loss is higher; the champion's is 1, and the differences have about that spread."""


def kairos(champion: Floats, challenger: Floats) -> Floats:
    """The paired loss alone, at all of alpha."""
    return rivals.first_day(block_log_e(challenger - champion, 0.0) >= np.log(1 / ALPHA))


RULES: dict[str, Rule] = {
    "kairos": kairos,
    "mSPRT": lambda a, b: rivals.msprt(b - a, alpha=ALPHA),
    "O'Brien-Fleming, 28 looks": lambda a, b: rivals.obrien_fleming(b - a, alpha=ALPHA),
    "z test each day": lambda a, b: rivals.z_test(b - a, alpha=ALPHA),
    "Mann-Whitney each day": lambda a, b: rivals.daily_mann_whitney(a, b),
    "a tenth higher on three days": lambda a, b: rivals.threshold(a, b),
}


def simulate(runs: int) -> Iterator[Row]:
    """A table for each kind of losses."""
    for number, case in enumerate(CASES):
        losses, rng = LOSSES[case], np.random.default_rng(number)
        equal = draw(losses, rng, runs)
        worse = [draw(losses, rng, runs, worse=by) for by in WORSE]
        for who, rule in RULES.items():
            false = float(np.mean(rule(equal.champion, equal.challenger) <= DAYS))
            yield Row(table=case, case="", who=who, figure="equally good", value=share(false, runs))
            for by, trials in zip(WORSE, worse, strict=True):
                days = rule(trials.champion, trials.challenger)
                yield Row(table=case, case="", who=who, figure=f"worse by {by:.0%}", value=_soon(days, runs))


def _soon(days: Floats, runs: int) -> str:
    """The share that is taken back, and the median day."""
    seen, middle = float(np.mean(days <= DAYS)), float(np.median(days))
    return f"{share(seen, runs)}, day {middle:.0f}" if middle < rivals.NEVER else share(seen, runs)


if __name__ == "__main__":
    raise SystemExit(main("Worse versions seen, beside other rules", lambda n: list(simulate(n)), runs=10_000))
