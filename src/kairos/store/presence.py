"""What transfers are about: files and folders with all that is in them, and which of it is at a place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kairos.store.blobs import Store
from kairos.store.folders import is_folder
from kairos.store.places import Place
from kairos.store.shards import Shards
from kairos.store.trying import Trying
from kairos.values import Digest

__all__ = ["Wanted", "gather", "look"]

_LISTED = 8
"""From so many blobs with the same first two characters on, it is quicker to list them than to ask for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be somewhere else."""

    folders: tuple[Digest, ...]
    """Their listings."""
    files: Shards = field(default_factory=Shards)


def gather(store: Store, roots: Iterable[Digest]) -> Wanted:
    """These, and the files of those that are folders and whose listings are here."""
    known = list(dict.fromkeys(roots))
    wanted = Wanted(folders=tuple(root for root in known if is_folder(root)))
    wanted.files.add(root for root in known if not is_folder(root))
    for folder in wanted.folders:
        if store.holds(folder):
            wanted.files.update(store.leaves(folder))
    return wanted


def look(place: Place, trying: Trying, wanted: Wanted) -> Iterator[tuple[Digest, int | None]]:
    """Each with its size there in bytes, ``None`` where it is not; folders first.

    What a place has is asked for by the first two characters of its name, and only that much is held in memory.

    Raises:
        OSError: the place cannot be asked.
    """
    yield from zip(wanted.folders, trying.each(place.size, wanted.folders), strict=True)

    def sizes(shard: str) -> list[tuple[Digest, int | None]]:
        there = place.sizes(shard)
        return [(digest, there.get(digest)) for digest in wanted.files.of(shard)]

    def size(digest: Digest) -> tuple[Digest, int | None]:
        return digest, place.size(digest)

    counts = wanted.files.counts()
    listed = [shard for shard, count in counts.items() if count >= _LISTED and place.lists]
    for found in trying.each(sizes, listed, ahead=1):
        yield from found
    yield from trying.each(size, (digest for shard in counts.keys() - set(listed) for digest in wanted.files.of(shard)))
