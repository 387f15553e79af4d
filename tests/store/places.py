"""Places that fail, as those over a network do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from kairos.store.blobs import Store
from kairos.store.folders import is_folder
from kairos.store.places import FolderPlace, name_of
from kairos.values import Digest

__all__ = ["FailingPlace", "assert_leaves_before_trees"]


class FailingPlace:
    """A folder whose n-th operation fails, alone or with all after it; a send may leave a part under a temporary name.

    Args:
        root: The folder.
        fails: Whether the operation of this number, from 1 on, fails.
    """

    lists = True

    def __init__(self, root: Path, fails: Callable[[int], bool] = lambda number: False) -> None:
        self.root, self._within, self._fails = root, FolderPlace(root), fails
        self._lock, self.asked = threading.Lock(), 0
        self.sent: list[Digest] = []
        self.fetched: list[Digest] = []

    def _ask(self) -> None:
        with self._lock:
            self.asked += 1
            number = self.asked
        if self._fails(number):
            raise ConnectionResetError(104, "Connection reset by peer")

    def sizes(self, shard: str) -> Mapping[Digest, int]:
        """See ``Place``."""
        self._ask()
        return self._within.sizes(shard)

    def size(self, digest: Digest) -> int | None:
        """See ``Place``."""
        self._ask()
        return self._within.size(digest)

    def send(self, source: Path, digest: Digest) -> None:
        """See ``Place``."""
        self._ask()
        self._within.send(source, digest)
        self.sent.append(digest)

    def fetch(self, digest: Digest, target: Path) -> None:
        """See ``Place``."""
        try:
            self._ask()
        except OSError:
            target.write_bytes(b"a part")  # of what was asked for
            raise
        self._within.fetch(digest, target)
        self.fetched.append(digest)

    def abandon(self) -> None:
        """See ``Place``."""


def assert_leaves_before_trees(root: Path) -> None:
    """Whatever has a name below this folder is whole, and no listing is there before all of its files are."""
    store = Store(root)
    for digest in store.digests():
        assert store.verify([digest]) == [], name_of(digest)
        assert not is_folder(digest) or store.has(digest)
