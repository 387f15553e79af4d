"""The decision: when it got worse, what changed around that time, and which of it accounts for how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

import numpy as np

from kairos.monitor.causes.blame import Blame, blame
from kairos.monitor.causes.cause import Cause, Causes
from kairos.monitor.causes.columns import ColumnChange, column_change, recounted, unit_of
from kairos.monitor.causes.evidence import KINDS, CauseEvidence, Event, Kind, Rows
from kairos.monitor.days import day_number, day_start
from kairos.stats.split import split_means
from kairos.values import Interval

__all__ = ["find_causes"]

_MOST_COLUMNS = 4
"""Inputs that are weighed against each other; of the others only that they moved is told."""
_BINS = {0: 5, 1: 5, 2: 4}
_PROVEN = 0.05
_LOOK_AFTER = 14
"""Days after the rise that are looked at: what came later is another story."""
_EARLY = 7
"""Days before the rise at which an input may have moved and still have brought it about."""
_EVENT_BEFORE = 2
"""The same for a version, whose errors begin with its first answer. The day of a rise is known to a day or so."""
_UNTIMELY = 0.3
"""What a share counts for if the change came at the wrong time."""
_LEAST_OUTPUT = 0.25
"""Standard deviations by which answers have to move before they are called other answers."""


def find_causes(evidence: CauseEvidence) -> Causes:
    """Ranks what changed by how much of the rise it accounts for and by whether it came in time.

    Inputs are blamed for what comes of rows being elsewhere (``kairos.stats.mix``). The rest, the same rows having
    become worse, goes to the version that began to answer then; or else to labels in another unit, to answers that
    changed though neither inputs nor version did, or, without any of that, to a world that changed.
    """
    rows = evidence.rows
    onset = _onset(rows, evidence.not_before)
    if onset is None:
        return _without_rise(evidence)
    rows = _until(rows, onset + _LOOK_AFTER)
    columns = _moved(rows, onset)
    suspects = _suspects(columns, rows, onset)
    parted = blame(suspects, value=rows.value, day=rows.day, first=onset)
    found = _of_columns(columns, parted, onset, evidence.slices)
    found += _of_rest(evidence, rows, onset, parted, suspects)
    return Causes(
        model=evidence.model,
        as_of=evidence.as_of,
        named=evidence.named,
        since=day_start(onset),
        before=parted.before,
        after=parted.after,
        causes=tuple(sorted(found, key=_order)),
        reference=evidence.reference,
        rows=rows.value.size,
        days=int(np.unique(rows.day).size),
        column=evidence.column,
    )


def _onset(rows: Rows, not_before: int | None) -> int | None:
    """The first day of the rise of the daily means, if there is a rise."""
    days, index = np.unique(rows.day, return_inverse=True)
    if not days.size:
        return None
    means = np.bincount(index, weights=rows.value) / np.bincount(index)
    earliest = 0 if not_before is None else int(np.searchsorted(days, not_before))
    split = split_means(means, least=1, earliest=earliest, rises=True)
    return None if split is None or split.p_value > _PROVEN else int(days[split.first])


def _until(rows: Rows, end: int) -> Rows:
    kept = rows.day < end
    return Rows(
        day=rows.day[kept],
        value=rows.value[kept],
        inputs={name: values[kept] for name, values in rows.inputs.items()},
        output=rows.output[kept],
        label=rows.label[kept],
    )


def _moved(rows: Rows, usual_until: int) -> list[ColumnChange]:
    """Inputs that moved, in the order of their names."""
    changes = [column_change(n, rows.inputs[n], rows.day, usual_until=usual_until) for n in sorted(rows.inputs)]
    return [change for change in changes if change is not None]


def _suspects(columns: Sequence[ColumnChange], rows: Rows, onset: int) -> list[ColumnChange]:
    """The few inputs that account for most, each alone; in wider cells if there are several."""

    def alone(change: ColumnChange) -> tuple[float, str]:
        found = blame([change], value=rows.value, day=rows.day, first=onset).shares[change.name]
        return -found.estimate, change.name

    few = sorted(columns, key=alone)[:_MOST_COLUMNS]
    bins = _BINS.get(len(few), 3)
    return [recounted(c, rows.inputs[c.name], rows.day, usual_until=onset, bins=bins) for c in few]


def _of_columns(columns: Sequence[ColumnChange], parted: Blame, onset: int, slices: frozenset[str]) -> list[Cause]:
    return [
        Cause(
            kind=change.kind,
            what=f"{_called(change, slices)} {change.name!r} {change.what}",
            since=day_start(change.first),
            share=parted.shares.get(change.name),
            column=change.name,
            is_timely=_is_timely(change.first, onset),
        )
        for change in columns
    ]


def _called(change: ColumnChange, slices: frozenset[str]) -> str:
    return "slice" if change.kind == "mix" and change.name in slices else "input"


def _of_rest(
    evidence: CauseEvidence, rows: Rows, onset: int, parted: Blame, columns: Sequence[ColumnChange]
) -> list[Cause]:
    """Who answers for rows that became worse where they are: a new version, or what is left when there was none."""
    near = [event for event in evidence.events if onset - _EVENT_BEFORE <= day_number(event.at) <= onset + 1]
    guilty = near[-1] if near else None
    found = [
        cause for event in evidence.events if event is not guilty for cause in _of_event(event, None, is_timely=False)
    ]
    rest, total = parted.rest, parted.after - parted.before
    if guilty is not None:
        share = rest if guilty.effect is None else _part(guilty.effect, total, rest.level)
        found += _of_event(guilty, share, is_timely=True)
        if guilty.effect is None:
            return found
        left = rest.estimate - share.estimate
        rest = Interval(estimate=left, lower=rest.lower - share.upper, upper=rest.upper - share.lower, level=rest.level)
    return [*found, _of_world(evidence, rows, onset, rest, columns)]


def _of_event(event: Event, share: Interval | None, *, is_timely: bool) -> list[Cause]:
    """What came with a version; the version itself if nothing else is known to have changed."""
    told = [(one.kind, f"{one.what} (came with {event.version}: {event.what})") for one in event.differences]
    return [
        Cause(
            kind=kind,
            what=what,
            since=event.at,
            share=share,
            version=event.version,
            seq=event.seq,
            is_timely=is_timely,
            together=max(1, len(told)),
        )
        for kind, what in told or [("deployment", event.what)]
    ]


def _of_world(
    evidence: CauseEvidence, rows: Rows, onset: int, share: Interval, columns: Sequence[ColumnChange]
) -> Cause:
    """Neither inputs nor versions: the labels' unit, the answers, or the world."""
    is_after = rows.day >= onset
    unit = unit_of(rows.label[~is_after], rows.label[is_after])
    if unit is not None:
        name = "" if unit.name is None else f" ({unit.name})"
        kind, what = "labels", f"labels look like {unit.formula} of what they were{name}"
    elif evidence.symptom in ("impossible", "output") or _answers_moved(rows, onset, columns):
        kind = "serving"
        what = "the same version answers the same captured inputs differently, and the ledger does not tell why"
    else:
        means = [float(rows.label[part].mean()) for part in (~is_after, is_after)]
        kind = "concept"
        what = f"the same inputs have other truths than before (mean label {means[1]:.4g}, before: {means[0]:.4g})"
    return Cause(kind=cast("Kind", kind), what=what, since=day_start(onset), share=share)


def _answers_moved(rows: Rows, onset: int, columns: Sequence[ColumnChange]) -> bool:
    """Whether answers moved by more than their inputs account for."""
    known = np.isfinite(rows.output)
    is_after = rows.day[known] >= onset
    if not rows.inputs or min(int((~is_after).sum()), int(is_after.sum())) < 2:
        return False
    few = [replace(change, cells=change.cells[known]) for change in columns]
    parted = blame(few, value=rows.output[known], day=rows.day[known], first=onset)
    spread = float(rows.output[known][~is_after].std())
    moved = abs(parted.rest.estimate * (parted.after - parted.before)) if parted.after != parted.before else 0.0
    return moved >= _LEAST_OUTPUT * spread and moved > 1e-12


def _without_rise(evidence: CauseEvidence) -> Causes:
    """Nothing got worse that could be parted: what moved, the finding's own input first, and what was deployed."""
    rows = evidence.rows
    days = np.unique(rows.day)
    usual = int(days[days.size // 2]) if evidence.not_before is None and days.size else evidence.not_before or 0
    found = [
        Cause(
            kind=change.kind,
            what=f"input {change.name!r} {change.what}",
            since=day_start(change.first),
            share=None,
            column=change.name,
        )
        for change in sorted(_moved(rows, usual), key=lambda c: (c.name != evidence.column, -c.moved, c.name))
    ]
    for event in evidence.events:
        found += _of_event(event, None, is_timely=True)
    return Causes(
        model=evidence.model,
        as_of=evidence.as_of,
        named=evidence.named,
        since=None,
        before=None,
        after=None,
        causes=tuple(found),
        reference=evidence.reference,
        rows=rows.value.size,
        days=int(days.size),
        column=evidence.column,
    )


def _part(effect: tuple[float, float, float], total: float, level: float) -> Interval:
    estimate, lower, upper = (one / total for one in effect)
    return Interval(estimate=estimate, lower=lower, upper=upper, level=level)


def _is_timely(day: int, onset: int) -> bool:
    return onset - _EARLY <= day <= onset + 1


def _order(cause: Cause) -> tuple[float, int, datetime, str]:
    """By what it accounts for, less if it came at the wrong time; then the further upstream, then the earlier."""
    share = -1.0 if cause.share is None else cause.share.estimate * (1.0 if cause.is_timely else _UNTIMELY)
    return -round(share, 2), KINDS.index(cause.kind), cause.since, cause.what
