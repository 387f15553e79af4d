"""Locks that wait, and say for whom: pid, host, command, since when.

The system lets go of a lock when its process dies, however it does. What is said of a holder lies in a small file
beside the lock and is for people only: nothing depends on it.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from kairos.errors import StoreError
from kairos.store.files import make_folder

__all__ = ["Holder", "holders", "is_held", "locked", "this_process"]

_LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a lock."""

    pid: int
    host: str
    command: str
    """Its first words; what follows may hold what nobody is to see."""
    since_s: float
    """When it got the lock, in seconds since 1970."""

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self.since_s))
        return f"`{self.command}`, process {self.pid} on {self.host}, since {since} UTC"


def this_process() -> Holder:
    """This process, as others are told of it, from now on."""
    words = [os.path.basename(sys.argv[0]), *(word for word in sys.argv[1:4] if word.isidentifier())]
    return Holder(pid=os.getpid(), host=os.uname().nodename, command=" ".join(words), since_s=time.time())


@contextmanager
def locked(
    path: Path,
    *,
    is_shared: bool = False,
    told: Callable[[tuple[Holder, ...]], None] = lambda held_by: None,
    longest_s: float | None = None,
) -> Iterator[None]:
    """Holds a lock for as long as the block lasts; waits for those that hold it.

    Args:
        path: The lock; its folder is made.
        is_shared: Whether others that share it may hold it at the same time.
        told: Told who is waited for: at the beginning, and whenever they are others.
        longest_s: How long is waited at most; ``None``: as long as it takes.

    Raises:
        StoreError: it is still held after so long.
    """
    make_folder(path.parent)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _wait(handle, fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX, path, told, longest_s)
        note = _note(path)
        try:
            yield
        finally:
            with suppress(OSError):
                note.unlink()
            fcntl.flock(handle, fcntl.LOCK_UN)  # a process that was forked meanwhile holds the file open, too
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether somebody on this machine holds a lock alone; a lock that is not there is held by nobody.

    Who asks does not get in the way of others that ask; who takes the lock meanwhile must be ready to wait.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def holders(path: Path) -> tuple[Holder, ...]:
    """Who holds a lock, as far as they said so and are alive; the one that has it longest first."""
    found = []
    with suppress(OSError):
        for note in _beside(path).iterdir():
            with suppress(OSError, ValueError, TypeError, KeyError):
                holder = Holder(**json.loads(note.read_text()))
                if _is_alive(holder):
                    found.append(holder)
                else:
                    note.unlink()
    return tuple(sorted(found, key=lambda holder: holder.since_s))


def _wait(
    handle: int,
    kind: int,
    path: Path,
    told: Callable[[tuple[Holder, ...]], None],
    longest_s: float | None,
) -> None:
    began, last = time.monotonic(), None
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        if longest_s is not None and time.monotonic() - began >= longest_s:
            by = ", ".join(map(str, holders(path))) or "another process"
            raise StoreError(f"The lock {path.name} is held.", given=by, hint="Try again when it has ended.")
        now = holders(path)
        if now != last:
            told(now)
            last = now
        time.sleep(_LOOK_S)


def _note(path: Path) -> Path:
    """Says who holds the lock."""
    note = _beside(path) / os.urandom(16).hex()
    with suppress(OSError):  # a full disk does not keep anybody from working
        make_folder(note.parent)
        note.write_text(json.dumps(asdict(this_process())))
    return note


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".by")


def _is_alive(holder: Holder) -> bool:
    if holder.host != os.uname().nodename:
        return True
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
