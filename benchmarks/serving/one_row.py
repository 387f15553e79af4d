"""One-row requests over HTTP: ``kairos serve`` beside ``mlflow models serve``, on the same model package.

Run: ``python -m benchmarks.serving.one_row``. The model is that of the bikes example. Kairos does all it does in
production: it checks the input, guards the output, writes every prediction to a file, and counts. MLflow checks the
input and predicts; it is measured with one worker process, as Kairos has, and with two. On a machine of two cores the
load generator takes its part of them, from both servers alike.
"""

from __future__ import annotations

import json
import os
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server and what to ask it."""

    url: str
    body: Path
    start_s: float
    """From the start of its process to its first answer."""


def measure(setting: Setting) -> list[Figure]:
    """All servers are up during all turns; only one is asked at a time."""
    project, package, row = _deployed(setting)
    bodies = {
        US: row,
        "mlflow": {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
    }
    for name, body in bodies.items():
        (setting.folder / f"{name}.json").write_text(json.dumps(body))
    peers = [f"mlflow, {n} worker{'s' * (n > 1)}" for n in (1, 2)] if "mlflow" in setting.peers else []
    with ExitStack() as stack:
        servers = {US: stack.enter_context(_kairos(setting, project))}
        for workers, name in enumerate(peers, start=1):
            servers[name] = stack.enter_context(_mlflow(setting, package, workers))
        _require_agreement(servers)
        contenders: dict[str, Turn] = {who: partial(_turn, setting, server) for who, server in servers.items()}
        figures = take_turns(contenders, setting.rounds)
    return [
        *figures,
        *(Figure(job="start", who=who, unit="s", values=(server.start_s,)) for who, server in servers.items()),
    ]


def _turn(setting: Setting, server: Server) -> Iterator[Sample]:
    for connections in (1, 4) if setting.quick else (1, 4, 16):
        seconds = "0.3" if setting.quick else "2"
        arguments = [server.url, str(server.body), str(connections), seconds]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.serving.load", *arguments], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        for name, value in json.loads(done.stdout).items():
            what, unit = JOBS[name]
            yield Sample(f"{connections} connection{'s' * (connections > 1)}{what}", value, unit)


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
    arguments = [str(command(US)), "-C", str(project), "serve", "--port", str(port)]
    with _running(setting, US, arguments, ready=f"{address}/health/ready") as start_s:
        yield Server(url=f"{address}/predict/demand", body=setting.folder / f"{US}.json", start_s=start_s)


@contextmanager
def _mlflow(setting: Setting, package: Path, workers: int) -> Iterator[Server]:
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    arguments = [str(command("mlflow")), "models", "serve", "-m", str(package), "--env-manager", "local"]
    arguments += ["-h", "127.0.0.1", "-p", str(port), "-w", str(workers)]
    with _running(setting, f"mlflow-{workers}", arguments, ready=f"{address}/ping") as start_s:
        yield Server(url=f"{address}/invocations", body=setting.folder / "mlflow.json", start_s=start_s)


@contextmanager
def _running(setting: Setting, name: str, arguments: list[str], *, ready: str) -> Iterator[float]:
    """A server in a process group of its own, from its first answer on; gives the seconds until then."""
    log = setting.folder / f"{name}.log"
    started = perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments, cwd=setting.folder, env=dict(setting.environment), stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        while not _answers(ready):
            if process.poll() is not None or perf_counter() - started > START_LIMIT_S:
                raise SystemExit(f"error: {name} did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.02)
        yield perf_counter() - started
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
        numbers[who] = body["prediction"] if who == US else body["predictions"][0]
    if max(numbers.values()) - min(numbers.values()) > 1e-6:
        raise SystemExit(f"error: the servers do not agree: {numbers}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    raise SystemExit(main("One-row requests over HTTP", ["mlflow"], measure, rounds=3))
