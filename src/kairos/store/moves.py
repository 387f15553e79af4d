"""What a transfer has moved, and how its failure is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kairos.errors import RemoteFailed
from kairos.values import Digest

__all__ = ["Moved", "Tally", "failed", "untold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a transfer did."""

    blobs: int = 0
    """That were sent or fetched; folders' listings are among them."""
    size_bytes: int = 0
    there: int = 0
    """That had been there before."""
    missing: tuple[Digest, ...] = ()
    """That are neither here nor there."""
    damaged: tuple[Digest, ...] = ()
    """Whose bytes were not those of their name where they came from; they were not used."""

    @property
    def is_whole(self) -> bool:
        """Whether all that was asked for is there now."""
        return not self.missing and not self.damaged


@dataclass(slots=True)
class Tally:
    """What a transfer has done so far.

    Args:
        told: Told after each blob: how many were moved, of how many, and their bytes.
    """

    told: Callable[[int, int, int], None]
    total: int = 0
    blobs: int = 0
    size_bytes: int = 0
    there: int = 0
    missing: list[Digest] = field(default_factory=list)
    damaged: list[Digest] = field(default_factory=list)

    def add(self, size_bytes: int) -> None:
        """Counts a blob that was moved."""
        self.blobs += 1
        self.size_bytes += size_bytes
        self.told(self.blobs, self.total, self.size_bytes)

    def moved(self) -> Moved:
        """What was done in the end."""
        return Moved(
            blobs=self.blobs,
            size_bytes=self.size_bytes,
            there=self.there,
            missing=tuple(sorted(self.missing)),
            damaged=tuple(sorted(self.damaged)),
        )


def untold(blobs: int, of: int, size_bytes: int) -> None:
    """Tells nobody of a blob that was moved."""


def failed(error: OSError, said: str) -> RemoteFailed:
    """What is raised where a remote failed for good.

    Args:
        error: What it said.
        said: What stays of what was done.
    """
    return RemoteFailed("The remote failed.", given=_reason(error), hint=said)


def _reason(error: OSError) -> str:
    told = error.strerror or str(error) or type(error).__name__
    return told if len(told) < 300 else told[:297] + "..."
