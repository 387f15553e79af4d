"""Who may run now: tasks wait until the processors, cards and memory that they ask for are free on this machine."""

from __future__ import annotations

import os
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kairos.errors import StepFailed
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.ports import Task

__all__ = ["Granted", "Outcome", "Resources", "own_memory_bytes"]

Outcome = Future[tuple[Artifact, ...]]

_OVERTAKEN = 16
"""So many smaller tasks may go before a large one; then it is its turn."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A task that may run now, with what is set apart for it."""

    task: Task
    outcome: Outcome
    cpus: int
    gpus: tuple[str, ...]
    """Names of cards, as ``CUDA_VISIBLE_DEVICES`` has them."""
    memory_bytes: int


class Resources:
    """Hands out tasks in their order, as far as there is room; safe from several threads.

    Every worker counts for one processor at least. Who asks for more processors or memory than there are gets all.

    Args:
        workers: How many tasks run at once at most.
        cpus: Processors; ``None``: those that this process may use.
        gpus: Names of cards; ``None``: those that ``CUDA_VISIBLE_DEVICES`` or the driver names.
    """

    def __init__(self, workers: int, *, cpus: int | None = None, gpus: Sequence[str] | None = None) -> None:
        self._cpus = self._all_cpus = max(workers, _processors() if cpus is None else cpus)
        self._given_gpus = gpus
        self._used_gpus: set[str] = set()
        self._memory = self._all_memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._waiting: deque[tuple[Task, Outcome]] = deque()
        self._overtaken = 0
        self._warm = 0
        """Workers that are there and have nothing to do."""
        self._is_closed = False
        self._changed = threading.Condition()
        """Guards all of it."""

    def put(self, task: Task, outcome: Outcome) -> None:
        """Lets a task wait for its turn; one that can never have it fails at once."""
        cards = self._cards() if task.limits.gpus else ()
        if task.limits.gpus > len(cards):
            outcome.set_exception(_too_few(task, len(cards)))
            return
        with self._changed:
            self._waiting.append((task, outcome))
            self._changed.notify_all()

    def take(self, *, is_warm: bool = False) -> Granted | None:
        """The next task that there is room for; ``None`` when all is over.

        Args:
            is_warm: As it was given back. While such a one is free, nobody else is given a task: of steps that follow
                each other, each would wait for a new worker to load its libraries otherwise.
        """
        with self._changed:
            try:
                while True:
                    found = self._first() if is_warm or not self._warm else None
                    if found is not None:
                        return found
                    if self._is_closed and not self._waiting:
                        return None
                    self._changed.wait()
            finally:
                if is_warm:
                    self._warm -= 1
                    self._changed.notify_all()

    def give_back(self, granted: Granted, *, is_warm: bool = False) -> None:
        """Frees what was set apart; ``is_warm``: whoever had it asks for the next task, and has a worker for it."""
        with self._changed:
            self._cpus += granted.cpus
            self._memory += granted.memory_bytes
            self._used_gpus -= set(granted.gpus)
            self._warm += is_warm
            self._changed.notify_all()

    def close(self) -> None:
        """Hands out what still waits, however little room there is, and then nothing more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _first(self) -> Granted | None:
        for place, (task, outcome) in enumerate(self._waiting):
            if place and self._overtaken >= _OVERTAKEN:
                return None
            cpus, memory = min(task.limits.cpus, self._all_cpus), min(task.limits.memory_bytes or 0, self._all_memory)
            free = [card for card in self._cards() if card not in self._used_gpus] if task.limits.gpus else []
            has_room = cpus <= self._cpus and memory <= self._memory and task.limits.gpus <= len(free)
            if has_room or self._is_closed:
                del self._waiting[place]
                self._overtaken = self._overtaken + 1 if place else 0
                granted = Granted(task, outcome, cpus, tuple(free[: task.limits.gpus]), memory)
                self._cpus -= cpus
                self._memory -= memory
                self._used_gpus |= set(granted.gpus)
                return granted
        return None

    def _cards(self) -> tuple[str, ...]:
        given = self._given_gpus
        return _all_cards(os.environ.get("CUDA_VISIBLE_DEVICES")) if given is None else tuple(given)


def own_memory_bytes(pid: int) -> int:
    """What a process and those that it started occupy now; 0 if it is gone.

    Pages that they share count for each; a limit has to hold for the machine, not for a book of accounts.
    """
    total, wanted = 0, [pid]
    while wanted:
        one = wanted.pop()
        try:
            total += int(Path(f"/proc/{one}/statm").read_bytes().split()[1]) * _PAGE
            for thread in os.listdir(f"/proc/{one}/task"):
                wanted += map(int, Path(f"/proc/{one}/task/{thread}/children").read_bytes().split())
        except (OSError, IndexError, ValueError):
            total += _elsewhere(one) if one == pid and not Path("/proc/self/statm").exists() else 0
    return total


_PAGE = os.sysconf("SC_PAGE_SIZE")


def _elsewhere(pid: int) -> int:
    """Where there is no ``/proc``: macOS."""
    done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(done.stdout.strip() or 0) * 1024


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=4)
def _all_cards(visible: str | None) -> tuple[str, ...]:
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip())
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(str(number) for number, line in enumerate(done.stdout.splitlines()) if line.startswith("GPU "))


def _too_few(task: Task, there: int) -> StepFailed:
    return StepFailed(
        f"Step {task.step!r} asks for more graphics cards than this machine has.",
        given=f"gpus={task.limits.gpus}",
        accepted=f"at most {there}",
        step=task.step,
        type="NoRoom",
        traceback="",
    )
