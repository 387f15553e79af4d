"""Blobs to a remote and from it: in parallel, checked on the way, and what arrived stays whatever happens next."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kairos.errors import BlobDamaged, RemoteFailed, StoreError
from kairos.store.blobs import Store
from kairos.store.files import make_folder
from kairos.store.folders import is_folder, parse_listing
from kairos.store.intake import Desk
from kairos.store.places import UNKNOWN, Place
from kairos.store.trying import Patience, Trying
from kairos.values import Digest

__all__ = ["Difference", "Moved", "compare", "pull", "push"]

_LISTED = 8
"""From so many blobs with the same first two characters on, it is quicker to list them than to ask for each."""
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
    with Trying(jobs, patience or Patience()) as trying:
        try:
            wanted = _parts(store, roots)
            found = _look(place, trying, wanted)
        except StoreError:
            raise
        except OSError as error:
            raise _failed(error, "Nothing was changed.") from error
    here = {digest for digest in wanted if store.holds(digest)}
    return Difference(
        new=tuple(digest for digest in wanted if digest in here and digest not in found),
        deleted=tuple(digest for digest in wanted if digest not in here and digest in found),
        missing=tuple(digest for digest in wanted if digest not in here and digest not in found),
    )


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
    with Trying(jobs, patience or Patience()) as trying:
        try:
            wanted = _parts(store, roots)
            found = _look(place, trying, wanted)
            lacking = [digest for digest in wanted if not _has(store, found, digest)]
            tally.total, tally.there = len(lacking), len(wanted) - len(lacking)
            bad = set[Digest]()

            def send(digest: Digest) -> tuple[Digest, int | None]:
                return digest, _send(store, place, digest)

            for are_folders in (False, True):  # leaves before trees
                ready = (one for one in lacking if is_folder(one) is are_folders and _is_whole(store, one, bad))
                for digest, size_bytes in trying.each(send, list(ready)):
                    if size_bytes is not None:
                        tally.add(size_bytes)
                        continue
                    bad.add(digest)
                    if store.holds(digest):
                        tally.damaged.append(digest)
                    elif digest not in found:
                        tally.missing.append(digest)
        except StoreError:
            raise
        except OSError as error:
            said = f"{tally.blobs:,} blobs were sent and stay; the next push sends only the rest."
            raise _failed(error, said) from error
    return tally.moved()


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
        Trying(jobs, patience or Patience()) as trying,
    ):
        try:
            _pull(store, desk, _Fetch(place, desk), trying, tally, list(dict.fromkeys(roots)), frozenset(anew))
        except StoreError:
            desk.flush()
            raise
        except OSError as error:
            desk.flush()
            said = f"{tally.blobs:,} blobs were fetched and stay; the next pull fetches only the rest."
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
    listings: dict[Digest, tuple[_Fetched | None, set[Digest]]] = {}
    folders = [root for root in roots if is_folder(root)]
    for root in folders:
        if root not in anew and store.holds(root):
            with suppress(BlobDamaged):  # then it is fetched
                listings[root] = (None, set(store.listing(root).values()))
    lacking = [root for root in folders if root not in listings]
    tally.total = len(lacking)
    for got in trying.each(fetch, lacking):
        if _is_good(got, tally):
            try:
                files = parse_listing(Path(got.temporary).read_bytes(), got.digest)
            except BlobDamaged:
                tally.damaged.append(got.digest)
                continue
            listings[got.digest] = (got, set(files.values()))
    leaves = {root for root in roots if not is_folder(root)}.union(*(files for _, files in listings.values()))
    wanted = sorted(leaf for leaf in leaves if leaf in anew or not store.holds(leaf))
    tally.total += len(wanted)
    tally.there = len(leaves) + len(folders) - tally.total
    for got in trying.each(fetch, wanted):
        if _is_good(got, tally):
            desk.place(got.temporary, got.digest, got.size_bytes)
            tally.add(got.size_bytes)
    desk.flush()
    bad = {*tally.missing, *tally.damaged}
    for listing, leaves in listings.values():
        if listing is not None and not leaves & bad:
            desk.place(listing.temporary, listing.digest, listing.size_bytes)
            tally.add(listing.size_bytes)
    desk.flush()


@dataclass(frozen=True, slots=True)
class _Fetched:
    digest: Digest
    temporary: str
    size_bytes: int
    how: str = "good"


@dataclass(slots=True)
class _Fetch:
    """Gets one blob into a temporary file, checked."""

    place: Place
    desk: Desk

    def __call__(self, digest: Digest) -> _Fetched:
        for _ in range(2):  # bytes may be harmed on the way, too
            temporary = Path(self.desk.name())
            try:
                self.place.fetch(digest, temporary)
            except FileNotFoundError:
                return _Fetched(digest, "", 0, "missing")
            with temporary.open("rb") as file:
                md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            if md5 == digest.removesuffix(".dir"):
                os.chmod(temporary, 0o444)
                return _Fetched(digest, str(temporary), temporary.stat().st_size)
            temporary.unlink()
        return _Fetched(digest, "", 0, "damaged")


def _is_good(got: _Fetched, tally: _Tally) -> bool:
    if got.how == "missing":
        tally.missing.append(got.digest)
    elif got.how == "damaged":
        tally.damaged.append(got.digest)
    return got.how == "good"


def _parts(store: Store, roots: Iterable[Digest]) -> list[Digest]:
    """These, and the files of those that are folders."""
    parts = dict.fromkeys(roots)
    for root in list(parts):
        if is_folder(root) and store.holds(root):
            parts.update(dict.fromkeys(store.listing(root).values()))
    return list(parts)


def _look(place: Place, trying: Trying, wanted: Collection[Digest]) -> dict[Digest, int]:
    """Sizes of those that are there."""
    shards = Counter(digest[:2] for digest in wanted)
    listed = [shard for shard, count in shards.items() if count >= _LISTED and place.lists]
    asked = [digest for digest in wanted if digest[:2] not in set(listed)]
    is_wanted = set(wanted)
    found: dict[Digest, int] = {}
    for sizes in trying.each(place.sizes, listed):
        found.update((digest, size) for digest, size in sizes.items() if digest in is_wanted)
    for digest, size in zip(asked, trying.each(place.size, asked), strict=True):
        if size is not None:
            found[digest] = size
    return found


def _has(store: Store, found: Mapping[Digest, int], digest: Digest) -> bool:
    """Whether the place has it, as far as its size tells; what is not here is as it is there."""
    if digest not in found:
        return False
    if found[digest] == UNKNOWN or not store.holds(digest):
        return True
    return store.path(digest).stat().st_size == found[digest]


def _is_whole(store: Store, digest: Digest, bad: set[Digest]) -> bool:
    return not is_folder(digest) or not store.holds(digest) or not bad & set(store.listing(digest).values())


def _send(store: Store, place: Place, digest: Digest) -> int | None:
    """The size of what was sent; ``None``: it is not here, or damaged."""
    if not store.holds(digest):
        return None
    path = store.path(digest)
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if md5 != digest.removesuffix(".dir"):
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
