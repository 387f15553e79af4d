"""Writing files so that a crash at any moment leaves either nothing or everything, and giving a file a second place."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Literal

__all__ = [
    "NOT_HERE",
    "Link",
    "clone_file",
    "make_folder",
    "new_file",
    "reflink",
    "start_sync",
    "start_writing",
    "sync_all",
    "sync_folder",
    "sync_names",
    "write_all",
    "write_atomically",
]

Link = Literal["reflink", "hardlink", "copy"]
"""How a file gets a second place: sharing blocks until one is changed, sharing everything, or sharing nothing."""

_AT_ONCE = 16
_FEW = 16
"""Up to so many files are synced one by one; for more it is quicker to sync the whole file system."""

_FICLONE = 0x40049409  # linux/fs.h
NOT_HERE = {errno.EXDEV, errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.EPERM, errno.EMLINK, errno.ENOSYS}
"""What the system says where a link of that kind is not possible."""


@contextmanager
def new_file(folder: Path) -> Iterator[tuple[int, Path]]:
    """Opens a new temporary file in ``folder`` (made if absent); removed at the end unless it has been renamed away."""
    make_folder(folder)
    handle, name = tempfile.mkstemp(dir=folder)
    try:
        yield handle, Path(name)
    finally:
        os.close(handle)
        Path(name).unlink(missing_ok=True)


def write_all(handle: int, data: bytes | memoryview) -> None:
    """Writes all of ``data``, however many calls that takes."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(handle, rest) :]
    except OSError as error:
        with suppress(OSError):  # a system that does not tell
            error.filename = error.filename or os.readlink(f"/proc/self/fd/{handle}")
        raise


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, if absent, so that their names survive a power cut."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_names(paths: Iterable[str], since_s: float) -> None:
    """Makes the names of files survive a power cut, of those that are there and got their name since a moment."""
    from concurrent.futures import ThreadPoolExecutor  # 5 ms, for who has many

    folders = set[str]()
    for path in paths:
        folder = os.path.dirname(path)
        if folder not in folders:
            with suppress(FileNotFoundError):
                if os.stat(path).st_ctime >= since_s:
                    folders.add(folder)
    if folders:
        with ThreadPoolExecutor(min(len(folders), _AT_ONCE)) as pool:  # which makes one wait of all
            list(pool.map(sync_folder, map(Path, sorted(folders))))


def sync_all(paths: Sequence[str], beside: Path) -> None:
    """Makes files and folders survive a power cut: one by one, or, if they are many, all of their file system.

    Args:
        paths: All on one file system.
        beside: A folder on it.
    """
    syncfs = None if len(paths) <= _FEW else _syncfs()
    for path in paths if syncfs is None else [str(beside)]:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if syncfs is None:
                os.fsync(handle)
            else:
                syncfs(handle, path)
        finally:
            os.close(handle)


def start_writing(handle: int, start: int, size_bytes: int) -> None:
    """Has the disk begin to take a part of a file; does not wait for it, and promises nothing.

    The system itself begins only when a tenth of the memory waits, so that a sync at the end finds all of it to do.

    Args:
        handle: The file.
        start: The first byte of the part.
        size_bytes: How long it is; 0: up to the end.
    """
    if (begin := _sync_file_range()) is not None:
        begin(handle, start, size_bytes)


def start_sync(folder: str, failed: list[OSError]) -> Thread | None:
    """Has the disk begin to take all of a file system, in a thread; ``None``: the system cannot.

    Args:
        folder: A folder on it.
        failed: Gets the error if there is one: the system tells it to nobody else.
    """
    syncfs = _syncfs()
    if syncfs is None:
        return None

    def sync() -> None:
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                syncfs(handle, folder)
            finally:
                os.close(handle)
        except OSError as error:
            failed.append(error)

    thread = Thread(target=sync, name="kairos-sync", daemon=True)
    thread.start()
    return thread


@cache
def _sync_file_range() -> Callable[[int, int, int], None] | None:
    """Linux has it; Python does not."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform != "linux" or not hasattr(library, "sync_file_range"):
        return None
    call, offset = library.sync_file_range, ctypes.c_int64

    def begin(handle: int, start: int, size_bytes: int) -> None:
        call(handle, offset(start), offset(size_bytes), 2)  # SYNC_FILE_RANGE_WRITE; what fails shows in the sync

    return begin


@cache
def _syncfs() -> Callable[[int, str], None] | None:
    """Linux has it, since 5.8 with an error where writing failed; Python does not."""
    import ctypes  # 3 ms, for many files only

    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform != "linux" or not hasattr(library, "syncfs"):
        return None

    def syncfs(handle: int, path: str) -> None:
        if library.syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)

    return syncfs


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a small file: a reader sees the old bytes or the new ones, never a part; both survive a power cut."""
    make_folder(path.parent)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            write_all(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def clone_file(source: Path, target: Path, link: Link) -> None:
    """Gives ``source`` a second place at ``target``, which must not exist; copies where ``link`` is not possible."""
    if link == "hardlink":
        try:
            os.link(source, target)
            return
        except OSError as error:
            if error.errno not in NOT_HERE:
                raise
    elif link == "reflink" and reflink(source, target):
        return
    shutil.copyfile(source, target)


def reflink(source: Path, target: Path) -> bool:
    """Gives ``source`` a second place that shares its blocks; ``False``: that is not possible there."""
    with source.open("rb") as old, target.open("xb") as new:
        try:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        except OSError as error:
            if error.errno not in NOT_HERE:
                raise
        else:
            return True
    target.unlink()
    return False
