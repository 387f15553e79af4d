"""Every ledger keeps the promises of the port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kairos.ledger import SqliteLedger
from kairos.testing import LedgerContract


class TestSqliteLedger(LedgerContract):
    """The embedded one."""

    @pytest.fixture
    def open_ledger(self, tmp_path: Path) -> Iterator[Callable[[], SqliteLedger]]:
        """Opens one file, also from several threads."""
        opened: list[SqliteLedger] = []

        def open_it() -> SqliteLedger:
            opened.append(SqliteLedger(tmp_path / "ledger.db"))
            return opened[-1]

        yield open_it
        for ledger in opened:
            ledger.close()
