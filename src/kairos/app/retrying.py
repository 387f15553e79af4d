"""Deciding again when the ledger has moved: what somebody else wrote is taken into account, not overwritten."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kairos.errors import LedgerMoved

__all__ = ["decide_again"]

T = TypeVar("T")
_TRIES = 20


def decide_again(act: Callable[[], T]) -> T:
    """Calls ``act``, which reads the state anew each time, until nobody was faster.

    Raises:
        LedgerMoved: somebody else was faster twenty times in a row.
    """
    for _ in range(_TRIES - 1):
        try:
            return act()
        except LedgerMoved:
            continue
    return act()
