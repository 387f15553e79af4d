"""A request's way through a list of layers: capture, guard, shadow, canary, live. Each wraps the next.

    Capture ─ writes every row down before an answer leaves
    └─ Guard ─ keeps outputs in range, asks another version where the first gave nothing usable
       └─ Shadow ─ notes which other versions owe a prediction of the same rows
          └─ Canary ─ the challenger answers for its share of keys
             └─ Live ─ the champion answers

A layer is given the request and the rows to answer, and gives back a ``Reply``. It keeps no state of its own; which
versions are loaded is part of the request. Requests that waited for the same model go this way together, as one;
``Request.spans`` says which rows belong to which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec
import numpy as np
from msgspec.structs import replace

from kairos.clock import Clock, ReplayClock
from kairos.errors import KairosError
from kairos.serving.cutoff import TimedOut
from kairos.serving.deployment import LoadedRoute, LoadedVersion, Role
from kairos.serving.guard import GuardAction
from kairos.serving.rows import told_rows
from kairos.serving.sticky import is_in_share

__all__ = [
    "Canary",
    "Guard",
    "Layer",
    "Live",
    "Named",
    "Outcome",
    "Owed",
    "Reply",
    "Request",
    "Shadow",
    "judge",
    "predict",
    "stack",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """One request, parsed, with the versions it met at the door; or several that go one way, one after the other."""

    route: LoadedRoute
    columns: Mapping[str, np.ndarray[Any, Any]]
    """The rows as the champion's signature read them."""
    ids: Sequence[str]
    """Prediction ids."""
    keys: Sequence[str]
    """What each row is routed by."""
    entities: Sequence[str | None]
    times: Sequence[datetime | None]
    """When each row is about; ``None`` where the request did not say."""
    at: datetime
    spans: Sequence[range]
    """The rows of each client's request, in order; together all rows."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one version gave for one row."""

    row: int
    version: LoadedVersion
    role: Role
    raw: float | None
    """The version's own output; ``None`` if it failed."""
    output: float | None = None
    """What may leave; set by the guard."""
    answered: bool = False
    """Whether this is what the user gets."""
    violation: str | None = None
    action: GuardAction | None = None
    error: str | None = None
    """Name of the error, without its message: that may hold a user's data."""
    latency_us: int = 0


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """A version that has not predicted these rows yet, and should once the answer is out."""

    version: LoadedVersion
    role: Role
    rows: tuple[int, ...]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request so far. Of the outcomes of a row at most one is ``answered``."""

    outcomes: tuple[Outcome, ...]
    owed: tuple[Owed, ...] = ()
    captured: bool = False
    """Whether the outcomes are on record."""


class Layer(Protocol):
    """Answers some rows of a request; safe to call from several threads."""

    def __call__(self, request: Request, rows: Sequence[int]) -> Reply:
        """Gives outcomes for ``rows``, positions in its columns. Never raises for what a model does."""
        ...


def stack(layers: Sequence[Callable[[Layer], Layer]], innermost: Layer) -> Layer:
    """Folds a list of layers, outermost first, around the innermost."""
    handler = innermost
    for wrap in reversed(layers):
        handler = wrap(handler)
    return handler


def predict(
    version: LoadedVersion, role: Role, request: Request, rows: Sequence[int], clock: Clock, *, answers: bool
) -> tuple[Outcome, ...]:
    """Lets one version predict rows of a request, in one call; if it fails, each client's rows are tried alone.

    So nobody's request fails because of what somebody else sent at the same moment.
    """
    outcomes = _predict(version, role, request, rows, clock, answers=answers)
    if outcomes[0].error in (None, TimedOut.__name__) or len(request.spans) == 1:
        return outcomes
    parts = [[row for row in rows if row in span] for span in request.spans]
    alone = [_predict(version, role, request, part, clock, answers=answers) for part in parts if part]
    return tuple(outcome for part in alone for outcome in part) if len(alone) > 1 else outcomes


def _predict(
    version: LoadedVersion, role: Role, request: Request, rows: Sequence[int], clock: Clock, *, answers: bool
) -> tuple[Outcome, ...]:
    start = clock.elapsed_s()
    values: Sequence[float | None]
    error: str | None = None
    try:
        values = _call(version, role, request, rows, clock)
    except Exception as failure:  # a model may raise anything; the user's answer then comes from another version
        if not isinstance(failure, KairosError):
            version.faults.tell(f"{version.ref} failed on a request", failure, at_s=start)
        values, error = [None] * len(rows), type(failure).__name__
    latency_us = round((clock.elapsed_s() - start) * 1e6)
    return tuple(
        Outcome(row=row, version=version, role=role, raw=value, answered=answers, error=error, latency_us=latency_us)
        for row, value in zip(rows, values, strict=True)
    )


def _call(
    version: LoadedVersion, role: Role, request: Request, rows: Sequence[int], clock: Clock
) -> Sequence[float | None]:
    """What the version gives. Where another one can answer for it, it is given up after its timeout."""
    columns, timeout = _columns(version, request, rows), version.policy.timeout
    is_alone = role == "champion" and request.route.previous is None
    if timeout is None or is_alone or isinstance(clock, ReplayClock):
        return version.predict(columns, len(rows))
    within_s = timeout.total_seconds()
    return version.cutoff.call(
        lambda: version.predict(columns, len(rows)), within_s=within_s, name=f"kairos-{version.ref}"
    )


def _columns(version: LoadedVersion, request: Request, rows: Sequence[int]) -> Mapping[str, np.ndarray[Any, Any]]:
    if version is request.route.champion or version.signature == request.route.champion.signature:
        if len(rows) == len(request.ids):
            return request.columns
        return {name: values[list(rows)] for name, values in request.columns.items()}
    known = set(version.signature.names)
    told = told_rows(request.columns, request.route.champion.signature)
    return version.signature.parse_rows([{k: v for k, v in told[i].items() if k in known} for i in rows])


class Live:
    """The champion answers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, request: Request, rows: Sequence[int]) -> Reply:
        """Outcomes of the champion."""
        champion = request.route.champion
        return Reply(outcomes=predict(champion, "champion", request, rows, self._clock, answers=True))


class Named:
    """The version that a request names answers, in the role it has; it stands in the champion's place of the route."""

    def __init__(self, clock: Clock, role: Role) -> None:
        self._clock = clock
        self._role = role

    def __call__(self, request: Request, rows: Sequence[int]) -> Reply:
        """Outcomes of that version."""
        version = request.route.champion
        return Reply(outcomes=predict(version, self._role, request, rows, self._clock, answers=True))


class Canary:
    """The challenger answers the rows whose key is in its share; the next layer answers the others."""

    def __init__(self, following: Layer, *, clock: Clock) -> None:
        self._next = following
        self._clock = clock

    def __call__(self, request: Request, rows: Sequence[int]) -> Reply:
        """Outcomes of both."""
        route = request.route
        if route.challenger is None or route.share <= 0.0:
            return self._next(request, rows)
        chosen = [row for row in rows if is_in_share(route.salt, request.keys[row], route.share)]
        if not chosen:
            return self._next(request, rows)
        outcomes = predict(route.challenger, "challenger", request, chosen, self._clock, answers=True)
        others = [row for row in rows if row not in set(chosen)]
        if not others:
            return Reply(outcomes=outcomes)
        reply = self._next(request, others)
        return replace(reply, outcomes=outcomes + reply.outcomes)


class Shadow:
    """Every loaded version predicts every row: those that did not are noted, to do it once the answer is out."""

    def __init__(self, following: Layer) -> None:
        self._next = following

    def __call__(self, request: Request, rows: Sequence[int]) -> Reply:
        """The reply of the next layer, with what is owed."""
        reply = self._next(request, rows)
        if len(request.route.versions) == 1 and len(reply.outcomes) == len(rows):
            return reply
        owed = []
        for role, version in request.route.versions:
            done = {outcome.row for outcome in reply.outcomes if outcome.version is version}
            missing = tuple(row for row in rows if row not in done)
            if missing:
                owed.append(Owed(version=version, role=role, rows=missing))
        return replace(reply, owed=reply.owed + tuple(owed))


class Guard:
    """Keeps what leaves in range. Where nothing of a version may leave, champion and previous are asked in turn.

    A client's request is answered as a whole: if nothing may leave for one row, no row of it is answered.
    """

    def __init__(self, following: Layer, *, clock: Clock) -> None:
        self._next = following
        self._clock = clock

    def __call__(self, request: Request, rows: Sequence[int]) -> Reply:
        """The reply of the next layer, judged."""
        reply = self._next(request, rows)
        outcomes = [judge(outcome) for outcome in reply.outcomes]
        asked: list[tuple[LoadedVersion, int]] = []
        for index, outcome in enumerate(tuple(outcomes)):
            if outcome.answered and outcome.output is None:
                rescue = self._rescue(request, outcome) if outcome.action != "refuse" else ()
                asked += [(found.version, found.row) for found in rescue]
                saved = any(found.answered for found in rescue)
                outcomes[index] = replace(outcome, answered=False, action="fallback" if saved else "refuse")
                outcomes += rescue
        answered = {outcome.row for outcome in outcomes if outcome.answered}
        if len(answered) < len(rows):
            lost = [span for span in request.spans if not answered.issuperset(span)]
            outcomes = [_withheld(o) if o.answered and any(o.row in span for span in lost) else o for o in outcomes]
        if not asked:
            return replace(reply, outcomes=tuple(outcomes))
        return replace(reply, outcomes=tuple(outcomes), owed=_without(reply.owed, asked))

    def _rescue(self, request: Request, lost: Outcome) -> tuple[Outcome, ...]:
        """Asks the versions that users had before, until one gives something that may leave."""
        tried: list[Outcome] = []
        for role, version in request.route.versions:
            if role == "challenger" or version is lost.version:
                continue
            found = judge(predict(version, role, request, [lost.row], self._clock, answers=True)[0])
            tried.append(found if found.output is not None else replace(found, answered=False, action=None))
            if found.output is not None:
                break
        return tuple(tried)


def judge(outcome: Outcome) -> Outcome:
    """Sets what may leave. Of a version that does not answer, only what is done to the value itself is an action."""
    if outcome.raw is None:
        return replace(outcome, action="fallback" if outcome.answered else None)
    judged = outcome.version.policy.guard.judge(outcome.raw)
    if judged.violation is None:
        return replace(outcome, output=outcome.raw)
    action = judged.action if outcome.answered or judged.action in ("clip", "flag") else None
    return replace(outcome, output=judged.output, violation=judged.violation, action=action)


def _withheld(outcome: Outcome) -> Outcome:
    """An outcome that could leave, in a request that is refused for another row's sake.

    ``refuse`` says that this version was to answer, which the split of users is counted by; a value that was clipped
    stays one, because it is no bad event.
    """
    return replace(outcome, answered=False, action="clip" if outcome.action == "clip" else "refuse")


def _without(owed: Sequence[Owed], asked: Sequence[tuple[LoadedVersion, int]]) -> tuple[Owed, ...]:
    left = []
    for debt in owed:
        done = {row for version, row in asked if version is debt.version}
        rows = tuple(row for row in debt.rows if row not in done)
        if rows:
            left.append(replace(debt, rows=rows))
    return tuple(left)
