"""Where bytes lie until the disk has them: then they get their names, many at once."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Thread

from kairos.store.files import make_folder, start_sync, sync_all

__all__ = ["Desk"]

_MOST_WAITING, _MOST_BYTES = 20_000, 1 << 30
"""After so many files, or bytes, the disk is waited for."""
_BEGUN_FILES, _BEGUN_BYTES = 1_500, 16 << 20
"""After so many files, or bytes, the disk begins with them."""


class Desk:
    """Where bytes lie until the disk has them and they get their names.

    A file whose name is known before it is written lies in a folder as the store's, if the store has no such folder
    yet: so all of that folder get their names in one step.

    Args:
        folder: For temporary files; on the file system of the blobs.
        blobs: The store's folder of blobs.
        most_waiting: After so many files the disk is waited for.
        most_bytes: After so many bytes, too.
    """

    def __init__(
        self, folder: Path, blobs: Path, *, most_waiting: int = _MOST_WAITING, most_bytes: int = _MOST_BYTES
    ) -> None:
        self._above, self._blobs = folder, str(blobs)
        self._most_waiting, self._most_bytes = most_waiting, most_bytes
        self._numbers = itertools.count(1)  # names are asked for by several threads
        self._bytes = self._begun_bytes = self._begun_files = 0
        self._waiting: list[tuple[str, str]] = []
        self._is_new = dict[str, bool]()
        """Of which shards the store has no folder, so that they have one here."""
        self._begun: Thread | None = None
        self._failed: list[OSError] = []

    def __enter__(self) -> Desk:
        self._folder = tempfile.mkdtemp(prefix="take-", dir=self._above)
        return self

    def __exit__(self, *error: object) -> None:
        self._wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def name(self) -> str:
        """A name for a temporary file; no shard is called so."""
        return f"{self._folder}/t{next(self._numbers)}"

    def name_for(self, digest: str) -> str | None:
        """A name for a temporary file that will hold a blob; ``None``: the store may have that blob.

        Not for several threads at once. If there is such a file already, it is that blob, and waits.
        """
        shard = digest[:2]
        is_new = self._is_new.get(shard)
        if is_new is None:
            is_new = self._is_new[shard] = not os.path.exists(f"{self._blobs}/{shard}")
            if is_new:
                with suppress(FileExistsError):
                    os.mkdir(f"{self._folder}/{shard}")
        return f"{self._folder}/{shard}/{digest[2:]}" if is_new else None

    def place(self, temporary: str, digest: str, size_bytes: int) -> None:
        """Gives a file its name, now or when enough wait."""
        self._waiting.append((temporary, digest))
        self._bytes += size_bytes
        if len(self._waiting) >= self._most_waiting or self._bytes >= self._most_bytes:
            self.flush()
        elif len(self._waiting) - self._begun_files >= _BEGUN_FILES or self._bytes - self._begun_bytes >= _BEGUN_BYTES:
            self._begin()

    def flush(self) -> None:
        """Gives all that wait their names, for good."""
        if not self._waiting:
            return
        self._wait()
        if self._failed:  # a sync that failed is told once
            raise self._failed[0]
        make_folder(Path(self._blobs))
        sync_all([temporary for temporary, _ in self._waiting], Path(self._blobs))
        shards = {digest[:2] for _, digest in self._waiting}
        moved = {shard for shard in shards if self._is_new.get(shard) and self._moved(shard)}
        for shard in shards - moved:
            with suppress(FileExistsError):
                os.mkdir(f"{self._blobs}/{shard}")
        for temporary, digest in self._waiting:
            if digest[:2] not in moved or not temporary.endswith(f"/{digest[:2]}/{digest[2:]}"):
                os.replace(temporary, f"{self._blobs}/{digest[:2]}/{digest[2:]}")
        sync_all([self._blobs, *(f"{self._blobs}/{shard}" for shard in shards)], Path(self._blobs))
        self._waiting, self._is_new = [], {}
        self._bytes = self._begun_bytes = self._begun_files = 0

    def _moved(self, shard: str) -> bool:
        """Whether the store got a whole folder; ``False``: somebody else made it meanwhile."""
        try:
            os.rename(f"{self._folder}/{shard}", f"{self._blobs}/{shard}")
        except OSError:
            return False
        return True

    def _begin(self) -> None:
        """Has the disk begin with what waits, unless it is at it."""
        if self._begun is not None and self._begun.is_alive():
            return
        self._begun_files, self._begun_bytes = len(self._waiting), self._bytes
        self._begun = start_sync(self._folder, self._failed)

    def _wait(self) -> None:
        if self._begun is not None:
            self._begun.join()
            self._begun = None
