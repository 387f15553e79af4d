"""Digests of the files that a source declares; a file is read again only if its stamp differs."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from pathlib import Path

from kairos.errors import UsageError
from kairos.pipeline.declare import StepSpec
from kairos.store.walking import is_settled, stamp_of
from kairos.values import Digest

__all__ = ["file_digest", "file_digests"]

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS files "
    "(path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, inode INTEGER, digest TEXT NOT NULL)"
)
_MOST_MEMORIES = 4
_known: dict[tuple[str, int, int, int], Digest] = {}
"""By path, size in bytes, time of change in nanoseconds and inode, for as long as the process lives."""
_memories: dict[Path, sqlite3.Connection] = {}
"""The projects' own memories, by file; for longer."""
_asking = threading.Lock()
"""One question at a time."""


def file_digests(root: Path, spec: StepSpec) -> dict[str, Digest]:
    """Digests by path relative to ``root``; a folder's are those of its files.

    Args:
        root: The project's folder.
        spec: The source.

    Raises:
        UsageError: a declared file is not there.
    """
    found: dict[str, Digest] = {}
    for name in spec.files:
        path = root / name
        if not path.exists():
            raise UsageError(
                f"Source {spec.name!r} reads {name!r}, which is not there.",
                accepted="a file or folder",
                hint=f"If it is tracked, type: kairos data pull {name}",
            )
        for file in sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]:
            found[file.relative_to(root).as_posix()] = file_digest(root, file)
    return found


def file_digest(root: Path, file: Path) -> Digest:
    """MD5 of a file, read again only if its size, times of change or inode differ from when it was read last.

    Args:
        root: The project's folder, which remembers it in ``.kairos`` if there is such a folder.
        file: Anywhere.
    """
    stamp = stamp_of(file.stat())
    key = (str(file), *stamp)
    known = _known.get(key) or _recall(root, key)
    if known is None:
        read_ns = time.time_ns()
        with file.open("rb") as stream:
            known = Digest(hashlib.file_digest(stream, "md5").hexdigest())
        if not is_settled(stamp, read_ns):  # it may change once more within one tick of the file system's clock
            return known
        _remember(root, key, known)
    _known[key] = known
    return known


def _recall(root: Path, key: tuple[str, int, int, int]) -> Digest | None:
    rows = _ask(root, "SELECT digest FROM files WHERE path = ? AND size = ? AND changed = ? AND inode = ?", key)
    return Digest(rows[0][0]) if rows else None


def _remember(root: Path, key: tuple[str, int, int, int], digest: Digest) -> None:
    _ask(
        root, "INSERT OR REPLACE INTO files (path, size, changed, inode, digest) VALUES (?, ?, ?, ?, ?)", (*key, digest)
    )


def _ask(root: Path, query: str, values: tuple[object, ...]) -> list[tuple[str]]:
    """Asks the project's memory; one that cannot be used is as if it were not there, as it only makes things quick."""
    path = root / ".kairos" / "file-digests.db"
    if not path.parent.is_dir():
        return []
    try:
        with _asking:
            if path not in _memories or not path.exists():
                memory = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
                memory.execute("PRAGMA journal_mode = WAL")
                memory.execute("PRAGMA synchronous = OFF")
                memory.execute(_SCHEMA)
                while len(_memories) >= _MOST_MEMORIES:
                    _memories.pop(next(iter(_memories))).close()
                _memories[path] = memory
            return _memories[path].execute(query, values).fetchall()
    except sqlite3.Error:
        return []
