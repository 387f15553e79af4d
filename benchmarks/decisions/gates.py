"""How often the gate is wrong, in worlds where the truth is known: a table of rates beside what is promised.

``--runs`` says how often each world is drawn (slow ones a fifth as often).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.decisions.gate_worlds import WORLDS, rates
from kairos.gates.decide import decide
from kairos.gates.measure import measure
from kairos.gates.policy import GatePolicy, Margin
from kairos.gates.rows import GateRows

__all__ = ["FAMILIES", "blamed_slices", "lucky_versions", "main", "table"]

Row = tuple[str, int, int, float, float | None, float | None, float]
"""World, rows, runs, false passes, those of who is blind to dependence, false fails, and what is promised."""


def blamed_slices(runs: int, seed: int = 1) -> float:
    """Versions that are equal everywhere and fail for one of twenty overlapping slices."""
    columns = tuple("abcd")
    policy = GatePolicy(
        loss="absolute_error", slices=columns, margin=Margin.parse(0), discover=False, require="non_inferior"
    )
    random, blamed = np.random.default_rng(seed), 0
    for _ in range(runs):
        found = measure(_equal(random, 600, {name: random.integers(0, 5, 600) for name in columns}), policy)
        blamed += "slice" in decide(policy, found).sentence
    return blamed / runs


def lucky_versions(runs: int, seed: int = 1) -> float:
    """Holdouts on which one of ten versions passes as better, although all are as good as the champion."""
    policy = GatePolicy(loss="absolute_error", discover=False)
    random, passed = np.random.default_rng(seed), 0
    for _ in range(runs):
        truth, champion = np.zeros(200), 40 + 5 * random.standard_normal(200)
        for rank in range(1, 11):
            challenger = 40 + 5 * random.standard_normal(200)
            found = measure(GateRows(truth=truth, champion=champion, challenger=challenger, digest="0"), policy)
            if decide(policy, replace(found, rank=rank)).verdict == "pass":
                passed += 1
                break
    return passed / runs


def _equal(
    random: np.random.Generator, n: int, columns: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]]
) -> GateRows:
    """Two models whose losses differ by skewed noise."""
    champion = np.full(n, 60.0)
    challenger = champion - random.gamma(1.0, 2.0, n) + random.gamma(1.0, 2.0, n)
    return GateRows(truth=np.zeros(n), champion=champion, challenger=challenger, columns=columns, digest="0")


FAMILIES: dict[str, tuple[int, Callable[[int], float], float]] = {
    "any of twenty overlapping slices blamed": (600, blamed_slices, 0.05),
    "any of ten versions on one holdout passes": (200, lucky_versions, 0.055),
}
"""Rows, simulation, and what is promised."""


def table(runs: int, *, tell: Callable[[Row], None] = lambda row: None) -> list[Row]:
    """All rates; ``tell`` gets each row as soon as it is there."""
    rows: list[Row] = []
    for world in WORLDS:
        found = rates(world, runs)
        rows.append((world.name, world.rows, found.runs, found.too_high, found.blind, found.too_low, world.promised))
        tell(rows[-1])
    for name, (n, simulate, promised) in FAMILIES.items():
        rows.append((name, n, runs, simulate(runs), None, None, promised))
        tell(rows[-1])
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Prints the table; 1 if a rate is above its promise by more than five standard errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="only see whether it works; the figures mean nothing")
    args, _ = parser.parse_known_args(arguments)  # options of other benchmarks are not for this one
    runs = 10 if args.quick else args.runs
    if not args.json:
        print(f"{'world':52} {'rows':>5} {'runs':>6} {'passes':>7} {'blind':>6} {'fails':>6} {'promised':>8}")
    rows = table(runs, tell=(lambda row: None) if args.json else _print)
    if args.json:
        names = ("world", "rows", "runs", "passes", "blind", "fails", "promised")
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
    broken = [row[0] for row in rows if row[3] > row[6] + 5 * (row[6] * (1 - row[6]) / row[2]) ** 0.5]
    if broken and not args.quick:
        print(f"error: above what is promised: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken and not args.quick else 0


def _print(row: Row) -> None:
    name, n, runs, passes, blind, fails, promised = row
    shown = [f"{value:.3f}" if value is not None else "" for value in (passes, blind, fails)]
    print(f"{name:52} {n:5} {runs:6} {shown[0]:>7} {shown[1]:>6} {shown[2]:>6} {promised:8.3f}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
