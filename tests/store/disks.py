"""A disk that forgets what was not synced, and that can fail, as real ones do."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

__all__ = ["Disk", "cut_power"]


class Disk:
    """Stands in for ``os.fdatasync`` and ``os.fsync`` of journals.

    After a sync that fails the bytes that it was to write are lost for good, whatever later syncs say: that is what
    Linux does. While ``gate`` is closed syncs hang.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, fails: Callable[[], bool] = lambda: False) -> None:
        self.syncs = 0
        """That have begun."""
        self.fails = fails
        self.gate = threading.Event()
        self.gate.set()
        self.safe: dict[str, int] = {}
        """How many bytes of each file are on the disk, by name."""
        self.lost: list[tuple[str, int, int]] = []
        """Stretches that are not, though a later sync went well."""
        for name in ("fdatasync", "fsync"):
            monkeypatch.setattr(os, name, self._sync)

    def _sync(self, handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        if not path.endswith(".journal"):
            return
        size = os.fstat(handle).st_size
        self.syncs += 1
        assert self.gate.wait(60)
        if self.fails():
            self.lost.append((path, self.safe.get(path, 0), size))
            self.safe[path] = size
            raise OSError(5, "Input/output error")
        self.safe[path] = max(size, self.safe.get(path, 0))

    def cut_power(self, root: Path) -> None:
        """Leaves of each journal below ``root`` what is on the disk."""
        cut_power(root, self.safe)
        for name, start, end in self.lost:
            path = Path(name)
            if path.exists():
                data = bytearray(path.read_bytes())
                data[start:end] = bytes(len(data[start:end]))
                path.write_bytes(data)


def cut_power(root: Path, safe: dict[str, int]) -> None:
    """Cuts each journal below ``root`` to the bytes that are on the disk; ``safe`` says how many, by name."""
    for path in root.rglob("*.journal"):
        os.truncate(path, min(safe.get(str(path), 0), path.stat().st_size))
