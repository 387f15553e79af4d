"""What came with a version: how its run, and what it was trained on, differ from those of the version before it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kairos.experiments.compare import Change, compare
from kairos.experiments.ports import RunRecord
from kairos.models.profile import ColumnProfile, Profile
from kairos.monitor.causes.evidence import KINDS, Difference
from kairos.stats.units import unit_change

__all__ = ["profile_differences", "run_differences"]

_FEWER = 0.5
"""Rows of training, relative to before, below which (or beyond its inverse) the data is not what it was."""
_MISSING, _UNSEEN = 0.02, 0.01
_MOST_LIBRARIES = 5


def run_differences(
    before: RunRecord, after: RunRecord, *, libraries: tuple[Mapping[str, str], Mapping[str, str]]
) -> tuple[Difference, ...]:
    """Code, params and libraries that are not the same; that the data is of another time is no news.

    Args:
        before: The run of the version that answered before.
        after: The run of the version that answers now.
        libraries: Of the two runs, name to version.
    """
    found = compare(before, after)
    steps = sorted(change.name.removeprefix("step ") for change in found.code if change.name.startswith("step "))
    differences = [Difference(kind="params", what=f"param {_changed(change)}") for change in found.params]
    if steps:
        where = f" ({_commits(before, after)})" if before.code.commit != after.code.commit else ""
        differences.append(Difference(kind="code", what=f"code of {', '.join(steps)}{where}"))
    old, new = libraries
    names = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    told = [f"{name} {old.get(name, 'not there')} -> {new.get(name, 'not there')}" for name in names]
    if told:
        more = f" and {len(told) - _MOST_LIBRARIES} more" if len(told) > _MOST_LIBRARIES else ""
        differences.append(Difference(kind="library", what=", ".join(told[:_MOST_LIBRARIES]) + more))
    return _sorted(differences)


def profile_differences(before: Profile, after: Profile) -> tuple[Difference, ...]:
    """What is odd about the later training data, beside the earlier: columns, units, missing and new values, rows.

    A distribution that moved is none of these: every training sees another stretch of time.
    """
    gone, come = (
        sorted(before.columns.keys() - after.columns.keys()),
        sorted(after.columns.keys() - before.columns.keys()),
    )
    differences = [Difference(kind="schema", what=f"column {name!r} is gone from the training data") for name in gone]
    differences += [Difference(kind="schema", what=f"column {name!r} is new in the training data") for name in come]
    pairs = [
        (f"column {name!r}", before.columns[name], after.columns[name])
        for name in sorted(before.columns)
        if name in after.columns
    ]
    for name, old, new in [*pairs, ("the target", before.target, after.target)]:
        differences += _column_differences(name, old, new)
    ratio = after.rows / max(before.rows, 1)
    if not _FEWER <= ratio <= 1 / _FEWER:
        differences.append(Difference(kind="data", what=f"trained on {after.rows} rows (before: {before.rows})"))
    return _sorted(differences)


def _column_differences(name: str, old: ColumnProfile, new: ColumnProfile) -> list[Difference]:
    if old.kind != new.kind:
        return [Difference(kind="schema", what=f"{name} is {new.kind} in the training data (before: {old.kind})")]
    found = []
    missing = [column.missing / max(sum(column.counts), 1) for column in (old, new)]
    if abs(missing[1] - missing[0]) >= _MISSING:
        what = f"{name} is missing in {missing[1]:.0%} of the training data (before: {missing[0]:.0%})"
        found.append(Difference(kind="missing", what=what))
    if old.quantiles and new.quantiles:
        unit = unit_change(np.asarray(old.quantiles), np.asarray(new.quantiles))
        if unit is not None:
            named = "" if unit.name is None else f" ({unit.name})"
            what = f"{name} in the training data looks like {unit.formula} of what it was{named}"
            found.append(Difference(kind="unit", what=what))
    fresh = [level for level in new.levels if level not in old.levels] if old.levels else []
    rows = sum(count for level, count in zip(new.levels, new.counts, strict=False) if level in fresh)
    if fresh and rows >= _UNSEEN * max(sum(new.counts), 1):
        shown = ", ".join(map(repr, fresh[:3]))
        found.append(Difference(kind="unseen", what=f"{name} has new levels in the training data: {shown}"))
    return found


def _changed(change: Change) -> str:
    if change.kind == "added":
        return f"{change.name} = {_shown(change.after)} is new"
    if change.kind == "removed":
        return f"{change.name} = {_shown(change.before)} is gone"
    return f"{change.name} {_shown(change.before)} -> {_shown(change.after)}"


def _shown(value: Any) -> str:
    try:
        return json.dumps(value)
    except TypeError:
        return str(value)


def _commits(before: RunRecord, after: RunRecord) -> str:
    names = [(record.code.commit or "no commit")[:10] for record in (before, after)]
    return f"commit {names[0]} -> {names[1]}"


def _sorted(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """The further upstream the earlier."""
    return tuple(sorted(differences, key=lambda one: KINDS.index(one.kind)))
