"""Bytes by their digest, in the layout of DVC 3's cache: ``files/md5/ab/cdef…``, folders as ``.dir`` listings."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from kairos.errors import NotFound, UsageError
from kairos.store.checkouts import Layer, damaged, missing
from kairos.store.files import Link, make_folder, new_file, sync_folder, sync_names, write_all
from kairos.store.folders import Entries, check_digest, is_folder, read_listing
from kairos.store.hallmarks import holds_bytes, set_hallmark
from kairos.store.replacing import carry, replaced
from kairos.store.shards import Shards, lacking
from kairos.store.verifying import Damage, verify, verify_all
from kairos.values import Digest

if TYPE_CHECKING:
    from kairos.store.ignoring import Ignore
    from kairos.store.intake import Taken

__all__ = ["SYNCED_S", "Store"]

SYNCED_S = 600.0
"""By then the system has a file's name on the disk by itself."""


class Store:
    """Blobs below one folder. Safe from several threads and processes: equal bytes have equal names.

    Args:
        root: Folder of the store, ``.dvc/cache`` in a project; made when the first blob is put.
        names_later: Whether ``put_bytes`` waits for the disk for the bytes only; of blobs that are needed ``sync`` then
            has to be told, once for all of them. A power cut before that loses names, and never leaves half a blob.
    """

    prefix = "files/md5"
    """The folder of the blobs, here and at remotes."""

    def __init__(self, root: Path, *, names_later: bool = False) -> None:
        self.root = root
        self._names_later = names_later

    def put_bytes(self, data: bytes) -> Digest:
        """Stores bytes and returns their digest; on return they survive a power cut."""
        return self._put_bytes(data, suffix="")

    def sync(self, digests: Iterable[Digest], *, since_s: float = 0.0) -> None:
        """Makes the names of blobs survive a power cut, except names from before ``since_s`` (seconds since 1970)."""
        above = str(self.files)
        sync_names((f"{above}/{digest[:2]}/{digest[2:]}" for digest in digests), since_s)

    def put_file(self, path: Path) -> Digest:
        """Stores a file's bytes, read in pieces; a file that changes meanwhile is stored as it was read.

        Raises:
            NotFound: there is no such file.
        """
        if not path.is_file():
            raise NotFound("There is no file to store.", given=path.name, accepted="a path to a file")
        from kairos.store.intake import take_file  # here and below: for many files, with their index

        return take_file(self.root, self.files, path)

    def put_folder(self, path: Path, *, remembers: bool = False, ignore: Ignore | None = None) -> Digest:
        """Stores every file of a folder, then the folder's listing; a crash in between leaves no half folder.

        Empty folders inside it are not kept: DVC's format has no place for them.

        Args:
            path: The folder.
            remembers: Whether to keep in mind what its files are, so that those that do not change are not read again.
            ignore: What of it is left out.

        Raises:
            NotFound: there is no such folder.
            StoreError: the folder holds something that is neither file nor folder.
        """
        return self.take_folder(path, remembers=remembers, ignore=ignore).digest

    def take_folder(self, path: Path, *, remembers: bool = False, ignore: Ignore | None = None) -> Taken:
        """Does what ``put_folder`` does, and says more of it."""
        if not path.is_dir():
            raise NotFound("There is no folder to store.", given=path.name, accepted="a path to a folder")
        from kairos.store.intake import take_folder

        index = self.index(path) if remembers else None
        return take_folder(self.root, self.files, path, index=index, ignore=ignore)

    def has(self, digest: Digest) -> bool:
        """Whether the blob is here; for a folder, whether all its files are here too."""
        if not self.place(digest).is_file():
            return False
        if not is_folder(digest):
            return True
        return next(lacking(self.files, self.leaves(digest)), None) is None

    def holds(self, digest: Digest) -> bool:
        """Whether the blob itself is here; of a folder, its listing."""
        check_digest(digest)
        return os.path.isfile(f"{self.files}/{digest[:2]}/{digest[2:]}")  # asked of each of a million

    def path(self, digest: Digest) -> Path:
        """The blob's own file, which is read-only and must not be changed.

        Raises:
            BlobMissing: the store does not hold it.
        """
        place = self.place(digest)
        if not place.is_file():
            raise missing(digest)
        return place

    def get_bytes(self, digest: Digest, *, verify: bool = False) -> bytes:
        """The blob's bytes; for a folder, its listing.

        Raises:
            BlobMissing: the store does not hold it.
            BlobDamaged: ``verify`` is set and the bytes do not match the digest.
        """
        path = self.path(digest)
        if verify and not self.is_intact(path, digest):
            raise damaged(digest)
        return path.read_bytes()

    def names_of(self, path: Path) -> tuple[Digest, ...]:
        """The digests by which a blob of a file's bytes may be known: the MD5 of them."""
        return (Digest(_digest_file(path)),)

    def is_intact(self, path: Path, digest: Digest) -> bool:
        """Whether a blob's bytes, all of which are read, are those of its digest; of a folder those of its listing."""
        return holds_bytes(path, digest)

    def listing(self, digest: Digest) -> dict[str, Digest]:
        """Digest of every file of a folder by its path inside it, sorted; all are held in memory.

        Raises:
            UsageError: the digest names a file.
            BlobMissing: the store does not hold the listing.
            BlobDamaged: the listing's bytes do not match its digest.
        """
        return {name: Digest(leaf) for each in self.entries(digest) for name, leaf in zip(*each, strict=True)}

    def entries(self, digest: Digest) -> Iterator[Entries]:
        """The files of a folder in the order of their paths, some thousand at a time; raises what ``listing`` does."""
        if not is_folder(digest):
            raise UsageError(
                "A file has no listing.", given=digest, accepted="the digest of a folder, ending in '.dir'"
            )
        with self.path(digest).open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            if md5 != digest.removesuffix(".dir"):
                raise damaged(digest)
            file.seek(0)
            yield from read_listing(file, digest)

    def checkout(
        self,
        digest: Digest,
        target: Path,
        *,
        link: Link = "copy",
        ignore: Ignore | None = None,
        remembers: bool = False,
    ) -> None:
        """Puts a file or folder at ``target``, replacing what is there.

        Everything is made beside ``target`` first and then renamed, so nobody sees a part. Replacing a folder takes
        two renames: a crash exactly between them leaves the old one beside it under a name starting with a dot.

        Args:
            digest: What to check out; no damaged bytes are used. A copy is read against its digest while it is made.
                What is linked is read before, unless its hallmark says that it was within a week.
            target: Where; its parent is made if absent.
            link: ``hardlink`` shares the store's read-only files, ``reflink`` shares blocks until one is changed; both
                fall back to a copy where the file system cannot.
            ignore: What of a folder that is there stays in it, as it is not known to the store.
            remembers: Whether to keep in mind what a folder's files are, so that they are not read to see that they did
                not change.

        Raises:
            BlobMissing: the blob, or a file of the folder, is not here; ``target`` is left as it was.
            BlobDamaged: bytes do not match their digest; ``target`` is left as it was.
        """
        self.path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        desk = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            layer = Layer(self.files, link, self.is_intact)
            if is_folder(digest):
                layer.lay_folder(self.entries(digest), desk / "new")
            else:
                layer.lay_file(digest, f"{desk}/new")
            if ignore is not None and is_folder(digest) and target.is_dir() and not target.is_symlink():
                carry(ignore, target, desk / "new")
            with self._remembered(digest, desk / "new", target) if remembers else nullcontext():
                while not replaced(desk, target):
                    continue  # somebody else put something there meanwhile
            sync_folder(target.parent)
        except BaseException:
            if (desk / "old").exists() and not target.exists():
                os.rename(desk / "old", target)
            raise
        finally:
            shutil.rmtree(desk)

    def _remembered(self, digest: Digest, folder: Path, target: Path) -> AbstractContextManager[None]:
        if not is_folder(digest):
            return nullcontext()
        from kairos.store.remembering import remembered

        return remembered(self.index(target), folder, self.entries(digest), digest)

    def verify(self, digests: Iterable[Digest] | None = None) -> list[Damage]:
        """Reads blobs again and names those that are missing or changed; a folder's files are read with it.

        Args:
            digests: What to read; everything in the store if ``None``.
        """
        return verify_all(self) if digests is None else verify(self, digests)

    def digests(self) -> Iterator[Digest]:
        """Every blob the store holds, sorted."""
        for folder in sorted(self.files.glob("[0-9a-f][0-9a-f]")):
            for file in sorted(folder.iterdir()):
                name = folder.name + file.name
                if len(name.removesuffix(".dir")) == 32:
                    yield Digest(name)

    @property
    def files(self) -> Path:
        """Where the blobs are."""
        return self.root / self.prefix

    def place(self, digest: Digest) -> Path:
        """Where the blob's own file is, or would be."""
        check_digest(digest)
        return self.files / digest[:2] / digest[2:]

    def index(self, folder: Path) -> Path:
        """Where is remembered what a folder's files were."""
        name = hashlib.sha256(os.fsencode(os.path.abspath(folder))).hexdigest()[:32]
        return self.root / "index" / name

    def _put_bytes(self, data: bytes, *, suffix: str) -> Digest:
        digest = Digest(_digest_bytes(data) + suffix)
        if self._holds_intact(digest):
            if not self._names_later:  # whoever put it may not have synced it yet
                self.sync([digest], since_s=time.time() - SYNCED_S)
        else:
            with new_file(self.root / "tmp") as (handle, temporary):
                write_all(handle, data)
                self._keep(handle, temporary, digest)
        return digest

    def _holds_intact(self, digest: Digest) -> bool:
        """Whether the blob is here with the right bytes; a put of the same bytes thus heals a damaged blob."""
        place = self.place(digest)
        return place.is_file() and _digest_file(place) == digest.removesuffix(".dir")

    def _keep(self, handle: int, temporary: Path, digest: Digest) -> None:
        os.fchmod(handle, 0o444)
        set_hallmark(handle, digest, os.fstat(handle))
        os.fsync(handle)
        place = self.place(digest)
        make_folder(place.parent)
        os.replace(temporary, place)
        if not self._names_later:
            sync_folder(place.parent)

    def leaves(self, folder: Digest) -> Shards:
        """The digests of a folder's files; raises what ``listing`` does."""
        shards = Shards()
        for entries in self.entries(folder):
            shards.add(entries.digests)
        return shards


def _digest_bytes(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
