"""Where blobs are kept for others: what transfers need of such a place, and the simplest of them, a folder."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from kairos.store.files import clone_file, make_folder
from kairos.values import Digest

__all__ = ["UNKNOWN", "FolderPlace", "Place", "PlaceRefused", "name_of"]

UNKNOWN = -1
"""The size of a blob that is there, where the place does not tell it."""


class PlaceRefused(OSError):
    """The place does not do it, and will not if it is asked again: who asks is not known, or an option is wrong."""


class Place(Protocol):
    """A place with blobs in DVC's layout. All methods may be called from several threads.

    They raise ``FileNotFoundError`` where a blob is not there, ``PlaceRefused`` or ``PermissionError`` where it is of
    no use to ask again, and any other ``OSError`` where it may be.
    """

    @property
    def lists(self) -> bool:
        """Whether it can say what is there."""

    def sizes(self, shard: str) -> Mapping[Digest, int]:
        """Sizes in bytes of all blobs whose digests begin with these two characters."""

    def size(self, digest: Digest) -> int | None:
        """The size of a blob in bytes; ``None``: it is not there."""

    def send(self, source: Path, digest: Digest) -> None:
        """Puts a file there, in place of what is; as far as its protocol allows nobody sees a part."""

    def fetch(self, digest: Digest, target: Path) -> None:
        """Gets a blob into a new file; its bytes are not checked."""

    def abandon(self) -> None:
        """Lets all threads that wait for the place go on at once, with an ``OSError``: nobody needs an answer."""


def name_of(digest: Digest, prefix: str = "files/md5") -> str:
    """The path of a blob inside a place: ``files/md5/ab/cdef…``, or, of the layout of DVC 2, ``ab/cdef…``."""
    return f"{prefix}/{digest[:2]}/{digest[2:]}".lstrip("/")


class FolderPlace:
    """A folder of this machine, or one that another machine shares with it.

    Args:
        root: The folder; made by the first send.
        prefix: The folder of the blobs in it.
    """

    lists = True

    def __init__(self, root: Path, *, prefix: str = "files/md5") -> None:
        self._root = root
        self._prefix = prefix

    def sizes(self, shard: str) -> Mapping[Digest, int]:
        """See ``Place``."""
        try:
            with os.scandir(self._root / self._prefix / shard) as entries:
                return {Digest(shard + entry.name): entry.stat().st_size for entry in entries}
        except FileNotFoundError:
            return {}

    def size(self, digest: Digest) -> int | None:
        """See ``Place``."""
        try:
            return (self._root / name_of(digest, self._prefix)).stat().st_size
        except FileNotFoundError:
            return None

    def send(self, source: Path, digest: Digest) -> None:
        """See ``Place``."""
        target = self._root / name_of(digest, self._prefix)
        make_folder(target.parent)
        make_folder(self._root / "tmp")
        temporary = self._root / "tmp" / f"send-{uuid.uuid4().hex}"
        try:
            clone_file(source, temporary, "reflink")
            with temporary.open("rb") as file:
                os.fchmod(file.fileno(), 0o444)
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def fetch(self, digest: Digest, target: Path) -> None:
        """See ``Place``."""
        clone_file(self._root / name_of(digest, self._prefix), target, "reflink")

    def abandon(self) -> None:
        """See ``Place``; a copy of a file ends by itself."""
