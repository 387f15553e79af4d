"""How much of what an oracle would have spared does each policy spare, with how many changes, and how many bad ones?

Run: ``python -m benchmarks.decisions.regret``. Made-up worlds, the bicycle rentals of the example, and those other real
streams whose folders are named (see ``streams_real``). ``--runs`` is the number of made-up streams of each kind. Models
that were fitted are kept between runs in the folder ``KAIROS_REGRET_KEEP``, if that is set; they are what takes long.

*Loss*: mean over all rows after the first model began. *Gain*: what a policy spares over never changing, as a share of
what the best schedule in hindsight spares; with an interval of 95 % over blocks of four weeks. *Changes*: versions that
went live. *Worse*: those that, while they were live, lost more than the version before them would have, by over 1 %.
*Proven*: those of them where that is not chance, day by day, at 5 %. Where the best schedule spares less than 2 %
there is nothing to gain; there the loss is told beside that of never changing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from benchmarks.decisions.regret_rivals import adwin, best_schedule, drift_alarm, never, point_gate, weekly
from benchmarks.decisions.report import Row, main
from benchmarks.decisions.streams import Floats
from benchmarks.decisions.streams_made import WORLDS, made_stream
from benchmarks.decisions.streams_real import real_streams
from benchmarks.decisions.streams_timed import Change, TimedStream, answering, lived
from kairos.app.backtest.loop import loop
from kairos.delivery.retrain.readings import mean_excess

__all__ = ["POLICIES", "Outcome", "follow", "simulate", "streams"]

POLICIES: Mapping[str, Callable[[TimedStream], list[Change]]] = MappingProxyType(
    {
        "kairos": loop,
        "every week, deploy": weekly,
        "drift alarm, deploy": drift_alarm,
        "every week, point gate": point_gate,
        "ADWIN, deploy": adwin,
    }
)
"""Those that are compared, beside never changing and the best schedule in hindsight."""

_MARGIN = 0.01
_NOTHING = 0.02
_WEEKS_OF_A_BLOCK = 4
_DRAWS = 1000
_FIRST_SEED = 100
"""The seeds below are those that the policy was thought out with."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What came of one policy on one stream."""

    losses: Floats
    """Of all rows from the start on, shape (n,)."""
    changes: int
    worse: int
    proven: int
    """Of these, those that are no chance."""


def follow(stream: TimedStream, schedule: Sequence[Change]) -> Outcome:
    """Lives through a stream."""
    worse = proven = 0
    for (before, _), (change, rows) in zip(answering(stream, schedule), answering(stream, schedule)[1:], strict=False):
        own, other = stream.losses(change.cut), stream.losses(before.cut)
        if rows.stop == rows.start or own[rows].mean() <= (1 + _MARGIN) * other[rows].mean():
            continue
        worse += 1
        first, last = float(stream.day[rows.start]), float(stream.day[rows.stop - 1]) + 1e-9
        sums, n = stream.daily(own, first, last)
        found = mean_excess(sums, stream.daily(other, first, last)[0], n)
        proven += found is not None and found.bound(0.95) > _MARGIN * float(other[rows].mean())
    return Outcome(losses=lived(stream, schedule), changes=len(schedule) - 1, worse=worse, proven=proven)


def streams(runs: int) -> Iterator[TimedStream]:
    """Made-up ones first, ``runs`` of each kind, of numbers and of classes; then real ones, unless ``runs`` is 1."""
    for world in WORLDS:
        for seed in range(_FIRST_SEED, _FIRST_SEED + runs):
            yield made_stream(world, seed, per_day=(24, 48, 120)[seed % 3], delay=(1.0, 7.0)[seed % 2])
            if seed % 2:
                yield made_stream(world, seed, per_day=200, classes=True)
    if runs > 1:
        yield from real_streams()


def simulate(runs: int) -> Iterator[Row]:
    """A line for each stream and policy, then sums over those made up and those observed."""
    total: dict[tuple[str, str], list[Outcome]] = {}
    shares: dict[tuple[str, str], list[float]] = {}
    for stream in streams(runs):
        kind = "observed" if stream.is_real else "made up"
        still, best = (follow(stream, policy(stream)) for policy in (never, best_schedule))
        is_worth = still.losses.mean() - best.losses.mean() > _NOTHING * still.losses.mean()
        yield from _lines(stream, "never", still, "")
        for name, policy in POLICIES.items():
            found = follow(stream, policy(stream))
            total.setdefault((kind, name), []).append(found)
            gain = "nothing to gain"
            if is_worth:
                share = _share(still.losses, found.losses, best.losses)
                shares.setdefault((kind, name), []).append(share)
                low, high = _interval(stream, still.losses, found.losses, best.losses)
                gain = f"{share:.2f} [{low:.2f}, {high:.2f}]"
            yield from _lines(stream, name, found, gain)
        yield from _lines(stream, "best in hindsight", best, "1.00" if is_worth else "")
    for (kind, name), outcomes in total.items():
        case, those = f"{kind}, {len(outcomes)} streams", shares.get((kind, name), [])
        for figure, value in _sums(outcomes, those, total[kind, "every week, deploy"]).items():
            yield Row(table="all streams", case=case, who=name, figure=figure, value=value)


def _lines(stream: TimedStream, who: str, found: Outcome, gain: str) -> Iterator[Row]:
    figures = {"loss": f"{found.losses.mean():.4g}", "gain": gain, "changes": str(found.changes)}
    figures |= {"worse": str(found.worse), "proven": str(found.proven)}
    for figure, value in figures.items():
        yield Row(table="streams", case=stream.name, who=who, figure=figure, value=value)


def _sums(outcomes: Sequence[Outcome], shares: Sequence[float], weekly_ones: Sequence[Outcome]) -> dict[str, str]:
    changes, of_weekly = (sum(one.changes for one in those) for those in (outcomes, weekly_ones))
    return {
        "median gain": f"{np.median(shares):.2f}" if shares else "",
        "least gain": f"{min(shares):.2f}" if shares else "",
        "at least 0.9": f"{sum(share >= 0.9 for share in shares)} of {len(shares)}",
        "changes": f"{changes} ({changes / max(of_weekly, 1):.0%} of weekly)",
        "worse": str(sum(one.worse for one in outcomes)),
        "proven": f"{(bad := sum(one.proven for one in outcomes))} ({bad / max(changes, 1):.1%})",
    }


def _share(still: Floats, found: Floats, best: Floats) -> float:
    return float((still.sum() - found.sum()) / (still.sum() - best.sum()))


def _interval(stream: TimedStream, still: Floats, found: Floats, best: Floats) -> tuple[float, float]:
    """Of the share, by drawing blocks of weeks with replacement; seed 0."""
    day = stream.day[stream.rows(stream.start, np.inf)]
    block = ((day - stream.start) // (7 * _WEEKS_OF_A_BLOCK)).astype(int)
    spared, possible = (np.bincount(block, weights=still - one) for one in (found, best))
    drawn = np.random.default_rng(0).integers(0, spared.size, size=(_DRAWS, spared.size))
    sums, most = spared[drawn].sum(axis=1), possible[drawn].sum(axis=1)
    low, high = np.quantile(sums[most > 0] / most[most > 0], [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    raise SystemExit(main("What changing the model spares, and costs", lambda n: list(simulate(n)), runs=3, quick=1))
