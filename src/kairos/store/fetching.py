"""Blobs from a remote: in parallel, checked before they get their names; what arrived stays whatever happens next."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from kairos.errors import BlobDamaged, StoreError
from kairos.store.blobs import Store
from kairos.store.desk import Desk
from kairos.store.files import make_folder
from kairos.store.folders import is_folder, read_listing
from kairos.store.hallmarks import set_hallmark
from kairos.store.moves import Moved, Tally, failed, untold
from kairos.store.places import Place
from kairos.store.shards import Shards, lacking
from kairos.store.trying import Patience, Trying
from kairos.values import Digest

__all__ = ["pull"]

_MOST_WAITING, _MOST_BYTES = 1_000, 64 << 20
"""After so many files, or bytes, those that were fetched get their names; no more is fetched again after a crash."""


def pull(
    store: Store,
    place: Place,
    roots: Iterable[Digest],
    *,
    anew: Collection[Digest] = (),
    jobs: int = 16,
    patience: Patience | None = None,
    told: Callable[[int, int, int], None] = untold,
) -> Moved:
    """Fetches what the store lacks; the files of a folder get their names before its listing.

    Every byte is checked before it gets a name. What is damaged at the remote is asked for once more, and then named.

    Args:
        store: To where.
        place: From where.
        roots: Files and folders.
        anew: What is fetched although the store has it: it is damaged there.
        jobs: Blobs on their way at once.
        patience: How often what fails is tried again.
        told: Told after each blob: how many were fetched, of how many, and their bytes.

    Raises:
        RemoteFailed: the remote failed for good; what was fetched stays, and the next pull fetches only the rest.
    """
    tally = Tally(told)
    make_folder(store.root / "tmp")
    with (
        Desk(store.root / "tmp", store.files, most_waiting=_MOST_WAITING, most_bytes=_MOST_BYTES) as desk,
        Trying(jobs, patience or Patience(), place.abandon) as trying,
    ):
        try:
            _pull(store, desk, _Fetch(store, place, desk), trying, tally, list(dict.fromkeys(roots)), frozenset(anew))
        except StoreError:
            desk.flush()
            raise
        except OSError as error:
            desk.flush()
            said = f"At least {tally.blobs:,} blobs were fetched and stay; the next pull fetches only the rest."
            raise failed(error, said) from error
        except BaseException:
            desk.flush()
            raise
    return tally.moved()


def _pull(
    store: Store,
    desk: Desk,
    fetch: _Fetch,
    trying: Trying,
    tally: Tally,
    roots: list[Digest],
    anew: frozenset[Digest],
) -> None:
    leaves = Shards()
    leaves.add(root for root in roots if not is_folder(root))
    folders = [root for root in roots if is_folder(root)]
    unread = [root for root in folders if root in anew or not _knows(store, root, leaves)]
    tally.total = len(unread)
    listings = [got for got in trying.each(fetch, unread) if _is_good(got, tally) and _is_listing(got, tally, leaves)]
    wanted = Shards()
    wanted.add(lacking(store.files, leaves))
    wanted.add(leaf for leaf in anew if leaf in leaves)
    tally.total += len(wanted)
    tally.there = len(leaves) + len(folders) - tally.total
    for got in trying.each(fetch, wanted.digests()):
        if _is_good(got, tally):
            desk.place(got.temporary, got.digest, got.size_bytes)
            tally.add(got.size_bytes)
    desk.flush()
    bad = {*tally.missing, *tally.damaged}
    for got in listings:
        if not bad or bad.isdisjoint(_listed(got).digests()):
            desk.place(got.temporary, got.digest, got.size_bytes)
            tally.add(got.size_bytes)
    desk.flush()


def _knows(store: Store, folder: Digest, leaves: Shards) -> bool:
    """Whether the folder's listing is here and can be read; then its files are added."""
    if not store.holds(folder):
        return False
    try:
        leaves.update(store.leaves(folder))
    except BlobDamaged:  # then it is fetched
        return False
    return True


def _is_listing(got: _Fetched, tally: Tally, leaves: Shards) -> bool:
    """Whether what was fetched can be read as one; then its files are added."""
    try:
        leaves.update(_listed(got))
    except BlobDamaged:
        tally.damaged.append(got.digest)
        return False
    return True


def _listed(got: _Fetched) -> Shards:
    leaves = Shards()
    with open(got.temporary, "rb") as file:
        for entries in read_listing(file, got.digest):
            leaves.add(entries.digests)
    return leaves


@dataclass(frozen=True, slots=True)
class _Fetched:
    digest: Digest
    temporary: str
    size_bytes: int
    how: str = "good"


@dataclass(slots=True)
class _Fetch:
    """Gets one blob into a temporary file, checked."""

    store: Store
    place: Place
    desk: Desk

    def __call__(self, digest: Digest) -> _Fetched:
        for _ in range(2):  # bytes may be harmed on the way, too
            temporary = Path(self.desk.name())
            try:
                self.place.fetch(digest, temporary)
            except FileNotFoundError:
                return _Fetched(digest, "", 0, "missing")
            if self.store.is_intact(temporary, digest):
                os.chmod(temporary, 0o444)
                told = temporary.stat()
                set_hallmark(str(temporary), digest, told)
                return _Fetched(digest, str(temporary), told.st_size)
            temporary.unlink()
        return _Fetched(digest, "", 0, "damaged")


def _is_good(got: _Fetched, tally: Tally) -> bool:
    if got.how == "missing":
        tally.missing.append(got.digest)
    elif got.how == "damaged":
        tally.damaged.append(got.digest)
    return got.how == "good"
