"""Requests of clients that wait to be answered, alone or together, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kairos.errors import Unavailable
from kairos.serving.deployment import LoadedRoute, Role
from kairos.serving.outcomes import Request
from kairos.serving.rows import Answers, Codec, Rows, Written, join

__all__ = ["Answer", "Ask", "Given", "together"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a client gets, and what to do once she has it."""

    written: Written
    after: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ask:
    """A client's request, read, with the versions that it met at the door."""

    route: LoadedRoute
    role: Role | None
    """The role of the version that she names, which is then the route's only one; ``None``: she names none."""
    rows: Rows
    codec: Codec
    start_s: float
    """When it came, by the server's clock."""

    def goes_with(self, other: Ask) -> bool:
        """Whether both are answered by the same versions, and so in one call."""
        return self.role is None and other.role is None and self.route is other.route


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Given:
    """What came of asks that were answered together."""

    answers: Sequence[Answers | Unavailable]
    """One an ask, in their order."""
    after: Callable[[], None] | None = None
    """What is to be done once all of them are out."""
    slowest_us: int = 0
    """The longest call of a version among them."""


def together(asks: Sequence[Ask], ids: Sequence[Sequence[str]], *, at: datetime) -> Request:
    """Asks that go with each other, as one request through the layers.

    Args:
        asks: At least one.
        ids: The prediction ids of each one's rows.
        at: When it is answered.
    """
    route, rows = asks[0].route, join([ask.rows for ask in asks])
    spans: list[range] = []
    keys: list[str] = []
    for ask, mine in zip(asks, ids, strict=True):
        spans.append(range(len(keys), len(keys) + len(mine)))
        whole, entities = ask.rows.request_id, ask.rows.entities
        if entities is None:
            keys += mine if whole is None else [whole] * len(mine)
        else:
            keys += [entity or whole or name for entity, name in zip(entities, mine, strict=True)]
    return Request(
        route=route,
        columns=rows.columns,
        ids=[name for mine in ids for name in mine],
        keys=keys,
        entities=rows.entities or [None] * len(keys),
        times=rows.times or [None] * len(keys),
        at=at,
        spans=spans,
    )
