"""Claims on names, which the system holds: who works at what, so that others wait instead of doing it as well.

A claim on a name is a lock on a few bytes of a file, at an offset made of the name. Nothing is written for it: it costs
some microseconds, and whoever dies lets go of all that it claimed, however it dies. The lock's length says at which
seat the holder sits, and a small file tells of each seat who that is; that one is for people only.

Two names may share an offset, with a chance of one in 10^15: then one waits for the other without need.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import struct
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from kairos.store.files import make_folder
from kairos.store.locks import Holder, this_process

__all__ = ["Claims", "place_of"]

_FILES = 16
"""The system looks through all locks of a file for each new one: with 10,000 in one file a claim takes 0.1 ms."""
_LONGEST = 1 << 16
"""Bytes between two offsets, and so the seats that there are."""
_PLACES = (1 << 46) - 1
"""Offsets in a file."""
_SEATS = "seats"
_LOCK = struct.Struct("hhqqi0q")
"""Linux's ``struct flock``: kind, whence, start, length, process (0: the lock belongs to the open file)."""
_SET, _GET = getattr(fcntl, "F_OFD_SETLK", 37), getattr(fcntl, "F_OFD_GETLK", 36)
"""Locks of an open file, not of a process, so that two holders in one process exclude each other, too."""


def place_of(name: str) -> tuple[int, int]:
    """The file, in [0, 16), and the offset in it at which a name is claimed; the same in all processes.

    >>> place_of("demand") == place_of("demand"), place_of("demand") == place_of("split")
    (True, False)
    """
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
    return number % _FILES, number // _FILES % _PLACES * _LONGEST


class Claims:
    """What one holder has claimed; for one thread, and closed at its end. Files are opened when they are needed.

    Where the system has no such locks (another one than Linux, some network file systems) every claim is granted, so
    nobody waits for anybody.

    Args:
        folder: Where the files are, the same for all who are to know of each other; made when a name is claimed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, int] = {}
        self._seat: int | None = None
        self._is_possible = sys.platform == "linux"

    def take(self, name: str) -> bool:
        """Claims a name; ``False``: another holder has it. One that is claimed already stays claimed."""
        return self._tried(name, fcntl.F_WRLCK)

    def release(self, name: str) -> None:
        """Lets go of a name; harmless if it is not claimed."""
        if self._seat is not None:
            self._tried(name, fcntl.F_UNLCK)

    def holder(self, name: str) -> Holder | None:
        """Who has claimed a name; ``None``: nobody by now, or it is not told."""
        number, start = place_of(name)
        with suppress(OSError, ValueError, TypeError):
            asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, _LONGEST, 0)
            found = _LOCK.unpack(fcntl.fcntl(self._file(str(number)), _GET, asked))
            if found[0] != fcntl.F_UNLCK:
                return Holder(**json.loads((self._folder / f"{found[3] - 1}.json").read_bytes()))
        return None

    def close(self) -> None:
        """Lets go of everything."""
        files, self._files, self._seat = self._files, {}, None
        for file in files.values():
            with suppress(OSError):  # a process that was forked meanwhile holds the file open, too
                fcntl.fcntl(file, _SET, _LOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0))
            os.close(file)

    def _tried(self, name: str, kind: int) -> bool:
        if not self._is_possible:
            return True
        number, start = place_of(name)
        try:
            seat = self._sit() if self._seat is None else self._seat
            return self._lock(str(number), kind, start, 1 + seat)
        except OSError:  # no such locks here, or nothing may be written
            self._is_possible = False
            return True

    def _sit(self) -> int:
        """Takes the first seat that is free, and tells who sits there."""
        make_folder(self._folder)
        seat = next(seat for seat in range(_LONGEST - 1) if self._lock(_SEATS, fcntl.F_WRLCK, seat, 1))
        told, new = self._folder / f"{seat}.json", self._folder / f".{seat}.new"
        with suppress(OSError):  # a full disk does not keep anybody from working
            new.write_text(json.dumps(asdict(this_process())))
            os.replace(new, told)
        self._seat = seat
        return seat

    def _lock(self, file: str, kind: int, start: int, length: int) -> bool:
        handle = self._file(file)
        try:
            fcntl.fcntl(handle, _SET, _LOCK.pack(kind, os.SEEK_SET, start, length, 0))
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: held
            return False
        return True

    def _file(self, name: str) -> int:
        if name not in self._files:
            self._files[name] = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        return self._files[name]
