"""Workers of one server: several processes at one address, and what each of them is given.

Each worker listens at the address with a socket of its own (``SO_REUSEPORT``), which the supervisor keeps open: who
connects while a worker is being started anew waits, and is not refused. Workers are forked from a process that has
loaded the code and runs no threads, so they share its memory and start in a moment.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from kairos.errors import KairosError, UsageError
from kairos.values import Json

__all__ = ["BEATS", "COUNTS_FOLDER", "Seat", "Told", "listen", "listen_beside", "usable_cores"]

_BACKLOG = 2048

BEATS = "beats"
"""The file of signs of life, in the folder that workers share; see ``beats``."""

COUNTS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of the environment that names the folder in which workers count together; see ``metrics``."""

Told = Mapping[str, Json]
"""What a worker says of itself once it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """What a worker is given."""

    number: int
    """From 0."""
    listener: socket.socket
    """Bound to the address; the worker listens."""
    doors: Sequence[Path]
    """The Unix sockets of all workers, in the order of their numbers."""
    line: Connection
    """Takes one ``Told``, or one error; its other end closes when the supervisor is gone."""
    is_last: bool = False
    """Whether no other worker answers: it has to begin whatever it finds, as somebody has to tell what is wrong."""

    @property
    def folder(self) -> Path:
        """The folder that all workers share."""
        return self.doors[self.number].parent

    def tell(self, told: Told) -> None:
        """Says that requests are answered."""
        self.line.send(("answers", dict(told)))

    def fail(self, error: KairosError) -> None:
        """Says why it cannot answer."""
        self.line.send(("fails", {"what": error.what, "given": error.given, "hint": error.hint}))


def listen(host: str, port: int, *, count: int = 1, option: str = "--port") -> list[socket.socket]:
    """Sockets that share an address; a single one shares it with nobody.

    Raises:
        UsageError: it cannot be listened at.
    """
    family = _family(host)
    found: list[socket.socket] = []
    try:
        probe = _bound(family, host, port, is_shared=False)
        if count == 1:
            probe.listen(_BACKLOG)
            return [probe]
        taken = probe.getsockname()[1]
        probe.close()  # it was there to find out whether somebody else, who would share, has the address
        for _ in range(count):
            found.append(_bound(family, host, taken, is_shared=True))
    except (OSError, OverflowError) as error:
        for each in found:
            each.close()
        raise UsageError(
            f"The server cannot listen at {host}:{port}.", given=str(error), hint=f"Type another one: {option} 0"
        ) from error
    return found


def listen_beside(host: str, port: int) -> socket.socket:
    """One more socket at an address that others of this server have.

    Raises:
        OSError: it cannot be had.
    """
    return _bound(_family(host), host, port, is_shared=True)


def usable_cores() -> int:
    """How many cores this process may use: by its affinity, and by the quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(min(cores, math.ceil(int(quota) / int(period))), 1)
    except (OSError, ValueError):  # no such file, or "max"
        return cores


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _bound(family: socket.AddressFamily, host: str, port: int, *, is_shared: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
    except BaseException:
        made.close()
        raise
    return made
