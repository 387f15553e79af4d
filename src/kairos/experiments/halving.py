"""Successive halving and Hyperband: who goes on at a rung, by what others had when they came to it. Pure decisions.

A rung is a count of steps. Whoever comes to one goes on if it is among the best ``1 / FACTOR`` of all that ever came to
it; the next rung is ``FACTOR`` times as far. Nobody waits for others (ASHA), so trials at once need not be in step. An
early rung is unjust to what learns slowly: Hyperband gives trials to several brackets, each of which begins one rung
later than the one before, so that some of all trials are left alone for long.

References:
    Li et al. (2020), A system for massively parallel hyperparameter tuning, algorithm 2; Li et al. (2018), Hyperband.
    The numbers, and which trial is of which bracket, are those of Optuna's pruners, against which the tests hold this.
"""

from __future__ import annotations

import math
from binascii import crc32
from collections.abc import Sequence

from kairos.pipeline.reporting import Curve, Past, Watch

__all__ = ["is_hopeless"]

_FACTOR = {"successive-halving": 4, "hyperband": 3}


def is_hopeless(watch: Watch, past: Sequence[Past], own: Curve) -> bool:
    """Whether a trial is not among the best at a rung that it came to with its last report.

    Nobody is stopped before a trial came to its end, which says how far the way is.

    Args:
        watch: Whose ``way`` is ``successive-halving`` or ``hyperband``.
        past: Other trials that are over, also those that were stopped.
        own: What the trial reported, by ascending steps.
    """
    ends = [each.curve[-1][0] for each in past if each.is_finished and each.curve]
    if not ends:
        return False
    factor, first, peers = _FACTOR[watch.way], max(max(ends) // 100, 1), past
    if watch.way == "hyperband":
        budgets = _budgets(ends[0] + 1, factor)
        mine = _bracket(watch, watch.number, budgets)
        first = factor**mine
        peers = [each for each in past if _bracket(watch, each.number, budgets) == mine]
    reached = [_rungs(each, first, factor) for each in peers]
    at, (step, loss) = len(_rungs(Past(watch.number, own[:-1]), first, factor)), own[-1]
    while step >= first * factor**at:
        if math.isnan(loss) or not _is_among_best(loss, [each[at] for each in reached if len(each) > at], factor):
            return True
        at += 1
    return False


def _rungs(trial: Past, first: int, factor: int) -> list[float]:
    """What a trial had when it came to each rung; one that was stopped came to no other with its last report."""
    found: list[float] = []
    for place, (step, loss) in enumerate(trial.curve, start=1):
        while step >= first * factor ** len(found) and not math.isnan(loss):
            found.append(loss)
            if not trial.is_finished and place == len(trial.curve):
                break
    return found


def _is_among_best(loss: float, others: Sequence[float], factor: int) -> bool:
    known = sorted([*others, loss])
    return loss <= known[max(len(known) // factor - 1, 0)]


def _budgets(length: int, factor: int) -> list[int]:
    """How many trials each bracket is given, in proportion, for ways of that many steps.

    >>> _budgets(100, 3)
    [81, 34, 15, 8, 5]
    """
    brackets = 1
    while factor**brackets <= length:
        brackets += 1
    return [math.ceil(brackets * factor ** (brackets - 1 - at) / (brackets - at)) for at in range(brackets)]


def _bracket(watch: Watch, number: int, budgets: Sequence[int]) -> int:
    """Drawn by the trial's number, so that everybody who asks knows it."""
    left = crc32(f"{watch.study}_{number}".encode()) % sum(budgets)
    for bracket, budget in enumerate(budgets):
        left -= budget
        if left < 0:
            return bracket
    raise AssertionError("the rest is below the sum")
