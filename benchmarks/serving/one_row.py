"""Requests over HTTP: ``kairos serve`` beside ``mlflow models serve`` and beside the floor, on one model package.

Run: ``python -m benchmarks.serving.one_row``. The model is that of the bikes example. Kairos does all it does in
production: it checks the input, guards the output, writes every prediction to a file, and counts; it has two workers.
MLflow, with one worker and with two, checks the input and predicts. ``floor`` is the same HTTP server with two workers
and the compiled model alone. The load comes from ``wrk`` where it is installed, else from a slower client in Python;
it takes its part of the cores, from all servers alike.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

from benchmarks.side_by_side import US, Figure, Sample, Setting, Turn, command, main, take_turns
from kairos.app.deploying import deploy
from kairos.app.judging import judge
from kairos.app.packages import open_stored
from kairos.app.project import Project
from kairos.app.starting import start_project
from kairos.app.training import train
from kairos.values import Window

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 120.0
JOBS = {"requests_per_s": ("", "requests/s"), "p50_ms": (", median", "ms"), "p99_ms": (", 99th percentile", "ms")}
WORKERS = 2
MANY = 64
"""Rows of a large request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server and what to ask it."""

    url: str
    body: Path
    """One row; ``many`` beside it has 64."""
    group: int
    """Of its processes."""
    start_s: float
    """From the start of its process to its first answer."""


def measure(setting: Setting) -> list[Figure]:
    """All servers are up during all turns; only one is asked at a time."""
    project, package, row = _deployed(setting)
    for count, suffix in ((1, ""), (MANY, "-many")):
        split = {"dataframe_split": {"columns": list(row), "data": [list(row.values())] * count}}
        bodies = {US: row if count == 1 else [row] * count, "mlflow": split}
        for name, body in bodies.items():
            (setting.folder / f"{name}{suffix}.json").write_text(json.dumps(body))
    peers = [f"mlflow, {n} worker{'s' * (n > 1)}" for n in (1, 2)] if "mlflow" in setting.peers else []
    with ExitStack() as stack:
        servers = {US: stack.enter_context(_kairos(setting, project))}
        servers["floor"] = stack.enter_context(_floor(setting, package))
        for workers, name in enumerate(peers, start=1):
            servers[name] = stack.enter_context(_mlflow(setting, package, workers))
        _require_agreement(servers)
        contenders: dict[str, Turn] = {who: partial(_turn, setting, server) for who, server in servers.items()}
        figures = take_turns(contenders, setting.rounds)
        sizes = {who: _memory_mb(server.group) for who, server in servers.items()}
    return [
        *figures,
        *(Figure(job="memory", who=who, unit="MB", values=(size,)) for who, size in sizes.items()),
        *(Figure(job="start", who=who, unit="s", values=(server.start_s,)) for who, server in servers.items()),
    ]


def _turn(setting: Setting, server: Server) -> Iterator[Sample]:
    many = server.body.with_stem(f"{server.body.stem}-many")
    jobs = [(count, server.body, "") for count in ((1, 4) if setting.quick else (1, 16, 64))]
    jobs.append((4 if setting.quick else 64, many, f", {MANY} rows each"))
    for connections, body, rows in jobs:
        seconds = 0.5 if setting.quick else 3.0
        for name, value in _load(setting, server.url, body, connections, seconds).items():
            what, unit = JOBS[name]
            yield Sample(f"{connections} connection{'s' * (connections > 1)}{rows}{what}", value, unit)


def _load(setting: Setting, url: str, body: Path, connections: int, seconds: float) -> Mapping[str, float]:
    if shutil.which("wrk") is None:
        arguments = [url, str(body), str(connections), str(seconds)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.serving.load", *arguments], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        found: dict[str, float] = json.loads(done.stdout)
        return found
    script = setting.folder / "post.lua"
    script.write_text(
        'wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
        f'local file = io.open("{body}", "rb")\nwrk.body = file:read("*all")\nfile:close()\n'
    )
    words = ["wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds)}s", "--latency", "-s", str(script), url]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"error: {url} refused requests:\n{said}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert rate is not None, said
    return {
        "requests_per_s": float(rate[1]),
        "p50_ms": _milliseconds(said, "50%"),
        "p99_ms": _milliseconds(said, "99%"),
    }


def _milliseconds(said: str, quantile: str) -> float:
    found = re.search(rf"^\s+{quantile}\s+([\d.]+)(us|ms|s)\s*$", said, re.MULTILINE)
    assert found is not None, said
    return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]]


def _memory_mb(group: int) -> float:
    """The processes' own memory and their part of what they share (PSS), in MB; not a number where nobody tells."""
    total_kb = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(status.read_text().rpartition(")")[2].split()[2]) == group:
                told = (status.parent / "smaps_rollup").read_text()
                total_kb += int(re.findall(r"^Pss:\s+(\d+)", told, re.MULTILINE)[0])
        except (OSError, IndexError):
            continue
    return total_kb / 1e3 if total_kb else math.nan


def _deployed(setting: Setting) -> tuple[Path, Path, Mapping[str, object]]:
    """A project with a live model, the model's package as a folder, and a row to ask about."""
    window = Window.parse("2011-01-01..2011-02-28" if setting.quick else "2011-01-01..2011-06-30")
    with Project(start_project("bikes", setting.folder / "project")) as project:
        trained = train(project, window=window)
        if not trained.result.ok:
            raise SystemExit("error: the run failed")
        (ref,) = trained.versions
        judge(project, ref)
        deploy(project, ref)
        digest = trained.result.models[ref.model]
        package = setting.folder / "package"
        project.store.checkout(digest, package)
        return project.root, package, open_stored(project.store, digest).example


@contextmanager
def _kairos(setting: Setting, project: Path) -> Iterator[Server]:
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    arguments = [str(command(US)), "-C", str(project), "serve", "--port", str(port), "--workers", str(WORKERS)]
    with _running(setting, US, arguments, ready=f"{address}/health/ready") as (start_s, group):
        body = setting.folder / f"{US}.json"
        yield Server(url=f"{address}/predict/demand", body=body, start_s=start_s, group=group)


@contextmanager
def _floor(setting: Setting, package: Path) -> Iterator[Server]:
    port = _free_port()
    arguments = [sys.executable, "-m", "benchmarks.serving.floor", str(package), str(port), str(WORKERS)]
    url = f"http://127.0.0.1:{port}/"
    with _running(setting, "floor", arguments, ready=url, folder=ROOT) as (start_s, group):
        yield Server(url=url, body=setting.folder / f"{US}.json", start_s=start_s, group=group)


@contextmanager
def _mlflow(setting: Setting, package: Path, workers: int) -> Iterator[Server]:
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    arguments = [str(command("mlflow")), "models", "serve", "-m", str(package), "--env-manager", "local"]
    arguments += ["-h", "127.0.0.1", "-p", str(port), "-w", str(workers)]
    with _running(setting, f"mlflow-{workers}", arguments, ready=f"{address}/ping") as (start_s, group):
        body = setting.folder / "mlflow.json"
        yield Server(url=f"{address}/invocations", body=body, start_s=start_s, group=group)


@contextmanager
def _running(
    setting: Setting, name: str, arguments: list[str], *, ready: str, folder: Path | None = None
) -> Iterator[tuple[float, int]]:
    """A server in a process group of its own, from its first answer on; gives the seconds until then and the group."""
    log = setting.folder / f"{name}.log"
    started = perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments, cwd=folder or setting.folder, env=dict(setting.environment), stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        while not _answers(ready):
            if process.poll() is not None or perf_counter() - started > START_LIMIT_S:
                raise SystemExit(f"error: {name} did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.02)
        yield perf_counter() - started, process.pid
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the whole group: MLflow's server is a child of the command."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _require_agreement(servers: Mapping[str, Server]) -> None:
    """All of them answer the same number, or the comparison would mean nothing."""
    numbers = {}
    for who, server in servers.items():
        request = urllib.request.Request(
            server.url, data=server.body.read_bytes(), headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = json.load(answer)
        numbers[who] = body["prediction"] if who == US else float(body["predictions"][0])
    if max(numbers.values()) - min(numbers.values()) > 1e-6:
        raise SystemExit(f"error: the servers do not agree: {numbers}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    raise SystemExit(main("One-row requests over HTTP", ["mlflow"], measure, rounds=3))
