"""Folders as DVC writes them: a sorted JSON list of ``{"md5", "relpath"}``, named by its MD5 and ``.dir``."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from kairos.errors import BlobDamaged, UsageError
from kairos.store.files import write_all
from kairos.values import Digest

__all__ = ["ListingWriter", "check_digest", "is_folder", "listing_bytes", "parse_listing"]

_DIGEST = re.compile(r"^[0-9a-f]{32}(\.dir)?$")


def check_digest(text: str) -> Digest:
    """Returns ``text`` as a digest.

    Raises:
        UsageError: it is not 32 lower-case hexadecimal digits, with or without ``.dir``.
    """
    if _DIGEST.match(text) is None or text.endswith("\n"):
        raise UsageError(
            "A digest cannot be read.", given=text, accepted="32 lower-case hexadecimal digits, '.dir' for a folder"
        )
    return Digest(text)


def is_folder(digest: Digest) -> bool:
    """Whether the digest names a folder rather than a file."""
    return digest.endswith(".dir")


def listing_bytes(files: Mapping[str, Digest]) -> bytes:
    """Writes a folder's listing, byte for byte as DVC does.

    Args:
        files: Digest of each file by its path inside the folder, with ``/`` between names.

    >>> listing_bytes({"a": Digest("60b725f10c9c85c70d97880dfe8191b3")})
    b'[{"md5": "60b725f10c9c85c70d97880dfe8191b3", "relpath": "a"}]'
    """
    return json.dumps([{"md5": files[name], "relpath": name} for name in sorted(files)]).encode()


class ListingWriter:
    """Writes a folder's listing piece by piece, to a temporary file.

    Args:
        folder: Where that is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._pieces: list[str] = []
        self._is_first = True

    def __enter__(self) -> ListingWriter:
        self._handle, self._path = tempfile.mkstemp(prefix="listing-", dir=self._folder)
        os.fchmod(self._handle, 0o444)
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._handle)
        with suppress(FileNotFoundError):  # it has got its name
            os.unlink(self._path)

    def add(self, name: str, md5: str) -> None:
        """Adds a file; names have to come in ascending order."""
        self._pieces.append(f'{{"md5": "{md5}", "relpath": {json.dumps(name)}}}')
        if len(self._pieces) == 1_000:
            self._write(", ".join(self._pieces))

    def end(self) -> tuple[str, str]:
        """Ends it; returns where it is, and its MD5."""
        self._write(", ".join(self._pieces) + "]")
        return self._path, self._md5.hexdigest()

    def _write(self, text: str) -> None:
        data = (("[" if self._is_first else ", " if self._pieces else "") + text).encode()
        self._is_first, self._pieces = False, []
        self._md5.update(data)
        write_all(self._handle, data)


def parse_listing(data: bytes, digest: Digest) -> dict[str, Digest]:
    """Reads a folder's listing, written by Kairos or by DVC.

    Args:
        data: The listing's bytes.
        digest: The listing's own digest, for messages.

    Raises:
        BlobDamaged: the bytes are no listing, or name a path that leaves the folder.
    """
    try:
        entries = [(str(entry["relpath"]), str(entry["md5"])) for entry in json.loads(data)]
    except (ValueError, TypeError, KeyError) as error:
        raise BlobDamaged(f"The folder listing {digest} cannot be read.", digest=digest) from error
    files: dict[str, Digest] = {}
    for name, md5 in entries:
        parts = name.split("/")
        if not all(parts) or {".", ".."} & set(parts) or "\0" in name or not _DIGEST.match(md5) or md5.endswith(".dir"):
            raise BlobDamaged(
                f"The folder listing {digest} holds an entry that is refused.",
                given=f"{name!r}, {md5!r}",
                accepted="a path inside the folder, and the digest of a file",
                digest=digest,
            )
        files[name] = Digest(md5)
    return files
