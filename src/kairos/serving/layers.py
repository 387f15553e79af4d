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

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec.structs import replace

from kairos.clock import Clock
from kairos.serving.calling import predict
from kairos.serving.deployment import Role
from kairos.serving.outcomes import Owed, Reply, Request
from kairos.serving.sticky import is_in_share

__all__ = ["Canary", "Layer", "Live", "Named", "Shadow", "stack"]


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
        taken = set(chosen)
        others = [row for row in rows if row not in taken]
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
        if len(request.route.versions) == 1 and sum(map(len, reply.outcomes)) == len(rows):
            return reply
        owed = []
        for role, version in request.route.versions:
            done = {row for each in reply.outcomes if each.version is version for row in each.rows}
            missing = [row for row in rows if row not in done] if done else rows
            if missing:
                owed.append(Owed(version=version, role=role, rows=missing))
        return replace(reply, owed=reply.owed + tuple(owed))
