"""Servers that run in a session of their own, and what they cost: memory, CPU, time to the first prediction."""

from __future__ import annotations

import json
import math
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.side_by_side import US, Setting, command

__all__ = [
    "ROOT",
    "WORKERS",
    "Ask",
    "NotStarted",
    "Server",
    "cpu_s",
    "first_number",
    "floor_server",
    "free_port",
    "kairos_server",
    "memory_mb",
    "memory_of_processes",
    "processes",
    "roll",
    "running",
    "sent",
]

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 120.0
WORKERS = 2
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request."""

    url: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server."""

    session: int
    """Of its processes."""
    start_s: float
    """From the start of its first process to its first prediction."""
    asks: Mapping[str, Ask] = field(default_factory=dict)
    """What to ask it, by what is asked, such as ``one row``."""
    read: Callable[[Any], float] = field(repr=False)
    """The first prediction in an answer."""
    project: Path | None = None
    """Of Kairos."""


class NotStarted(Exception):
    """A server that does not answer, with the last lines that it said."""


@contextmanager
def running(
    setting: Setting,
    name: str,
    arguments: Sequence[str | Path],
    *,
    asks: Mapping[str, Ask],
    read: Callable[[Any], float],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A server in a session of its own, from its first prediction on.

    Raises:
        NotStarted: it ended, or gave no prediction in two minutes.
    """
    log = setting.folder / f"{name}.log"
    started = perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*map(str, arguments)], cwd=folder or setting.folder, env={**setting.environment, **(environment or {})},
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        first = next(iter(asks.values()))
        while not _answers(first):
            if process.poll() is not None or perf_counter() - started > START_LIMIT_S:
                last = log.read_text(errors="replace").strip().splitlines()[-15:]
                raise NotStarted("\n".join(last))
            time.sleep(0.02)
        yield Server(session=process.pid, start_s=perf_counter() - started, asks=asks, read=read)
    finally:
        _stop(process)


@contextmanager
def kairos_server(
    setting: Setting, project: Path, bodies: Mapping[str, object], *, model: str = "demand", name: str = US,
    module: Sequence[str] = (), more: Sequence[str] = (),
) -> Iterator[Server]:  # fmt: skip
    """``kairos serve`` with two workers, with all that it does in production.

    Args:
        setting: Of the benchmark.
        project: Its folder.
        bodies: What to ask, by name.
        model: Whom to ask.
        name: Of its log.
        more: Words for ``kairos serve``.
        module: Another program than ``kairos``, and its words, which is given the project, the port and the workers.
    """
    port = free_port()
    arguments: list[str | Path] = [
        command(US),
        "-C",
        project,
        "serve",
        "--port",
        str(port),
        "--workers",
        str(WORKERS),
        *more,
    ]
    if module:
        arguments = [sys.executable, "-m", *module, project, str(port), str(WORKERS)]
    url = f"http://127.0.0.1:{port}/predict/{model}"
    asks = {what: Ask(url=url, body=json.dumps(body).encode()) for what, body in bodies.items()}
    with running(setting, name, arguments, asks=asks, read=first_number, folder=ROOT if module else None) as server:
        yield replace(server, project=project)


@contextmanager
def floor_server(
    setting: Setting, package: Path, bodies: Mapping[str, object], *, name: str = "floor"
) -> Iterator[Server]:
    """The same HTTP server with the compiled model and nothing else."""
    port = free_port()
    arguments = [sys.executable, "-m", "benchmarks.serving.floor", package, str(port), str(WORKERS)]
    asks = {what: Ask(url=f"http://127.0.0.1:{port}/", body=json.dumps(body).encode()) for what, body in bodies.items()}
    with running(setting, name, arguments, asks=asks, read=first_number, folder=ROOT) as server:
        yield server


def first_number(answer: Any) -> float:
    """The first prediction of an answer of Kairos, of the floor, of MLflow or of FastAPI."""
    found = answer["prediction"] if "prediction" in answer else answer["predictions"][0]
    return float(found["prediction"] if isinstance(found, dict) else found)


def sent(ask: Ask, *, timeout_s: float = 30.0) -> Any:
    """The answer's JSON.

    Raises:
        OSError: there is none, or the request was refused.
    """
    request = urllib.request.Request(ask.url, data=ask.body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise OSError(f"{ask.url} answered {error.code} to {ask.body[:300]!r}: {error.read()[:600]!r}") from error


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes(session: int) -> dict[int, Path]:
    """Folders in ``/proc`` of the processes of a session, and of their children in whichever; by process id."""
    parents, found = {}, set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(status.parent.name)
        parents[number] = int(words[1])
        if int(words[3]) == session:
            found.add(number)
    while more := {number for number, parent in parents.items() if parent in found} - found:
        found |= more
    return {number: Path("/proc") / str(number) for number in sorted(found)}


def memory_of_processes(session: int) -> dict[int, tuple[float, float]]:
    """PSS and RSS of each process, in MB: what it has alone and its part of what it shares; and all that it uses."""
    found = {}
    for number, folder in processes(session).items():
        try:
            told = (folder / "smaps_rollup").read_text()
        except OSError:
            continue
        sizes = {what: int(kb) / 1e3 for what, kb in re.findall(r"^(Pss|Rss):\s+(\d+)", told, re.MULTILINE)}
        if sizes:
            found[number] = (sizes["Pss"], sizes["Rss"])
    return found


def memory_mb(session: int) -> float:
    """PSS of all processes together; not a number where nobody tells."""
    return sum(pss for pss, _ in memory_of_processes(session).values()) or math.nan


def cpu_s(session: int) -> float:
    """Seconds of CPU that the session's living processes have had, but for those that roll the log: they come later."""
    ticks = 0
    for folder in processes(session).values():
        try:
            if "kairos.store.rolling" not in (folder / "cmdline").read_text():
                ticks += sum(map(int, (folder / "stat").read_text().rpartition(")")[2].split()[11:13]))
        except OSError:
            continue
    return ticks * _TICK_S


def roll(project: Path) -> float:
    """Moves what a project's server has logged into Parquet, as it does itself some seconds later; seconds of CPU.

    So that others are not asked while it does.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-P", "-m", "kairos.store.rolling", str(project / ".kairos" / "predictions")]
    subprocess.run(words, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends all of it: the servers are children of the command, and may have sessions of their own."""
    family = {process.pid, *processes(process.pid)}
    for number in (signal.SIGTERM, signal.SIGKILL):
        family |= processes(process.pid).keys()
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        until = perf_counter() + 15
        while perf_counter() < until and (process.poll() is None or any(map(_lives, family))):
            time.sleep(0.05)
        family = {pid for pid in family if _lives(pid)}
    process.wait()


def _lives(pid: int) -> bool:
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _answers(ask: Ask) -> bool:
    try:
        sent(ask, timeout_s=5)
    except (urllib.error.URLError, OSError, ValueError):
        return False
    return True
