"""A study: trials of one question, what to try next, and which trial is best. Values and pure decisions.

Nothing here remembers anything: what comes next follows from the trials that are over, so whoever reads these from the
ledger goes on where another process was killed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, get_args

from kairos.errors import UsageError, did_you_mean
from kairos.experiments.space import Number, Params, Space, same
from kairos.pipeline.reporting import Curve
from kairos.pipeline.typed import typed, untyped
from kairos.values import Json, canonical_json

__all__ = [
    "PRUNERS",
    "SAMPLERS",
    "Plan",
    "Pruner",
    "Searcher",
    "Trial",
    "TrialState",
    "best_of",
    "check_plan",
    "next_params",
    "trial_of",
]

TrialState = Literal["finished", "pruned", "failed"]
Sampler = Literal["tpe", "qmc", "random", "grid"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
PRUNERS = ("median", "percentile[:N]", "successive-halving", "hyperband", "none")
_BEST_PERCENT = 25.0
"""Of a ``percentile`` that does not say which."""

_DRAWS = 8
"""So often something is asked for that was not tried yet."""
_MOST_WALKED = 100_000
"""Combinations that are looked through for one that was not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One choice of params, and what came of it on rows that the search may see."""

    number: int
    """From 0 on; 0 are the current params."""
    params: Params
    state: TrialState
    value: float | None = None
    """Mean loss, lower is better; of a pruned trial the last that it reported; ``None``: there is none."""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """By step: what it reported on its way."""
    run: str = ""
    why: str | None = None
    """Why it failed or was pruned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruner:
    """What stops a trial early."""

    way: str
    percent: float = 50.0
    """Of ``percentile``: who is not among so many of the best is stopped."""

    @classmethod
    def parse(cls, text: str) -> Pruner:
        """Reads what was typed.

        >>> Pruner.parse("percentile:10").percent
        10.0

        Raises:
            UsageError: there is no such.
        """
        way, colon, percent = text.partition(":")
        ways = [each.removesuffix("[:N]") for each in PRUNERS]
        try:
            part = float(percent) if colon else _BEST_PERCENT
        except ValueError:
            part = math.nan
        if way not in ways or not 0 < part < 100 or (colon and way != "percentile"):
            raise UsageError(
                "There is no such pruner." if way not in ways else f"The pruner {way} cannot be so.",
                given=text,
                accepted=", ".join(PRUNERS) + "; N above 0 and below 100",
                hint=did_you_mean(way, ways),
            )
        return cls(way=way, percent=part if way == "percentile" else 50.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is searched, and how: one part of a study's name."""

    space: Space
    current: Params
    """Values of the searched params as they are without a search."""
    sampler: Sampler = "tpe"
    pruner: str = "median"
    """As ``Pruner.parse`` reads it."""
    prune_after: int = 0
    """No trial is stopped before this step of its own count: curves may cross."""
    seed: int = 0

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        return {
            "space": self.space.plain(),
            "sampler": self.sampler,
            "pruner": self.pruner,
            "prune_after": self.prune_after,
            "seed": self.seed,
        }


class Searcher(Protocol):
    """Proposes params from what is known of others. It keeps nothing: equal questions have equal answers."""

    def propose(
        self, plan: Plan, past: Sequence[Trial], running: Sequence[Params], *, number: int, seed: int
    ) -> Params:
        """Params to try next.

        Args:
            plan: What may be tried, and how.
            past: Trials that are over, by number.
            running: Params of those that are not.
            number: Of the trial that they are for, from 1 on.
            seed: Of this one draw.
        """
        ...


def check_plan(plan: Plan) -> None:
    """Refuses a plan that cannot be carried out, before the first trial.

    Raises:
        UsageError: a grid has no end, or there is no such pruner.
    """
    Pruner.parse(plan.pruner)
    endless = [name for name, each in plan.space.ranges.items() if each.count is None]
    if plan.sampler == "grid" and endless:
        known = plan.space.ranges[endless[0]]
        assert isinstance(known, Number)  # choices have an end
        raise UsageError(
            f"A grid over {endless[0]} has no end.",
            given=str(known),
            accepted="ranges that can be counted",
            hint=f"Type: --space {endless[0]}={known.low:g}..{known.high:g}:step={(known.high - known.low) / 10:g}",
        )


def next_params(
    plan: Plan, number: int, past: Sequence[Trial], running: Sequence[Params], searcher: Searcher
) -> Params | None:
    """What a trial of this number tries; ``None``: everything was tried.

    The first one tries the current params. What was tried already is not tried again as long as there is anything else.
    """
    tried = {_name(trial.params) for trial in past} | {_name(params) for params in running}
    if number == 0:
        return plan.current
    count = plan.space.count
    if plan.sampler == "grid":
        return _untried(plan.space, tried)
    for draw in range(_DRAWS):
        asked = (
            plan if draw == 0 or plan.sampler != "qmc" else replace(plan, sampler="random")
        )  # a sequence has one point
        found = searcher.propose(asked, past, running, number=number, seed=_seed(plan.seed, number, draw))
        if _name(found) not in tried:
            return found
    return found if count is None or count > _MOST_WALKED else _untried(plan.space, tried)


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The finished trial with the lowest loss; of equals the first, so that the current params need not give way."""
    done = [trial for trial in trials if trial.state == "finished" and trial.value is not None]
    done = [trial for trial in done if math.isfinite(trial.value or 0.0)]
    return min(done, key=lambda trial: (trial.value, trial.number), default=None)


def trial_of(body: Mapping[str, Any], run: str) -> Trial:
    """Reads the fact of a trial."""
    return Trial(
        number=int(body["trial"]),
        params={name: untyped(value) for name, value in body["searched"].items()},
        state=body["state"],
        value=body["value"],
        curves={step: [(at, value) for at, value in curve] for step, curve in body.get("reported", {}).items()},
        run=run,
        why=body.get("why"),
    )


def is_current(plan: Plan, trial: Trial) -> bool:
    """Whether a trial had the current params."""
    return all(same(plan.current[name], value) for name, value in trial.params.items())


def _untried(space: Space, tried: set[str]) -> Params | None:
    count = space.count
    assert count is not None  # or it could not be walked
    return next((point for place in range(count) if _name(point := space.point(place)) not in tried), None)


def _name(params: Params) -> str:
    return canonical_json({name: typed(value) for name, value in sorted(params.items())}).decode()


def _seed(seed: int, number: int, draw: int) -> int:
    """In [0, 2^32); unlike any other trial's."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number} {draw}".encode()).digest()[:4])
