"""The ledger: what was decided, when, by whom, on which evidence. Append-only and hash-linked."""

from __future__ import annotations

from kairos.ledger.backward import latest_first
from kairos.ledger.entry import GENESIS, Entry, entry_hash
from kairos.ledger.ports import Fact, Ledger, Verification
from kairos.ledger.sqlite import SqliteLedger

__all__ = ["GENESIS", "Entry", "Fact", "Ledger", "SqliteLedger", "Verification", "entry_hash", "latest_first"]
