"""Requests on their way through the layers, and what versions gave for their rows: values, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np

from kairos.serving.deployment import LoadedRoute, LoadedVersion, Role
from kairos.serving.guard import GuardAction, Said
from kairos.store.spool import Commit

__all__ = ["InList", "Outcome", "Outcomes", "Owed", "Reply", "Request", "each_row"]


class InList(NamedTuple):
    """Where a row of a model that ranks belongs."""

    request: str
    """The first prediction id of the client's request: lists of two requests are never one."""
    name: str | None = None
    """What the client calls the list; ``None``: all rows of the request that name none are one."""
    item: str | None = None
    """Which thing of the list the row is; ``None``: she does not say."""

    @property
    def whole(self) -> tuple[str, str | None]:
        """What rows of one list have in common."""
        return self.request, self.name


class Request(msgspec.Struct, frozen=True, kw_only=True, eq=False):
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
    lists: Sequence[InList] | None = None
    """In which list each row is ranked; ``None``: the model ranks nothing."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one version gave for one row; what the fields mean is said in ``Outcomes``."""

    row: int
    version: LoadedVersion
    role: Role
    raw: Said | None
    output: Said | None
    answered: bool
    violation: str | None
    action: GuardAction | None
    error: str | None
    latency_us: int


class Outcomes(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What one version gave for some rows, in one call of it; every sequence has one item a row."""

    version: LoadedVersion
    role: Role
    rows: Sequence[int]
    """Positions in the request, ascending."""
    raws: Sequence[Said | None]
    """The version's own outputs; all ``None`` if it failed."""
    error: str | None
    """Name of the error, without its message: that may hold a user's data."""
    latency_us: int
    """Of the call."""
    answered: Sequence[bool]
    """Whether this is what the user gets."""
    outputs: Sequence[Said | None]
    """What may leave; set by the guard."""
    violations: Sequence[str | None]
    actions: Sequence[GuardAction | None]

    @classmethod
    def of(
        cls,
        version: LoadedVersion,
        role: Role,
        rows: Sequence[int],
        raws: Sequence[Said | None],
        *,
        error: str | None,
        latency_us: int,
        answers: bool,
    ) -> Outcomes:
        """What a call gave, before anybody has judged it."""
        nothing = [None] * len(rows)
        return cls(
            version=version,
            role=role,
            rows=rows,
            raws=raws,
            error=error,
            latency_us=latency_us,
            answered=[answers] * len(rows),
            outputs=nothing,
            violations=nothing,
            actions=nothing,
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Outcome]:
        """Row by row."""
        return map(self._at, range(len(self.rows)))

    def of_row(self, row: int) -> Outcome | None:
        """What it gave for that row; ``None``: it was not asked."""
        rows = self.rows
        if isinstance(rows, range):  # by far the most; a range knows
            return self._at(rows.index(row)) if row in rows else None
        return next((self._at(position) for position, each in enumerate(rows) if each == row), None)

    def _at(self, position: int) -> Outcome:
        return Outcome(
            row=self.rows[position],
            version=self.version,
            role=self.role,
            raw=self.raws[position],
            output=self.outputs[position],
            answered=self.answered[position],
            violation=self.violations[position],
            action=self.actions[position],
            error=self.error,
            latency_us=self.latency_us,
        )


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """A version that has not predicted these rows yet, and should once the answer is out."""

    version: LoadedVersion
    role: Role
    rows: Sequence[int]


class Reply(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What came of a request so far. Of the outcomes of a row at most one is ``answered``."""

    outcomes: tuple[Outcomes, ...]
    owed: tuple[Owed, ...] = ()
    captured: bool = False
    """Whether the outcomes are on record."""
    commit: Commit | None = None
    """What to wait for before an answer leaves."""

    @property
    def slowest_us(self) -> int:
        """The longest call."""
        return max((each.latency_us for each in self.outcomes), default=0)


def each_row(outcomes: Iterable[Outcomes]) -> Iterator[Outcome]:
    """All outcomes, row by row, call by call."""
    for each in outcomes:
        yield from each
