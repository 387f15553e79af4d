"""Many digests in little memory: 16 bytes each, by their first two characters, as the blobs' folders are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from kairos.values import Digest

__all__ = ["Digests", "Shards", "lacking"]

_ENTRY_BYTES = 60
"""What a folder takes for each of its names, or less: says how many they are, about."""
_LEAST_BYTES = 4 << 10
_LOOK_COST = 8
"""Looking for one name takes as long as reading so many."""


class Shards:
    """A set of digests of files; what is in it twice comes out once."""

    def __init__(self) -> None:
        self._packed = dict[str, bytearray]()
        self._single_bytes = dict[str, int]()
        """How long each was when nothing was in it twice."""

    def add(self, digests: Iterable[str]) -> None:
        """Adds digests of files, hexadecimal."""
        packed = self._packed
        for digest in digests:
            shard = digest[:2]
            if shard not in packed:
                packed[shard] = bytearray()
            packed[shard] += bytes.fromhex(digest)

    def update(self, other: Shards) -> None:
        """Adds those of another; however often the same are added, they take no more than twice their bytes."""
        for shard, packed in other._packed.items():
            mine = self._packed.setdefault(shard, bytearray())
            mine += packed
            if len(mine) > 2 * self._single_bytes.get(shard, 0) + _LEAST_BYTES:
                self._packed[shard] = bytearray(b"".join(self._each(shard)))
                self._single_bytes[shard] = len(self._packed[shard])

    def of(self, shard: str) -> list[Digest]:
        """Those that begin with these two characters, each once, sorted."""
        return [Digest(each.hex()) for each in sorted(self._each(shard))]

    def beyond(self, other: Shards) -> Shards:
        """Those that are not in another."""
        found = Shards()
        for shard in self._packed:
            left = self._each(shard) - other._each(shard)
            if left:
                found._packed[shard] = bytearray(b"".join(left))
        return found

    def counts(self) -> dict[str, int]:
        """How many begin with which two characters, where there are any."""
        return {shard: len(self._each(shard)) for shard in sorted(self._packed)}

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
        for shard in sorted(self._packed):
            yield shard, self.of(shard)

    def _each(self, shard: str) -> set[bytes]:
        packed = bytes(self._packed.get(shard, b""))
        return {packed[at : at + 16] for at in range(0, len(packed), 16)}


class Digests:
    """A set of digests of files and folders; folders are few, and come first.

    Args:
        digests: What is in it from the beginning.
    """

    def __init__(self, digests: Iterable[Digest] = ()) -> None:
        self.files = Shards()
        self.folders = set[Digest]()
        for digest in digests:
            self.add(digest)

    def add(self, digest: Digest) -> None:
        """Adds one."""
        if digest.endswith(".dir"):
            self.folders.add(digest)
        else:
            self.files.add([digest])

    def update(self, other: Digests) -> None:
        """Adds those of another."""
        self.folders |= other.folders
        self.files.update(other.files)

    def beyond(self, other: Digests) -> Digests:
        """Those that are not in another."""
        found = Digests(self.folders - other.folders)
        found.files = self.files.beyond(other.files)
        return found

    def __len__(self) -> int:
        return len(self.folders) + len(self.files)

    def __contains__(self, digest: Digest) -> bool:
        return digest in self.folders or digest in self.files

    def __iter__(self) -> Iterator[Digest]:
        yield from chain(sorted(self.folders), self.files.digests())


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
