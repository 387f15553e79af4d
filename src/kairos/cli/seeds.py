"""What ``run`` and ``show`` say of a run with several seeds."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kairos.experiments.spread import Spread, spreads_of

if TYPE_CHECKING:
    from kairos.app.seeding import OtherSeeds

__all__ = ["report_failures", "spread_lines", "stopped_line", "told_seeds"]


def told_seeds(seeds: Mapping[str, int]) -> str:
    """The seeds of one failure, by model.

    >>> told_seeds({"demand": 7})
    '(demand 7)'
    """
    return f"({', '.join(f'{model} {seed}' for model, seed in seeds.items())})"


def spread_lines(metrics: Mapping[str, float]) -> list[str]:
    """A line for each metric of which a run has several seeds.

    >>> spread_lines({"demand.mae": 41.5, "demand.mae.mean": 41.0, "demand.mae.sd": 0.25, "demand.seeds": 5.0})
    ['demand: over 5 seeds mean mae is 41 on average, with a standard deviation of 0.25']
    """
    return [_line(name, spread) for name, spread in spreads_of(metrics)[1].items()]


def _line(name: str, spread: Spread) -> str:
    model, _, rest = name.partition(".")
    what = rest.replace("_", " ")
    if spread.sd is None:
        return f"{model}: all {spread.seeds} seeds gave the same mean {what}, so they tell nothing of chance"
    return (
        f"{model}: over {spread.seeds} seeds mean {what} is {spread.mean:.4g} on average, "
        f"with a standard deviation of {spread.sd:.2g}"
    )


def stopped_line(seeds: OtherSeeds, count: int) -> str:
    """What is known of a run whose other seeds somebody stopped."""
    done = min((len(each) for each in seeds.seeds.values()), default=1)
    return f"The run was stopped by the user after {done} of {count} seeds; it is recorded with {_these(done)}."


def _these(done: int) -> str:
    return "this one" if done == 1 else "these"


def report_failures(seeds: OtherSeeds, count: int) -> None:
    """Says on stderr which seeds gave nothing, and why; the user's own traceback once."""
    failures = [each for each in seeds.failures if each.type != "Stopped"]
    sys.stdout.flush()
    if failures and failures[0].traceback:
        print(failures[0].traceback.rstrip(), file=sys.stderr)
    for each in failures:
        print(f"error: seed {each.nth} of {count} {told_seeds(each.seeds)}: {each.message}", file=sys.stderr)
