"""Many digests in little memory: 16 bytes each, by their first two characters, as the blobs' folders are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kairos.values import Digest

__all__ = ["Shards", "lacking"]

_ENTRY_BYTES = 60
"""What a folder takes for each of its names, or less: says how many they are, about."""
_LOOK_COST = 8
"""Looking for one name takes as long as reading so many."""


class Shards:
    """A set of digests of files; what is in it twice comes out once."""

    def __init__(self) -> None:
        self._packed = {f"{shard:02x}": bytearray() for shard in range(256)}

    def add(self, digests: Iterable[str]) -> None:
        """Adds digests of files, hexadecimal."""
        packed = self._packed
        for digest in digests:
            packed[digest[:2]] += bytes.fromhex(digest)

    def update(self, other: Shards) -> None:
        """Adds those of another."""
        for shard, packed in other._packed.items():
            self._packed[shard] += packed

    def of(self, shard: str) -> list[Digest]:
        """Those that begin with these two characters, each once, sorted."""
        return [Digest(each.hex()) for each in sorted(self._each(shard))]

    def counts(self) -> dict[str, int]:
        """How many begin with which two characters, where there are any."""
        return {shard: len(self._each(shard)) for shard, packed in self._packed.items() if packed}

    def digests(self) -> Iterator[Digest]:
        """All, each once, sorted."""
        for _, digests in self:
            yield from digests

    def __len__(self) -> int:
        return sum(self.counts().values())

    def __contains__(self, digest: str) -> bool:
        return not digest.endswith(".dir") and bytes.fromhex(digest) in self._each(digest[:2])

    def __iter__(self) -> Iterator[tuple[str, list[Digest]]]:
        """The first two characters, and the digests that have them, each once, sorted; ascending."""
        for shard, packed in self._packed.items():
            if packed:
                yield shard, self.of(shard)

    def _each(self, shard: str) -> set[bytes]:
        packed = bytes(self._packed[shard])
        return {packed[at : at + 16] for at in range(0, len(packed), 16)}


def lacking(blobs: Path, shards: Shards) -> Iterator[Digest]:
    """Those of which the store has no blob.

    Args:
        blobs: The store's folder of blobs.
        shards: The digests.
    """
    for shard, digests in shards:
        folder = f"{blobs}/{shard}"
        try:
            names = os.stat(folder).st_size // _ENTRY_BYTES
            there = set(os.listdir(folder)) if names < _LOOK_COST * len(digests) else None
        except FileNotFoundError:
            there = set()
        for digest in digests:
            if digest[2:] not in there if there is not None else not os.path.exists(f"{folder}/{digest[2:]}"):
                yield digest
