"""Two runs of one project at once: what one of them is at, the other waits for and reuses.

Each piece of work is claimed under its fingerprint before it is made. A claim is held by who makes the piece, and by
nobody who only waits, so the runs always get on; who dies or fails lets go of it, and then the next one makes it.
"""

from __future__ import annotations

import time
from datetime import datetime

from kairos.pipeline.job import Job, Piece
from kairos.pipeline.plan import can_be_reused
from kairos.store.claims import Claims
from kairos.store.locks import Holder

__all__ = ["Others", "is_worth_waiting_for"]

_LOOK_S = 0.1
"""How often it is looked whether others are done."""
_SHARE = 0.1
"""The part of the time that looking may take: with very many pieces it is done less often."""


def is_worth_waiting_for(piece: Piece, *, now: datetime) -> bool:
    """Whether what another run makes of a piece now could stand for what this run would make of it.

    Args:
        piece: The work.
        now: The present; a source that is pulled now and may still get rows is pulled by each run for itself.
    """
    job = piece.job
    return can_be_reused(job.setting.node.spec, piece.window, now, now=now, is_marked=job.is_marked)


class Others:
    """Pieces of a run that other runs are at.

    Args:
        claims: This run's.
    """

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._waiting: list[Piece] = []
        self._told: dict[str, Holder | None] = {}
        """Who was named, by step."""
        self._next_s = 0.0
        """When to look again, by the machine's clock."""

    def __bool__(self) -> bool:
        """Whether this run waits for another one."""
        return bool(self._waiting)

    @property
    def jobs(self) -> list[Job]:
        """Those that wait."""
        return [piece.job for piece in self._waiting]

    def take(self, piece: Piece) -> bool:
        """Claims a piece; ``False``: another run is at it."""
        return self._claims.take(piece.claim)

    def release(self, piece: Piece) -> None:
        """Lets go of a piece that is made, or that could not be."""
        self._claims.release(piece.claim)

    def wait_for(self, piece: Piece) -> str | None:
        """Keeps a piece in mind; says who is at it, if that was not said of its step yet."""
        self._waiting.append(piece)
        holder = self._claims.holder(piece.claim)
        if piece.job.name in self._told and self._told[piece.job.name] == holder:
            return None
        self._told[piece.job.name] = holder
        return str(holder or "another run")

    def freed(self) -> list[Piece]:
        """Pieces that nobody is at any more; they are claimed now."""
        began_s = time.monotonic()
        if not self._waiting or began_s < self._next_s:
            return []
        looked_at, self._waiting = self._waiting, []
        freed = list[Piece]()
        for piece in looked_at:
            (freed if self.take(piece) else self._waiting).append(piece)
        now_s = time.monotonic()
        self._next_s = now_s + max(_LOOK_S, (now_s - began_s) / _SHARE)
        return freed

    def clear(self) -> None:
        """Waits for nothing any more."""
        self._waiting.clear()

    def close(self) -> None:
        """Lets go of everything."""
        self._claims.close()
