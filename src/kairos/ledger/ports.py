"""What every ledger promises, whatever keeps its entries."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from kairos.ledger.entry import Entry
from kairos.values import Json

__all__ = ["Fact", "Ledger", "Verification"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something to be written: an entry without its place in the chain."""

    kind: str
    subject: str
    body: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The outcome of reading the whole chain."""

    entries: int
    """Entries that are intact, counted from the first."""
    head: str
    """Hash of the last intact entry."""
    broken_seq: int | None = None
    """The first entry that does not fit, or ``None``."""
    problem: str | None = None
    """What is wrong with it, in a sentence."""

    @property
    def is_intact(self) -> bool:
        """Whether every entry matches its hash and its predecessor."""
        return self.broken_seq is None


class Ledger(Protocol):
    """An append-only log of facts.

    One writer at a time, across threads and processes; readers never block and see only whole entries. A crash between
    any two instructions leaves a valid prefix.
    """

    def append(
        self,
        kind: str,
        *,
        subject: str,
        body: Mapping[str, Json],
        actor: str,
        at: datetime,
        expect: int | None = None,
    ) -> Entry:
        """Adds a fact and returns it once it is durable.

        Args:
            kind: What sort of fact.
            subject: What it is about.
            body: The fact; must have a plain JSON form.
            actor: Who or what caused it.
            at: When it became true, aware.
            expect: The head that the writer decided on; if the ledger has grown since, nothing is written.

        Raises:
            LedgerMoved: the ledger is no longer at ``expect``.
            LedgerBusy: another writer held its place for too long.
            UsageError: the body has no plain form, or ``at`` is naive.
        """
        ...

    def append_all(
        self, facts: Sequence[Fact], *, actor: str, at: datetime, expect: int | None = None
    ) -> tuple[Entry, ...]:
        """Adds several facts that are only true together: all of them, one after the other, or none.

        Args:
            facts: In their order; at least one.
            actor: Who or what caused them.
            at: When they became true, aware.
            expect: As for ``append``.

        Raises:
            LedgerMoved: the ledger is no longer at ``expect``.
            LedgerBusy: another writer held its place for too long.
            UsageError: a body has no plain form, or ``at`` is naive.
        """
        ...

    def read(
        self,
        *,
        after: int = 0,
        until: datetime | None = None,
        kinds: Collection[str] | None = None,
        subject: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Entry]:
        """Yields, in order, entries after ``after``, of these kinds, about the subject; the first ``limit`` of them.

        With ``until``: those up to the last entry that is not later than it. That is always a prefix, also where the
        clocks of two writers differ.
        """
        ...

    def head(self) -> int:
        """``seq`` of the last entry, 0 when empty."""
        ...

    def verify(self) -> Verification:
        """Recomputes every hash and names the first entry that does not fit."""
        ...
