"""Is what went wrong named first? Streams with one known trouble, of any strength, length and traffic.

Beside it: the input whose distribution moved most (largest stability index of the bad days against the good ones), as a
ranking of drifted inputs names it. That is right if it is the input at fault, or if none is and none reaches 0.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from benchmarks.decisions.report import Row, main
from kairos.monitor.causes.cause import Causes
from kairos.monitor.causes.decide import find_causes
from kairos.monitor.causes.evidence import CauseEvidence, Difference, Event, Kind, Rows
from kairos.monitor.days import day_start
from kairos.stats.bins import CategoryBins, NumberBins
from kairos.stats.psi import psi
from kairos.testing.troubles import TROUBLES, Trouble, TroubledStream, troubled_stream

__all__ = ["EXPECTED", "Drawn", "draw", "is_named_first", "seen"]

EXPECTED: dict[Trouble, tuple[Kind | None, str | None]] = {
    "none": (None, None),
    "unit": ("unit", "temperature"),
    "missing": ("missing", "wind"),
    "gone": ("schema", "wind"),
    "unseen": ("unseen", "station"),
    "mix": ("mix", "station"),
    "shift": ("shift", "temperature"),
    "concept": ("concept", None),
    "deployment": ("deployment", None),
    "labels": ("labels", None),
    "serving": ("serving", None),
}
"""What has to be named first, and the input at fault."""

_DAY_ZERO = 15_000
_WORTH_A_LINE = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One stream, with what the ledger would tell about it."""

    stream: TroubledStream
    events: tuple[Event, ...]
    """A routine deployment some days before, and the bad one where that is the trouble."""
    until: datetime


def draw(trouble: Trouble, seed: int) -> Drawn:
    """8 to 39 good days, 2 to 14 bad ones, 24 to 200 requests a day, and 0.5 to 1.5 of the usual strength."""
    rng = np.random.default_rng([seed, TROUBLES.index(trouble)])
    first = int(rng.integers(8, 40))
    days = first + int(rng.integers(2, 15))
    per_day, strength = int(rng.choice([24, 48, 96, 200])), float(rng.uniform(0.5, 1.5))
    stream = troubled_stream(trouble, seed=seed, first=first, days=days, rows_per_day=per_day, strength=strength)
    routine = day_start(_DAY_ZERO + first - int(rng.integers(4, first - 2)))
    params = (Difference(kind="params", what="param demand.max_iter 100 -> 150"),)
    events = [_event(1, routine + timedelta(hours=8), params)]
    if trouble == "deployment":
        events.append(_event(2, day_start(_DAY_ZERO + first) + timedelta(hours=float(rng.uniform(0, 12))), ()))
    return Drawn(stream=stream, events=tuple(events), until=day_start(_DAY_ZERO + days))


def _event(version: int, at: datetime, differences: tuple[Difference, ...]) -> Event:
    return Event(
        at=at,
        seq=version,
        version=f"demand@{version}",
        before=f"demand@{version - 1}" if version > 1 else None,
        what=f"demand@{version} went live",
        differences=differences,
    )


def seen(drawn: Drawn) -> Causes:
    """What a search for causes makes of it."""
    stream = drawn.stream
    return find_causes(
        CauseEvidence(
            model="demand",
            as_of=drawn.until,
            symptom="loss",
            named="mean absolute error",
            rows=Rows(
                day=stream.day + _DAY_ZERO,
                value=np.abs(stream.output - stream.label),
                inputs=stream.inputs,
                output=stream.output,
                label=stream.label,
            ),
            events=drawn.events,
            slices=frozenset({"station"}),
        )
    )


def is_named_first(trouble: Trouble, causes: Causes) -> bool:
    """Whether the trouble is the first cause, in time, and with its input; of none, whether nothing is."""
    kind, column = EXPECTED[trouble]
    first = causes.first
    if kind is None:
        return first is None and causes.since is None
    return first is not None and first.is_timely and (first.kind, first.column) == (kind, column)


def drift_names(stream: TroubledStream) -> str | None:
    """The input that moved most, if its stability index is worth a line."""
    is_bad, found = stream.day >= stream.first, {}
    for name, values in stream.inputs.items():
        bins = NumberBins.fit(values[~is_bad]) if values.dtype.kind == "f" else CategoryBins.fit(values[~is_bad])
        found[name] = psi(*(bins.fold(bins.counts(values[part])) for part in (~is_bad, is_bad)))
    name = max(sorted(found), key=lambda one: found[one])
    return name if found[name] >= _WORTH_A_LINE else None


def simulate(runs: int) -> Sequence[Row]:
    """A line for each trouble."""
    rows = []
    for trouble in TROUBLES:
        drawn = [draw(trouble, seed) for seed in range(runs)]
        causes = [seen(one) for one in drawn]
        named = sum(is_named_first(trouble, one) for one in causes)
        drifted = sum(drift_names(one.stream) == EXPECTED[trouble][1] for one in drawn)
        for who, hits in (("kairos why", named), ("input that drifted most", drifted)):
            rows.append(Row(table="named first", case=trouble, who=who, figure="right", value=f"{hits} of {runs}"))
        risen = sum(one.since is not None for one in causes)
        rows.append(Row(table="named first", case=trouble, who="kairos why", figure="rise seen", value=str(risen)))
    return rows


if __name__ == "__main__":
    raise SystemExit(main("What went wrong, named first", simulate, runs=200))
