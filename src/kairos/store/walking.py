"""Every file below a folder, in the order of DVC's listings, some thousand at a time."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kairos.errors import StoreError

if TYPE_CHECKING:
    from kairos.store.ignoring import Ignore

__all__ = ["IGNORE_FILE", "Batch", "Stamp", "is_settled", "settled_ns", "stamp_of", "walk"]

IGNORE_FILE = ".dvcignore"
"""What it names is left out; it is no data itself."""

_FINE_NS, _COARSE_NS = 50_000_000, 3_000_000_000
"""How old a change has to be to be trusted: file systems tell times in steps, of some 4 ms, or of up to 2 s."""

_BATCH_FILES = 4_096


class Stamp(NamedTuple):
    """What tells that a file is another one, or was written to, without reading it."""

    size_bytes: int
    changed_ns: int
    """The later of the times of its last change, of its bytes and of what is said of it."""
    inode: int


class Batch(NamedTuple):
    """Some files of one folder that follow each other."""

    names: list[str]
    """Their paths inside the folder that is walked, ascending."""
    stamps: list[Stamp]
    """One for each."""


def stamp_of(told: os.stat_result) -> Stamp:
    """The stamp of a file of which the system says that."""
    return Stamp(told.st_size, max(told.st_mtime_ns, told.st_ctime_ns), told.st_ino)


def is_settled(stamp: Stamp, read_ns: int) -> bool:
    """Whether a file that was read at that time would tell by its stamp that it changed afterwards.

    Args:
        stamp: The file's when it was read.
        read_ns: When it was, in nanoseconds since 1970.
    """
    return settled_ns(stamp) < read_ns


def settled_ns(stamp: Stamp) -> int:
    """From when on a further change of a file would show in its stamp, in nanoseconds since 1970."""
    return stamp.changed_ns + (_COARSE_NS if stamp.changed_ns % 1_000_000_000 == 0 else _FINE_NS)


def walk(folder: Path, ignore: Ignore | None = None) -> Iterator[Batch]:
    """Every file by its path inside the folder, in the order of these paths; links to files count as files.

    Only one folder's names are held at a time, and those of the folders above it. Empty folders have no place in DVC's
    format and are left out.

    Args:
        folder: Where.
        ignore: What of it is left out; ``None``: nothing.

    Raises:
        StoreError: something that cannot be stored: a link to a folder, a broken link, a socket, a name not in UTF-8.
    """
    yield from _walk(str(folder), "", folder.name, ignore)


def _walk(folder: str, inside: str, whole: str, ignore: Ignore | None) -> Iterator[Batch]:
    names, folders = list[str](), set[str]()
    with os.scandir(folder) as entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if ignore is not None and ignore.hides(entry.name, is_folder=is_folder):
                continue
            names.append(entry.name)
            if is_folder:
                folders.add(entry.name)
    if ignore is not None and IGNORE_FILE in names:  # as DVC refuses it
        raise _refused(whole, inside + IGNORE_FILE)
    if folders:  # a path goes on behind a folder's name with a slash, and so it is sorted
        names.sort(key=lambda name: f"{name}/" if name in folders else name)
    else:
        names.sort()
    start = 0
    while start < len(names):
        name = names[start]
        if name in folders:
            if not _is_text(name):
                raise _refused(whole, inside + name)
            below = None if ignore is None else ignore.within(name)
            yield from _walk(f"{folder}/{name}", f"{inside}{name}/", whole, below)
            start += 1
            continue
        some = names[start : start + _BATCH_FILES]
        if folders:
            end = next((at for at, name in enumerate(some) if name in folders), len(some))
            some = some[:end]
        start += len(some)
        yield _batch(some, folder, inside, whole)


def _batch(names: list[str], folder: str, inside: str, whole: str) -> Batch:
    above = f"{folder}/"
    try:
        told = [os.stat(above + name) for name in names]
    except FileNotFoundError:
        names, told = _those_there(names, folder, inside, whole)
    if not all(stat.S_ISREG(each.st_mode) for each in told) or not _is_text("".join(names)):
        odd = (n for n, each in zip(names, told, strict=True) if not stat.S_ISREG(each.st_mode) or not _is_text(n))
        raise _refused(whole, inside + next(odd))
    stamps = [Stamp(each.st_size, max(each.st_mtime_ns, each.st_ctime_ns), each.st_ino) for each in told]
    return Batch([inside + name for name in names] if inside else names, stamps)


def _those_there(names: Sequence[str], folder: str, inside: str, whole: str) -> tuple[list[str], list[os.stat_result]]:
    """Without what was removed meanwhile."""
    found, told = list[str](), list[os.stat_result]()
    for name in names:
        try:
            told.append(os.stat(f"{folder}/{name}"))
        except FileNotFoundError:
            if not os.path.islink(f"{folder}/{name}"):
                continue
            raise _refused(whole, inside + name) from None
        found.append(name)
    return found, told


def _refused(whole: str, name: str) -> StoreError:
    return StoreError(
        f"The folder {whole!r} holds something that cannot be stored.",
        given=name.encode(errors="replace").decode(),
        accepted="files, links to files, and folders, with names in UTF-8; .dvcignore belongs beside data, not into it",
    )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
