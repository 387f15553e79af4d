"""How often a rollout is decided wrongly, and how quick it is, beside the rules that others use.

Three tables: harmless versions taken back, versions at the limit let through, and a canary of four hours under six
rules. ``--runs`` says how many rollouts are simulated for each figure.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from benchmarks.decisions.canary_rules import RULES, Minutes, first
from kairos.delivery.rollout import RolloutPolicy
from kairos.delivery.rollout.deciding import decide
from kairos.delivery.rollout.harm import alarms
from kairos.delivery.rollout.proof import allowed_rate
from kairos.testing.rollouts import RAMP, SimulatedRollouts, Traffic, daily_swing, incidents, simulate, steady

__all__ = ["main"]

ALPHA = 0.05
POLICY = RolloutPolicy(min_dwell=timedelta(0), min_canary_requests=0, critical=())
HARM = np.array([1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0])
SAFETY = 1 / np.array([1.25, 1.5, 2.0, 3.0, 5.0])
SCENARIOS = {"steady": steady, "daily swing": daily_swing, "incidents": incidents}
TICKS = sum(ticks for _, ticks in RAMP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One simulated figure."""

    table: str
    case: str
    who: str
    share: float
    """Of the rollouts: decided so at some look."""
    median: float | None
    """Of those, when; in the unit of the table."""
    promised: float | None
    """The share is at most this."""


def mean_log(paths: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Log of the mean of e-values given by their logarithms."""
    return np.asarray(np.logaddexp.reduce(paths) - np.log(len(paths)))


def taken_back(found: SimulatedRollouts) -> NDArray[np.int64]:
    """The tick at which each rollout is taken back, and the number of ticks if never; shape (runs,)."""
    limits = {alarm.name: alarm.log_limit for alarm in alarms(POLICY, found.evidence(0, 0))}
    margins = [mean_log(found.ratio_path(name, 1.0, HARM)) - limits[name] for name in found.shared]
    looks = first(np.max(margins, axis=0) >= 0)
    for run in np.flatnonzero(looks < len(found.shares))[:200]:  # the decision itself, where it is made
        look = int(looks[run])
        decision = decide(POLICY, "canary", float(found.shares[look]), found.evidence(int(run), look))
        if decision.action != "rollback":
            raise AssertionError("what was computed for all rollouts is not what is decided")
    return looks


def harmless(runs: int, rng: np.random.Generator) -> Iterator[Row]:
    """Five guards that depend on each other, over the whole ramp, looked at after every tick."""
    for name, scenario in SCENARIOS.items():
        found = simulate(rng, traffic=Traffic(), busy=scenario(rng, runs, TICKS))
        yield _row("harmless, taken back within the ramp (ticks)", name, taken_back(found), TICKS, promised=ALPHA)


def at_the_limit(runs: int, rng: np.random.Generator) -> Iterator[Row]:
    """Bad events as frequent as a step does not allow; the worst of the guards, each left alone to see it."""
    for step, (share, _) in enumerate(RAMP, start=1):
        ratio = POLICY.demand(share).max_ratio
        ticks = sum(ticks for _, ticks in RAMP[:step])
        traffic = Traffic(per_tick=10_000, ratio=ratio)
        found = simulate(rng, plan=RAMP[:step], traffic=traffic, busy=steady(rng, runs, ticks))
        here, worst = found.shares == share, np.zeros(runs, dtype=bool)
        for guard in found.evidence(0, ticks - 1).guards:
            rate = allowed_rate(POLICY, share, found.evidence(0, ticks - 1), guard)
            paths = [*found.ratio_path(guard.name, ratio, ratio * SAFETY), found.rate_path(guard.name, rate)]
            gone = (mean_log(paths)[:, here] >= math.log(1 / ALPHA)).any(axis=1)
            worst = gone if gone.sum() > worst.sum() else worst
        yield Row(
            table="at the limit of a step, let through",
            case=f"{share:.0%}, {ratio:g} times the bad events",
            who="kairos",
            share=float(worst.mean()),
            median=None,
            promised=ALPHA,
        )


def four_hours(runs: int, rng: np.random.Generator) -> Iterator[Row]:
    """A canary of 5 % for four hours, 600 requests a minute, 0.5 % of the champion's answers are errors."""
    table = "canary of 5 % for four hours, taken back (minutes)"
    for ratio in (1.0, 1.5, 2.0, 5.0):
        traffic = Traffic(per_tick=600, error_rate=0.005, ratio=ratio, tick=timedelta(minutes=1))
        found = simulate(rng, plan=((0.05, 240),), traffic=traffic, busy=steady(rng, runs, 240))
        by_shares, by_pairs = found.ratio_path("errors", 1.0, HARM)
        ours = {"kairos, by shares alone": by_shares, "kairos, by pairs and shares": mean_log([by_shares, by_pairs])}
        seen = Minutes(
            canary=found.asked[0],
            canary_bad=found.shared["errors"][0],
            champion=found.asked[1],
            champion_bad=found.shared["errors"][1],
        )
        case, promised = f"{ratio:g} times the errors", ALPHA if ratio == 1 else None
        for who, path in ours.items():
            yield replace(_row(table, case, first(path >= math.log(1 / ALPHA)), 240, promised=promised), who=who)
        for who, rule in RULES.items():
            yield replace(_row(table, case, rule(seen), 240, promised=None), who=who)


def _row(table: str, case: str, at: NDArray[np.int64], never: int, *, promised: float | None) -> Row:
    back = at[at < never]
    median = float(np.median(back)) + 1 if back.size else None
    return Row(table=table, case=case, who="kairos", share=len(back) / len(at), median=median, promised=promised)


def main(arguments: list[str] | None = None) -> int:
    """Prints the tables; 1 if a rate is above its promise by more than three standard errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="only see whether it works; the figures mean nothing")
    args, _ = parser.parse_known_args(arguments)  # options of other benchmarks are not for this one
    runs, rng, rows = 40 if args.quick else args.runs, np.random.default_rng(args.seed), list[Row]()
    for table in (harmless, at_the_limit, four_hours):
        for row in table(runs, rng):
            rows.append(row)
            if not args.json:
                _print(row, is_new=len(rows) == 1 or rows[-2].table != row.table)
    if args.json:
        print(json.dumps({"runs": runs, "figures": [asdict(row) for row in rows]}, indent=2))
    allowed = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)
    broken = [row.case for row in rows if row.promised is not None and row.share > allowed]
    if broken and not args.quick:
        print(f"error: above what is promised: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken and not args.quick else 0


def _print(row: Row, *, is_new: bool) -> None:
    if is_new:
        print(f"\n{row.table}\n  {'case':38} {'who':54} {'share':>7} {'median':>7} {'promised':>9}")
    median = "" if row.median is None else f"{row.median:.0f}"
    promised = "" if row.promised is None else f"{row.promised:.3f}"
    print(f"  {row.case:38} {row.who:54} {row.share:7.4f} {median:>7} {promised:>9}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
