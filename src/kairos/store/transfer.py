"""Blobs to a remote and from it: in parallel, checked on the way, and what arrived stays whatever happens next."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from kairos.errors import BlobDamaged, RemoteFailed, StoreError
from kairos.store.blobs import Store
from kairos.store.files import make_folder
from kairos.store.folders import is_folder, read_listing
from kairos.store.hallmarks import set_hallmark
from kairos.store.intake import Desk
from kairos.store.places import UNKNOWN, Place
from kairos.store.presence import Wanted, gather, look
from kairos.store.shards import Shards, lacking
from kairos.store.trying import Patience, Trying
from kairos.values import Digest

__all__ = ["Difference", "Moved", "compare", "pull", "push"]

_MOST_WAITING, _MOST_BYTES = 1_000, 64 << 20
"""After so many files, or bytes, those that were fetched get their names; no more is fetched again after a crash."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Which blobs are on one side only, as ``dvc status --cloud`` tells them."""

    new: tuple[Digest, ...]
    """Here, and not at the remote."""
    deleted: tuple[Digest, ...]
    """At the remote, and not here."""
    missing: tuple[Digest, ...]
    """Neither here nor there."""


@dataclass(slots=True)
class _Tally:
    told: Callable[[int, int, int], None]
    total: int = 0
    blobs: int = 0
    size_bytes: int = 0
    there: int = 0
    missing: list[Digest] = field(default_factory=list)
    damaged: list[Digest] = field(default_factory=list)

    def add(self, size_bytes: int) -> None:
        self.blobs += 1
        self.size_bytes += size_bytes
        self.told(self.blobs, self.total, self.size_bytes)

    def moved(self) -> Moved:
        return Moved(
            blobs=self.blobs,
            size_bytes=self.size_bytes,
            there=self.there,
            missing=tuple(sorted(self.missing)),
            damaged=tuple(sorted(self.damaged)),
        )


def _untold(blobs: int, of: int, size_bytes: int) -> None:
    pass


def compare(
    store: Store, place: Place, roots: Iterable[Digest], *, jobs: int = 16, patience: Patience | None = None
) -> Difference:
    """What of these files and folders is on one side only; of a folder whose listing is not here, that alone.

    Raises:
        RemoteFailed: the remote cannot be asked.
    """
    new, deleted, missing = list[Digest](), list[Digest](), list[Digest]()
    with Trying(jobs, patience or Patience(), place.abandon) as trying:
        try:
            for digest, size_bytes in look(place, trying, gather(store, roots)):
                if store.holds(digest):
                    if size_bytes is None:
                        new.append(digest)
                else:
                    (missing if size_bytes is None else deleted).append(digest)
        except StoreError:
            raise
        except OSError as error:
            raise _failed(error, "Nothing was changed.") from error
    return Difference(new=tuple(new), deleted=tuple(deleted), missing=tuple(missing))


def push(
    store: Store,
    place: Place,
    roots: Iterable[Digest],
    *,
    jobs: int = 16,
    patience: Patience | None = None,
    told: Callable[[int, int, int], None] = _untold,
) -> Moved:
    """Sends what the place lacks, or has with another size; the files of a folder before its listing.

    Bytes are checked before they are sent, and what is damaged here is not sent, nor the listing of a folder that is
    not whole there.

    Args:
        store: From where.
        place: To where.
        roots: Files and folders.
        jobs: Blobs on their way at once.
        patience: How often what fails is tried again.
        told: Told after each blob: how many were sent, of how many, and their bytes.

    Raises:
        RemoteFailed: the remote failed for good; what was sent stays, and the next push sends only the rest.
    """
    tally = _Tally(told)
    with Trying(jobs, patience or Patience(), place.abandon) as trying:
        try:
            _push(store, place, trying, tally, gather(store, roots))
        except StoreError:
            raise
        except OSError as error:
            said = f"At least {tally.blobs:,} blobs were sent and stay; the next push sends only the rest."
            raise _failed(error, said) from error
    return tally.moved()


def _push(store: Store, place: Place, trying: Trying, tally: _Tally, wanted: Wanted) -> None:
    files, folders = Shards(), list[Digest]()
    for digest, size_bytes in look(place, trying, wanted):
        if _has(store, size_bytes, digest):
            tally.there += 1
            continue
        tally.total += 1
        if is_folder(digest):
            folders.append(digest)
        else:
            files.add([digest])
    bad = set[Digest]()

    def send(digest: Digest) -> tuple[Digest, int | None]:
        return digest, _send(store, place, digest)

    whole = (folder for folder in folders if _is_whole(store, folder, bad))
    for digest, size_bytes in chain(trying.each(send, files.digests()), trying.each(send, whole)):  # trees at last
        if size_bytes is not None:
            tally.add(size_bytes)
            continue
        bad.add(digest)
        (tally.damaged if store.holds(digest) else tally.missing).append(digest)


def pull(
    store: Store,
    place: Place,
    roots: Iterable[Digest],
    *,
    anew: Collection[Digest] = (),
    jobs: int = 16,
    patience: Patience | None = None,
    told: Callable[[int, int, int], None] = _untold,
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
    tally = _Tally(told)
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
            raise _failed(error, said) from error
        except BaseException:
            desk.flush()
            raise
    return tally.moved()


def _pull(
    store: Store,
    desk: Desk,
    fetch: _Fetch,
    trying: Trying,
    tally: _Tally,
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


def _is_listing(got: _Fetched, tally: _Tally, leaves: Shards) -> bool:
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


def _is_good(got: _Fetched, tally: _Tally) -> bool:
    if got.how == "missing":
        tally.missing.append(got.digest)
    elif got.how == "damaged":
        tally.damaged.append(got.digest)
    return got.how == "good"


def _has(store: Store, size_bytes: int | None, digest: Digest) -> bool:
    """Whether the place has it, as far as its size there tells; what is not here is as it is there."""
    if size_bytes is None:
        return False
    if size_bytes == UNKNOWN or not store.holds(digest):
        return True
    return store.path(digest).stat().st_size == size_bytes


def _is_whole(store: Store, folder: Digest, bad: set[Digest]) -> bool:
    return not bad or not store.holds(folder) or bad.isdisjoint(store.leaves(folder).digests())


def _send(store: Store, place: Place, digest: Digest) -> int | None:
    """The size of what was sent; ``None``: it is not here, or damaged."""
    if not store.holds(digest):
        return None
    path = store.path(digest)
    if not store.is_intact(path, digest):
        return None
    try:
        place.send(path, digest)
    except FileNotFoundError as error:  # of the place: the blob is here
        raise OSError(f"a folder of it was taken away: {error.strerror}") from error
    return path.stat().st_size


def _failed(error: OSError, said: str) -> RemoteFailed:
    return RemoteFailed("The remote failed.", given=_reason(error), hint=said)


def _reason(error: OSError) -> str:
    told = error.strerror or str(error) or type(error).__name__
    return told if len(told) < 300 else told[:297] + "..."
