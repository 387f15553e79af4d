"""Blobs to where people work, each in one go: its bytes are known to be right when it gets its place there."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kairos.errors import BlobDamaged, BlobMissing
from kairos.store.files import NOT_HERE, Link, reflink, write_all
from kairos.store.folders import Entries
from kairos.store.hallmarks import has_hallmark, holds_bytes
from kairos.values import Digest

__all__ = ["Layer", "damaged", "missing", "told_of"]

_PIECE_BYTES = 1 << 20


class Layer:
    """Gives blobs a second place. What is linked is read before, unless its hallmark says that it was lately.

    Args:
        blobs: The store's folder of blobs.
        link: How; where the file system cannot, it is a copy.
        is_intact: Whether a file holds the bytes of a digest.
    """

    def __init__(self, blobs: Path, link: Link, is_intact: Callable[[Path, Digest], bool] = holds_bytes) -> None:
        self._above = f"{blobs}/"
        self._link = link
        self._is_intact = is_intact
        self._now_s = time.time()

    def lay_folder(self, listing: Iterable[Entries], target: Path) -> None:
        """Makes a folder of these files.

        Raises:
            BlobMissing: a file is not here.
            BlobDamaged: the bytes of one do not match its digest.
        """
        os.mkdir(target)
        above, last = f"{target}/", ""
        for names, digests in listing:
            for name, digest in zip(names, digests, strict=True):
                folder = name[: name.rfind("/") + 1]
                if folder != last:
                    os.makedirs(above + folder, exist_ok=True)
                    last = folder
                try:
                    self.lay_file(digest, above + name)
                except BlobDamaged:
                    raise damaged(Digest(digest), file=name) from None
                except BlobMissing:
                    raise missing(Digest(digest), file=name) from None

    def lay_file(self, digest: str, target: str) -> None:
        """Makes one file, which must not exist; raises what ``lay_folder`` does, and may then leave a part of it."""
        place = f"{self._above}{digest[:2]}/{digest[2:]}"
        try:
            if self._link == "copy" or not self._linked(place, digest, target):
                md5 = _copied(place, target)
                if md5 != digest.removesuffix(".dir") and not self._is_intact(Path(target), Digest(digest)):
                    raise damaged(Digest(digest))
        except FileNotFoundError:
            if not os.path.exists(place):
                raise missing(Digest(digest)) from None
            raise

    def _linked(self, place: str, digest: str, target: str) -> bool:
        if not has_hallmark(digest, os.stat(place), self._now_s) and not self._is_intact(Path(place), Digest(digest)):
            raise damaged(Digest(digest))
        if self._link == "reflink":
            if reflink(Path(place), Path(target)):
                return True
            self._link = "copy"  # nor can the next
            return False
        try:
            os.link(place, target)
        except OSError as error:
            if error.errno not in NOT_HERE:
                raise
            if error.errno != errno.EMLINK:  # that is for this one
                self._link = "copy"
            return False
        return True


def damaged(digest: Digest, *, file: str | None = None) -> BlobDamaged:
    """What is raised where a blob's bytes do not match its name; ``file`` is what it is known by, where it is."""
    what = f"The blob {digest} is damaged" if file is None else f"The file {file!r} is damaged in the store"
    return BlobDamaged(
        f"{what}: its bytes do not match its name.",
        given=None if file is None else f"the blob {digest}",
        hint="It was not used. Make it again: kairos run --force STEP; what a remote has comes back "
        "with: kairos store verify --fetch",
        digest=digest,
        **({} if file is None else {"file": file}),
    )


def missing(digest: Digest, *, file: str | None = None) -> BlobMissing:
    """What is raised where the store does not hold a blob; ``file`` as above."""
    what = f"The store holds no blob {digest}" if file is None else f"The file {file!r} is not in the store"
    return BlobMissing(
        f"{what}.",
        given=None if file is None else f"the blob {digest}",
        hint="Where a remote has it: kairos data pull PATH, or kairos store verify --fetch",
        digest=digest,
        **({} if file is None else {"file": file}),
    )


@contextmanager
def told_of(file: str) -> Iterator[None]:
    """What is raised of a blob is told of a file; one that is inside the file, as it is a folder, of its path in it."""
    try:
        yield
    except (BlobDamaged, BlobMissing) as error:
        inner, digest = error.facts.get("file"), error.facts.get("digest")
        if digest is None:
            raise
        name = f"{file}/{inner}" if inner else file
        raise (damaged if isinstance(error, BlobDamaged) else missing)(Digest(digest), file=name) from error


def _copied(place: str, target: str) -> str:
    """Copies a blob; returns the MD5 of what was copied."""
    md5 = hashlib.md5(usedforsecurity=False)
    source = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(source, _PIECE_BYTES)
        copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            while data:
                md5.update(data)
                write_all(copy, data)
                data = os.read(source, _PIECE_BYTES)
        finally:
            os.close(copy)
    finally:
        os.close(source)
    return md5.hexdigest()
