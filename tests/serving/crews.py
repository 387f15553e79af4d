"""Servers of several workers, started and ended by tests."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Crew", "all_gone", "crews", "is_alive", "until"]

ROOT = Path(__file__).parents[2]


class Crew:
    """A supervisor with its workers."""

    def __init__(
        self, folder: Path, *, count: int = 2, port: int = 0, route: str = "1 - 0 -", patience_s: float = 10.0
    ) -> None:
        self.folder = folder
        self.follow(route)
        with (folder / "stderr").open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.serving.toy_workers", *map(str, (folder, port, count, patience_s))],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self.process.stdout is not None
        self.url, *pids = self.process.stdout.readline().split() or [""]
        self.pids = [int(pid) for pid in pids]

    def follow(self, line: str) -> int:
        """Writes a step into the ledger and returns its number."""
        with (self.folder / "routes").open("a") as file:
            file.write(line + "\n")
        return len((self.folder / "routes").read_text().splitlines())

    def call(self, method: str, path: str, body: Any = None, *, timeout_s: float = 30) -> tuple[int, Any]:
        """One request over a connection of its own, so that any worker may get it."""
        address = urlsplit(self.url)
        assert address.hostname is not None
        with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=timeout_s)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            text = response.read().decode()
        return response.status, json.loads(text) if text.startswith("{") else text

    def predict(self, entity: str = "ann") -> Any:
        """One answer."""
        status, answer = self.call("POST", "/predict/demand", {"inputs": {"temperature": 0.5}, "entity": entity})
        assert status == 200, answer
        return answer

    def counted(self, name: str) -> float:
        """The sum over the series of a counter."""
        _, text = self.call("GET", "/metrics")
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))

    def workers(self) -> dict[int, int]:
        """The process of each worker, as any of them says; nothing if none answers."""
        try:
            _, ready = self.call("GET", "/health/ready", timeout_s=2)
        except (OSError, http.client.HTTPException):
            return {}
        return {one["worker"]: one["pid"] for one in ready["workers"]}

    def stderr(self) -> str:
        """What was logged."""
        return (self.folder / "stderr").read_text()


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def all_gone(pids: Sequence[int]) -> bool:
    """Whether none of the processes is left."""
    return not any(map(is_alive, pids))


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits, within reason."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


@contextmanager
def crews(folder: Path) -> Iterator[Callable[..., Crew]]:
    """Gives what starts crews, and ends them."""
    started: list[Crew] = []

    def start(**options: Any) -> Crew:
        started.append(Crew(folder, **options))
        return started[-1]

    try:
        yield start
    finally:
        for crew in started:
            crew.process.kill()
            for pid in filter(is_alive, crew.pids):
                os.kill(pid, signal.SIGCONT)  # one that was stopped
            crew.process.communicate()
            until(partial(all_gone, crew.pids), "orphans end by themselves")
