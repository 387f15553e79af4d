"""Many files into the store: what did not change is not read, the rest is read once, and the disk is waited for once.

A file is read, named by its bytes and written under a temporary name in one go. When enough of them lie there, the file
system is synced, and only then do they get their names: after a crash at any moment a name stands for all of its bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kairos.errors import StoreError
from kairos.store.desk import Desk
from kairos.store.files import make_folder
from kairos.store.folders import ListingWriter
from kairos.store.hallmarks import holds_bytes
from kairos.store.ignoring import Ignore
from kairos.store.index import IndexReader, IndexWriter
from kairos.store.reads import Read, take
from kairos.store.shards import Shards, lacking
from kairos.store.walking import Batch, Stamp, is_settled, walk
from kairos.values import Digest

__all__ = ["Taken", "take_file", "take_folder"]

_LARGE_BYTES = 256 << 10
"""Larger files are read by several threads at once: the interpreter is not needed to name and to write them."""
_THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a folder."""

    digest: Digest
    files: int
    size_bytes: int
    """Of all files together."""
    read: int
    """Files that were read; the others had not changed."""
    stored: int
    """Files whose bytes the store did not hold."""


def take_folder(
    root: Path, blobs: Path, folder: Path, *, index: Path | None = None, ignore: Ignore | None = None
) -> Taken:
    """Stores every file of a folder, then its listing; memory does not grow with the number of files.

    Args:
        root: The store's folder.
        blobs: Where its blobs are.
        folder: What to store.
        index: Where is remembered what its files were when they were read; written anew. ``None``: nowhere.
        ignore: What of it is left out.

    Raises:
        StoreError: the folder holds something that cannot be stored, or read.
    """
    make_folder(root / "tmp")
    found = _take_folder(root, blobs, folder, index, ignore, is_trusting=True)
    if found is None:
        found = _take_folder(root, blobs, folder, index, ignore, is_trusting=False)
        assert found is not None
    return found


def _take_folder(
    root: Path, blobs: Path, folder: Path, index: Path | None, ignore: Ignore | None, *, is_trusting: bool
) -> Taken | None:
    """Does it; ``None``: of files that had not changed, and so were not read, the store lacks bytes.

    Whether it has them is looked for in the end if it is trusted, which takes less time than to look for each.
    """
    taken, unread = _Tally(), Shards()
    with (
        ThreadPoolExecutor(_THREADS, thread_name_prefix="kairos-store") as pool,
        Desk(root / "tmp", blobs) as desk,
        nullcontext() if index is None else IndexWriter(index) as writer,
        ListingWriter(root / "tmp") as listing,
    ):
        reader = None if index is None else IndexReader(index)
        for batch in walk(folder, ignore):
            known: list[str | None] = [None] * len(batch.names)
            if reader is not None:
                known = reader.find(*batch)
            if is_trusting:
                unread.add(filter(None, known))
            else:
                known = [digest if digest and _is_there(blobs, digest) else None for digest in known]
            found = _read(folder, batch, known, desk, pool, str(blobs))
            taken.add(found)
            listing.add(found.names, found.digests)
            if writer is not None:
                writer.add(found.names, found.stamps, found.sure)
        desk.flush()  # leaves before trees
        if next(lacking(blobs, unread), None) is not None:
            return None
        temporary, whole = listing.end()
        place = blobs / whole[:2] / f"{whole[2:]}.dir"
        if not place.exists() or not holds_bytes(place, Digest(f"{whole}.dir")):
            desk.place(temporary, f"{whole}.dir", 0)
            desk.flush()
        if writer is not None:
            writer.end(whole, taken.size_bytes)
    return taken.taken(Digest(f"{whole}.dir"))


class _Found(NamedTuple):
    """What some files are, that follow each other."""

    names: list[str]
    stamps: list[Stamp]
    digests: list[str]
    sure: list[str | None]
    """The digests, but of those files whose stamps would not tell that they changed afterwards."""
    reads: list[Read]
    """Of those that were read."""
    unread_bytes: int
    """Of all others."""


@dataclass(slots=True)
class _Tally:
    files: int = 0
    size_bytes: int = 0
    read: int = 0
    stored: int = 0

    def add(self, found: _Found) -> None:
        self.files += len(found.names)
        self.size_bytes += found.unread_bytes + sum(read.size_bytes for read in found.reads)
        self.read += len(found.reads)
        self.stored += sum(read.temporary is not None for read in found.reads)

    def taken(self, digest: Digest) -> Taken:
        return Taken(digest=digest, files=self.files, size_bytes=self.size_bytes, read=self.read, stored=self.stored)


def take_file(root: Path, blobs: Path, path: Path) -> Digest:
    """Stores one file.

    Args:
        root: The store's folder.
        blobs: Where its blobs are.
        path: The file.
    """
    make_folder(root / "tmp")
    with Desk(root / "tmp", blobs) as desk:
        found = take(str(path), desk.name(), str(blobs))
        if found.temporary is not None:
            desk.place(found.temporary, found.digest, found.size_bytes)
            desk.flush()
    return Digest(found.digest)


def _read(folder: Path, batch: Batch, known: list[str | None], desk: Desk, pool: Executor, blobs: str) -> _Found:
    """Reads the files whose digests are not known, and gives their bytes to the desk.

    Small files are read here, one after the other: threads would wait for each other longer than for the disk.
    """
    names, stamps = batch
    unread_bytes = sum(stamp.size_bytes for stamp in stamps)
    if None not in known:
        return _Found(names, stamps, [digest for digest in known if digest], known, [], unread_bytes)
    above = f"{folder}/"
    reads: dict[int, Read | None] = {}
    waiting: dict[int, Future[Read | None]] = {}
    for at in [at for at, digest in enumerate(known) if digest is None]:
        unread_bytes -= stamps[at].size_bytes
        if stamps[at].size_bytes > _LARGE_BYTES:
            waiting[at] = pool.submit(_take, above + names[at], desk.name(), blobs)
            continue
        reads[at] = read = _take(above + names[at], desk.name(), blobs, desk.name_for)
        if read is not None and read.temporary is not None:
            desk.place(read.temporary, read.digest, read.size_bytes)
    for at, future in waiting.items():
        reads[at] = read = future.result()
        if read is not None and read.temporary is not None:
            desk.place(read.temporary, read.digest, read.size_bytes)
    there = [at for at in range(len(names)) if reads.get(at, ...) is not None]  # the others were removed meanwhile
    done = {at: read for at, read in reads.items() if read is not None}
    return _Found(
        [names[at] for at in there],
        [done[at].stamp or stamps[at] if at in done else stamps[at] for at in there],
        [done[at].digest if at in done else known[at] or "" for at in there],
        [_sure(done[at]) if at in done else known[at] for at in there],
        list(done.values()),
        unread_bytes,
    )


def _sure(read: Read) -> str | None:
    """Its digest, if a change after it was read would show in its stamp."""
    return read.digest if read.stamp is not None and is_settled(read.stamp, read.read_ns) else None


def _take(
    path: str, temporary: str, blobs: str, name_for: Callable[[str], str | None] = lambda digest: None
) -> Read | None:
    """Reads a file; ``None``: there is none any more."""
    try:
        return take(path, temporary, blobs, name_for)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise StoreError("A file cannot be read.", given=f"{path}: {error.strerror}") from error


def _is_there(blobs: Path, digest: str) -> bool:
    return os.path.exists(f"{blobs}/{digest[:2]}/{digest[2:]}")
