"""Blobs to a remote: in parallel, checked before they are sent, and what arrived stays whatever happens next."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

from kairos.errors import StoreError
from kairos.store.blobs import Store
from kairos.store.folders import is_folder
from kairos.store.moves import Moved, Tally, failed, untold
from kairos.store.places import UNKNOWN, Place
from kairos.store.presence import Wanted, gather, look
from kairos.store.shards import Shards
from kairos.store.trying import Patience, Trying
from kairos.values import Digest

__all__ = ["push"]


def push(
    store: Store,
    place: Place,
    roots: Iterable[Digest],
    *,
    jobs: int = 16,
    patience: Patience | None = None,
    told: Callable[[int, int, int], None] = untold,
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
    tally = Tally(told)
    with Trying(jobs, patience or Patience(), place.abandon) as trying:
        try:
            _push(store, place, trying, tally, gather(store, roots))
        except StoreError:
            raise
        except OSError as error:
            said = f"At least {tally.blobs:,} blobs were sent and stay; the next push sends only the rest."
            raise failed(error, said) from error
    return tally.moved()


def _push(store: Store, place: Place, trying: Trying, tally: Tally, wanted: Wanted) -> None:
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
