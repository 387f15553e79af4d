"""Digests of the files that a source declares; a file is read again only if its size or time of change differs."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kairos.errors import UsageError
from kairos.pipeline.declare import StepSpec
from kairos.values import Digest

__all__ = ["file_digest", "file_digests"]

_known: dict[tuple[str, int, int], Digest] = {}
"""By path, size in bytes and time of change in nanoseconds, for as long as the process lives."""


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
            raise UsageError(f"Source {spec.name!r} reads {name!r}, which is not there.", accepted="a file or folder")
        for file in sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]:
            found[file.relative_to(root).as_posix()] = file_digest(file)
    return found


def file_digest(file: Path) -> Digest:
    """MD5 of a file, read again only if its size or time of change differs from when this process read it."""
    facts = file.stat()
    key = (str(file), facts.st_size, facts.st_mtime_ns)
    if key not in _known:
        with file.open("rb") as stream:
            _known[key] = Digest(hashlib.file_digest(stream, "md5").hexdigest())
    return _known[key]
