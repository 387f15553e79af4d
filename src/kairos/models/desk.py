"""A folder on disk that lasts as long as the object it was made for, even if that object's process is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import weakref
from pathlib import Path

__all__ = ["desk_of"]

_PREFIX = "kairos-model-"
_LOCK = ".in-use"


def desk_of(owner: object) -> Path:
    """Returns a new folder, removed with ``owner``; those of processes that were killed are removed first.

    Its process holds a lock on a file in it: whoever gets that lock knows that the process is gone, also where several
    containers share the folder for temporary files.
    """
    _sweep()
    new = Path(tempfile.mkdtemp(prefix="kairos-new-"))
    lock = os.open(new / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    desk = new.rename(new.with_name(_PREFIX + new.name.removeprefix("kairos-new-")))  # locked before it is found
    weakref.finalize(owner, _remove, desk, lock, os.getpid())
    return desk


def _remove(desk: Path, lock: int, process: int) -> None:
    if os.getpid() != process:
        return  # a child that was forked: its parent still has the model
    shutil.rmtree(desk, ignore_errors=True)
    os.close(lock)


def _sweep() -> None:
    for desk in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            lock = os.open(desk / _LOCK, os.O_RDWR)
        except OSError:
            continue  # somebody else's, or just being removed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(desk, ignore_errors=True)
        except BlockingIOError:
            pass  # in use
        finally:
            os.close(lock)
