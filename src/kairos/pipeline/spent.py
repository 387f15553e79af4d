"""What a step takes of the machine: time, processors, memory; and which machine that is."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kairos.values import Json

__all__ = ["Spent", "machine", "spending"]

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_CARDS = Path("/proc/driver/nvidia/gpus")


@dataclass(slots=True)
class Spent:
    """What one call of a step took."""

    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    """Seconds of processors, of all threads, and of the processes that it started and waited for."""
    peak_bytes: int = 0
    """The most memory that was occupied at one moment, by the process or by the largest one that it started."""


@dataclass(slots=True)
class _Watch:
    """What was there before."""

    at_s: float = field(default_factory=time.perf_counter)
    cpu_s: float = field(default_factory=lambda: _cpu_s())
    children: int = field(default_factory=lambda: resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


@contextmanager
def spending() -> Iterator[Spent]:
    """Measures this process while the block lasts; what is given is filled in at its end, however it ends."""
    spent = Spent()
    is_reset = _forget_peak()
    before = _Watch()
    try:
        yield spent
    finally:
        spent.elapsed_s = time.perf_counter() - before.at_s
        spent.cpu_s = max(_cpu_s() - before.cpu_s, 0.0)
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        spent.peak_bytes = max(_peak_bytes(is_reset), children * 1024 if children > before.children else 0)


def _cpu_s() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _forget_peak() -> bool:
    """Lets Linux begin anew with the process's highest memory; else that of earlier steps would count."""
    try:
        _CLEAR.write_bytes(b"5")
    except OSError:
        return False
    return True


def _peak_bytes(is_reset: bool) -> int:
    if is_reset:
        with suppress(OSError, ValueError, IndexError):
            line = next(line for line in _STATUS.read_bytes().splitlines() if line.startswith(b"VmHWM:"))
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@cache
def machine() -> dict[str, Json]:
    """This machine: its name, system, processor and how many of them this process may use, memory, cards if any."""
    system = os.uname()
    cards = []
    with suppress(OSError):
        for path in sorted(_CARDS.glob("*/information")):
            cards += [line.partition(":")[2].strip() for line in path.read_text().splitlines() if "Model:" in line]
    return {
        "host": socket.gethostname(),
        "system": f"{system.sysname} {system.release} {system.machine}",
        "processor": _processor() or system.machine,
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        **({"gpus": list(cards)} if cards else {}),
    }


def _processor() -> str:
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return ""
