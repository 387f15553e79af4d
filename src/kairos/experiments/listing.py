"""Runs chosen, sorted and shown by what they say of themselves: a question becomes one statement of SQLite.

What was typed reaches SQLite as bound values only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from sqlite3 import Connection
from typing import Any

from kairos.errors import UsageError, did_you_mean
from kairos.experiments import index as types
from kairos.experiments.filter import Both, Condition, Either, Is, Not
from kairos.experiments.index import RunIndex, microseconds, moment_of
from kairos.values import parse_moment

__all__ = ["FIELDS", "ListedRun", "list_runs"]

FIELDS = {
    "run": "run",
    "status": "status",
    "started": "started",
    "ended": "ended",
    "window": "window",
    "by": "actor",
    "models": "models",
    "commit": "code",
    "branch": "branch",
    "failure": "failure",
}
"""What each run has by itself, and its column."""
_TIMES = ("started", "ended")
_STATUSES = ("finished", "failed", "running", "dead")
"""The last two are of runs that are no facts yet: see ``experiments.unended``."""
_PARTS = ("metrics", "params", "tags")
_LITERALS = {"true": (types.BOOLEAN, 1), "false": (types.BOOLEAN, 0), "none": (types.NOTHING, 0)}
_ORDERS = ("<", "<=", ">", ">=")

Bound = list[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRun:
    """One run as a list shows it."""

    run: str
    status: str
    started_at: datetime
    ended_at: datetime
    window: str
    actor: str
    models: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    """What was asked for by name, under the name as it was asked; a run that lacks it has no such key. Numbers, text,
    booleans, ``None`` and moments; of tuples and lists what Python prints."""


@dataclass(frozen=True, slots=True)
class _Named:
    """What a name is about: a field's column, or the number of a metric, param or tag."""

    column: str | None = None
    id: int = -1


def list_runs(
    index: RunIndex,
    *,
    where: Condition | None = None,
    sort: str | None = None,
    descending: bool = False,
    count: int | None = None,
    columns: Iterable[str] = (),
    trials: bool = True,
) -> list[ListedRun]:
    """Runs in the order that was asked for; by default the one that ended last comes first.

    Args:
        index: Of a ledger; it follows first.
        where: Which; ``None``: all.
        sort: By which field, metric, param or tag, from the smallest; runs without it, or with NaN, come last.
        descending: From the largest.
        count: So many at most.
        columns: Names of what is to be told of each.
        trials: Whether runs of studies are among them.

    Raises:
        UsageError: a name is not known, or known of metrics and params both; a value does not fit its name.
    """
    connection = index.follow()
    names = _Names(connection)
    clause, bound = ("1", []) if where is None else _where(where, names)
    if not trials and (study := names.find("tags", "study")) is not None:
        clause, bound = f"({clause}) AND runs.n NOT IN (SELECT run FROM told WHERE name = ?)", [*bound, study]
    order, joined, first = "", "", []  # type: tuple[str, str, Bound]
    if sort is not None:
        named = names.get(sort)
        way = "DESC" if descending else "ASC"
        if named.column is not None:
            order = f"runs.{named.column} {way}, "
        else:
            first = [named.id]
            joined = f"LEFT JOIN told s ON s.run = runs.n AND s.name = ? AND s.type != {types.NUMBER_NOT}"
            order = f"s.value IS NULL, s.type {way}, s.value {way}, "
    latest = "ASC" if sort is None and descending else "DESC"
    rows = connection.execute(
        f"SELECT n, runs.run, status, started, ended, window, actor, models FROM runs {joined} WHERE {clause} "
        f"ORDER BY {order}runs.ended {latest}, runs.n {latest} LIMIT ?",
        [*first, *bound, -1 if count is None else count],
    ).fetchall()
    metrics = _told(connection, [row[0] for row in rows], "metrics")
    wanted = {name: names.get(name) for name in columns}
    told = {name: _column(connection, named, [row[0] for row in rows]) for name, named in wanted.items()}
    return [
        ListedRun(
            run=run,
            status=status,
            started_at=moment_of(started),
            ended_at=moment_of(ended),
            window=window,
            actor=actor,
            models=tuple(models.split()),
            metrics=metrics.get(n, {}),
            columns={name: values[n] for name, values in told.items() if n in values},
        )
        for n, run, status, started, ended, window, actor, models in rows
    ]


class _Names:
    """What can be named in a ledger's runs."""

    def __init__(self, connection: Connection) -> None:
        self._known: dict[str, dict[str, int]] = {part: {} for part in _PARTS}
        for number, part, name in connection.execute("SELECT id, part, name FROM names"):
            self._known.setdefault(part, {})[name] = number

    def get(self, name: str) -> _Named:
        """What it is about; ``params.``, ``metrics.`` and ``tags.`` before a name say which is meant.

        Raises:
            UsageError: nothing, or more than one thing.
        """
        if name in FIELDS:
            return _Named(column=FIELDS[name])
        part, _, rest = name.partition(".")
        if part in self._known and rest in self._known[part]:
            return _Named(id=self._known[part][rest])
        found = [part for part in _PARTS if name in self._known[part]]
        if len(found) > 1:
            raise UsageError(
                f"Runs have {name!r} more than once.", accepted=", ".join(f"{part}.{name}" for part in found)
            )
        if not found:
            self._refuse(name)
        return _Named(id=self._known[found[0]][name])

    def find(self, part: str, name: str) -> int | None:
        """The number of a metric, param or tag; ``None``: no run has it."""
        return self._known.get(part, {}).get(name)

    def _refuse(self, name: str) -> None:
        shown = [f"{part}: {', '.join(sorted(names)[:30])}" for part, names in self._known.items() if names]
        known = [*FIELDS, *(name for names in self._known.values() for name in names)]
        known += [f"{part}.{name}" for part, names in self._known.items() for name in names]
        raise UsageError(
            f"No run has {name!r}.",
            accepted="; ".join([f"fields: {', '.join(FIELDS)}", *shown]),
            hint=did_you_mean(name, known) or _ending(name, known),
        )


def _ending(name: str, known: Iterable[str]) -> str | None:
    """A name that is the end of a known one: ``absolute_error`` is said of one model only."""
    found = [each for each in known if each.endswith(f".{name.rpartition('.')[2]}")]
    return f"Did you mean {found[0]!r}?" if found else None


def _where(condition: Condition, names: _Names) -> tuple[str, Bound]:
    match condition:
        case Is():
            named = names.get(condition.name)
            return _field(condition, named.column) if named.column is not None else _value(condition, named.id)
        case Not():
            clause, bound = _where(condition.part, names)
            return f"NOT ({clause})", bound
        case Both() | Either():
            parts = [_where(part, names) for part in condition.parts]
            word = " AND " if isinstance(condition, Both) else " OR "
            return f"({word.join(clause for clause, _ in parts)})", [each for _, bound in parts for each in bound]


def _field(asked: Is, column: str) -> tuple[str, Bound]:
    if asked.name in _TIMES:
        if asked.operator == "~":
            raise _unfit(asked, "a moment has an order, and holds no text: = != < <= > >=")
        return f"runs.{column} {asked.operator} ?", [microseconds(parse_moment(asked.value))]
    if asked.name == "status" and asked.operator in ("=", "!=") and asked.value not in _STATUSES:
        raise UsageError(
            "No run has this status.",
            given=asked.value,
            accepted=", ".join(_STATUSES),
            hint=did_you_mean(asked.value, _STATUSES),
        )
    if asked.operator in _ORDERS:
        raise _unfit(asked, "text has no order here: = != ~")
    if asked.operator == "~":
        return f"instr(runs.{column}, ?) > 0", [asked.value]
    return f"runs.{column} {asked.operator} ?", [asked.value]


def _value(asked: Is, name: int) -> tuple[str, Bound]:
    """Only runs that have the value are compared; ``!=`` is true of those that have another one."""
    mine = "runs.n IN (SELECT run FROM told WHERE name = ? AND"
    kind, value = _literal(asked)
    if asked.operator == "~":
        return f"{mine} type IN ({types.TEXT}, {types.OTHER}) AND instr(value, ?) > 0)", [name, asked.value]
    if asked.operator in _ORDERS:
        if kind != types.NUMBER:
            raise _unfit(asked, "a number, as in < 40")
        return f"{mine} type = ? AND value {asked.operator} ?)", [name, kind, value]
    kinds = f"({types.TEXT}, {types.OTHER})" if kind == types.TEXT else f"({kind})"
    same = f"type IN {kinds} AND value = ?"
    return f"{mine} {same if asked.operator == '=' else f'NOT ({same})'})", [name, value]


def _literal(asked: Is) -> tuple[int, object]:
    """The type that the value was written in: ``7`` is a number, ``"7"`` is text, ``none`` is ``None``."""
    if asked.is_quoted:
        return types.TEXT, asked.value
    if asked.value.lower() in _LITERALS:
        return _LITERALS[asked.value.lower()]
    try:
        number = float(asked.value)
    except ValueError:
        return types.TEXT, asked.value
    return (types.NUMBER_NOT, 0) if math.isnan(number) else (types.NUMBER, number)


def _unfit(asked: Is, accepted: str) -> UsageError:
    return UsageError(
        f"{asked.name!r} cannot be compared so.", given=f"{asked.operator} {asked.value}", accepted=accepted
    )


def _told(connection: Connection, runs: list[int], part: str) -> dict[int, dict[str, Any]]:
    """By run, all that it tells of a part."""
    told: dict[int, dict[str, Any]] = {}
    for chunk in _chunks(runs):
        rows = connection.execute(
            f"SELECT run, names.name, type, value FROM told JOIN names ON names.id = told.name "
            f"WHERE run IN ({', '.join('?' * len(chunk))}) AND part = ? ORDER BY run, names.name",
            [*chunk, part],
        )
        for run, name, kind, value in rows:
            told.setdefault(run, {})[name] = _shown(kind, value)
    return told


def _column(connection: Connection, named: _Named, runs: list[int]) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for chunk in _chunks(runs):
        marks = ", ".join("?" * len(chunk))
        if named.column is None:
            query = f"SELECT run, type, value FROM told WHERE run IN ({marks}) AND name = ?"
            found |= {run: _shown(kind, value) for run, kind, value in connection.execute(query, [*chunk, named.id])}
        else:
            is_time = named.column in _TIMES
            query = f"SELECT n, {named.column} FROM runs WHERE n IN ({marks})"
            rows = connection.execute(query, chunk)
            found |= {run: moment_of(value) if is_time else value for run, value in rows if value != ""}
    return found


def _chunks(runs: list[int], size: int = 500) -> Iterable[list[int]]:
    return (runs[start : start + size] for start in range(0, len(runs), size))


def _shown(kind: int, value: Any) -> Any:
    match kind:
        case types.NOTHING:
            return None
        case types.BOOLEAN:
            return bool(value)
        case types.NUMBER_NOT:
            return math.nan
        case _:
            return value
