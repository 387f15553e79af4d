"""One fact in the ledger, and the hash that links it to all facts before it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from kairos.values import Json, canonical_json

__all__ = ["GENESIS", "Entry", "entry_hash"]

GENESIS = "0" * 64
"""What the first entry names as the hash before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A fact, as it was written."""

    seq: int
    """1 for the first entry, without gaps."""
    at: datetime
    """When the fact became true, aware UTC, from the writer's clock."""
    kind: str
    """What sort of fact, such as ``stage.changed``."""
    subject: str
    """What it is about, such as ``demand@3``."""
    actor: str
    """Who or what caused it."""
    body: dict[str, Json]
    """The fact itself, in plain JSON."""
    prev: str
    """Hash of the entry before, or ``GENESIS``."""
    hash: str
    """SHA-256 of all the fields above, hexadecimal."""


def entry_hash(*, seq: int, at: datetime, kind: str, subject: str, actor: str, body: dict[str, Json], prev: str) -> str:
    """The hash of an entry: SHA-256 over the canonical JSON of its fields, hexadecimal."""
    fields = {"actor": actor, "at": at, "body": body, "kind": kind, "prev": prev, "seq": seq, "subject": subject}
    return hashlib.sha256(canonical_json(fields)).hexdigest()
