"""Requests of clients that wait to be answered, alone or together, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import msgspec

from kairos.errors import NotCaptured, StoreError, Unavailable
from kairos.serving.deployment import LoadedRoute, Role
from kairos.serving.outcomes import InList, Request
from kairos.serving.rows import Answers, Codec, Rows, Written, join
from kairos.store.spool import Commit

__all__ = ["Answer", "Ask", "Given", "not_captured", "together"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a client gets, and what to do once she has it."""

    written: Written
    after: Callable[[], None] | None = None


class Ask(msgspec.Struct, frozen=True, kw_only=True, eq=False):
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


class Given(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What came of asks that were answered together."""

    answers: Sequence[Answers | Unavailable]
    """One an ask, in their order."""
    after: Callable[[], None] | None = None
    """What is to be done once all of them are out."""
    slowest_us: int = 0
    """The longest call of a version among them."""
    commit: Commit | None = None
    """What has to end before any of the answers leaves; ``None``: nothing."""
    settle: Callable[[StoreError | None], None] | None = None
    """Told how the commit ended, once."""

    def ended(self) -> Sequence[Answers | Unavailable]:
        """The answers once the commit has ended; none leaves that is not safely on record."""
        if self.commit is None or self.settle is None:
            return self.answers
        failure = self.commit.exception()
        error = failure if failure is None or isinstance(failure, StoreError) else StoreError(str(failure))
        self.settle(error)
        return self.answers if error is None else [not_captured() for _ in self.answers]


def not_captured() -> NotCaptured:
    """What a client is told whose prediction is not safely on record."""
    return NotCaptured(
        "The prediction could not be put on record, and no answer leaves without that.", hint="Ask again later."
    )


def together(asks: Sequence[Ask], ids: Sequence[Sequence[str]], *, at: datetime) -> Request:
    """Asks that go with each other, as one request through the layers.

    Args:
        asks: At least one.
        ids: The prediction ids of each one's rows.
        at: When it is answered.
    """
    route, rows = asks[0].route, join([ask.rows for ask in asks])
    ranks = route.champion.rank_within is not None
    spans: list[range] = []
    keys: list[str] = []
    lists: list[InList] = []
    for ask, mine in zip(asks, ids, strict=True):
        spans.append(range(len(keys), len(keys) + len(mine)))
        whole, entities = ask.rows.request_id, ask.rows.entities
        own = _listed(ask.rows, mine) if ranks else None
        if own is not None:
            lists += own
            keys += _keys_of_lists(own, whole, entities)
        elif entities is None:
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
        lists=lists if ranks else None,
    )


def _keys_of_lists(lists: Sequence[InList], whole: str | None, entities: Sequence[str | None] | None) -> Iterator[str]:
    """What rows are routed by: those of one list alike, as scores of two versions make no order."""
    found: dict[tuple[str, str | None], str] = {}
    for row, each in enumerate(lists):
        if each.whole not in found:
            entity = None if entities is None else entities[row]
            found[each.whole] = entity or whole or each.name or each.request
        yield found[each.whole]


def _listed(rows: Rows, ids: Sequence[str]) -> list[InList]:
    """In which list each row of one client's request is ranked."""
    none = [None] * rows.count
    return [InList(ids[0], name, item) for name, item in zip(rows.lists or none, rows.items or none, strict=True)]
