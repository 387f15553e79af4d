"""The blobs of DVC 1 and 2: ``ab/cdef…`` in the same cache, named by MD5, of texts with the line ends of Unix."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from kairos.errors import StoreError
from kairos.store.blobs import Store
from kairos.store.ignoring import Ignore
from kairos.values import Digest

if TYPE_CHECKING:
    from kairos.store.intake import Taken

__all__ = ["OldStore"]

_PIECE_BYTES = 1 << 20
"""DVC names a file in such pieces; line ends across two of them stay."""
_LOOKED_AT = 512
_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"
_MOST_OTHERS = 0.3
"""A text may have so many other bytes among its first."""


class OldStore(Store):
    """Blobs in the old layout: read, checked, fetched and sent, and never put anew.

    Args:
        root: The cache's folder, the same as that of the store in the layout of today.
    """

    prefix = ""

    def names_of(self, path: Path) -> tuple[Digest, ...]:
        """The MD5 of the file's bytes, then those that releases of DVC gave it as a text, if these differ."""
        with path.open("rb") as file:
            first = file.read(_PIECE_BYTES)
            plain, whole, each = (hashlib.md5(usedforsecurity=False) for _ in range(3))
            is_text, piece = _is_text(first), first
            while piece:
                plain.update(piece)
                whole.update(_unix(piece) if is_text else piece)
                each.update(_unix(piece) if _is_text(piece) else piece)
                piece = file.read(_PIECE_BYTES)
        return tuple(dict.fromkeys(Digest(one.hexdigest()) for one in (plain, whole, each)))

    def is_intact(self, path: Path, digest: Digest) -> bool:
        """Whether one of the names of its bytes is that digest."""
        return digest.removesuffix(".dir") in self.names_of(path)

    def put_bytes(self, data: bytes) -> Digest:
        """Refused.

        Raises:
            StoreError: always.
        """
        raise _refused()

    def put_file(self, path: Path) -> Digest:
        """Refused.

        Raises:
            StoreError: always.
        """
        raise _refused()

    def take_folder(self, path: Path, *, remembers: bool = False, ignore: Ignore | None = None) -> Taken:
        """Refused.

        Raises:
            StoreError: always.
        """
        raise _refused()

    def index(self, folder: Path) -> Path:
        """Where nothing is: digests of files are remembered in the layout of today only."""
        return self.root / "index" / "none"


def _refused() -> StoreError:
    return StoreError("Nothing is stored anew in the layout of DVC 2.", accepted="the store in the layout of DVC 3")


def _unix(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n")


def _is_text(data: bytes) -> bool:
    """As DVC tells, by the first bytes."""
    some = data[:_LOOKED_AT]
    return b"\x00" not in some and len(some.translate(None, _TEXT)) <= _MOST_OTHERS * len(some)
