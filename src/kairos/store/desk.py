"""Where bytes lie until the disk has them: then they get their names, many at once."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from kairos.store.files import make_folder, sync_all

__all__ = ["Desk"]

_MOST_WAITING, _MOST_BYTES = 20_000, 1 << 30
"""After so many files, or bytes, the disk is waited for."""


class Desk:
    """Where bytes lie until the disk has them and they get their names.

    Args:
        folder: For temporary files; on the file system of the blobs.
        blobs: The store's folder of blobs.
        most_waiting: After so many files the disk is waited for.
        most_bytes: After so many bytes, too.
    """

    def __init__(
        self, folder: Path, blobs: Path, *, most_waiting: int = _MOST_WAITING, most_bytes: int = _MOST_BYTES
    ) -> None:
        self._above, self._blobs = folder, blobs
        self._most_waiting, self._most_bytes = most_waiting, most_bytes
        self._numbers = itertools.count(1)  # names are asked for by several threads
        self._bytes = 0
        self._waiting: list[tuple[str, str]] = []

    def __enter__(self) -> Desk:
        self._folder = tempfile.mkdtemp(prefix="take-", dir=self._above)
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def name(self) -> str:
        """A name for a temporary file."""
        return f"{self._folder}/{next(self._numbers)}"

    def place(self, temporary: str, digest: str, size_bytes: int) -> None:
        """Gives a file its name, now or when enough wait."""
        self._waiting.append((temporary, digest))
        self._bytes += size_bytes
        if len(self._waiting) >= self._most_waiting or self._bytes >= self._most_bytes:
            self.flush()

    def flush(self) -> None:
        """Gives all that wait their names, for good."""
        if not self._waiting:
            return
        make_folder(self._blobs)
        sync_all([temporary for temporary, _ in self._waiting], self._blobs)
        shards = {digest[:2] for _, digest in self._waiting}
        for shard in shards:
            with suppress(FileExistsError):
                os.mkdir(self._blobs / shard)
        place = str(self._blobs)
        for temporary, digest in self._waiting:
            os.replace(temporary, f"{place}/{digest[:2]}/{digest[2:]}")
        sync_all([place, *(f"{place}/{shard}" for shard in shards)], self._blobs)
        self._waiting, self._bytes = [], 0
