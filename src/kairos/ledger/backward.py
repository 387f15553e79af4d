"""Reading a ledger from its end, for whoever asks for what came last."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kairos.ledger.entry import Entry
from kairos.ledger.ports import Ledger

__all__ = ["latest_first"]

_FIRST = 256
"""Entries that are looked through at first; each further look takes in twice as many."""


def latest_first(ledger: Ledger, *, kinds: Collection[str]) -> Iterator[Entry]:
    """Yields entries of these kinds, the last one first, reading no more of the ledger than is asked for.

    Entries that are written meanwhile are not seen.
    """
    end, size = ledger.head(), _FIRST
    while end > 0:
        start = max(end - size, 0)
        block = [entry for entry in ledger.read(after=start, kinds=kinds, limit=size) if entry.seq <= end]
        yield from reversed(block)
        end, size = start, 2 * size
