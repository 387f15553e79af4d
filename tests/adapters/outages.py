"""What recorders are tried with: a real MLflow server, a proxy that dies, and runs with all they can have."""

from __future__ import annotations

import http.client
import http.server
import io
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from kairos.adapters.mlflow import open_recorder
from kairos.adapters.mlflow.__main__ import _work
from kairos.adapters.mlflow.recorder import _ALWAYS, _DEFAULTS
from kairos.errors import AdapterError
from kairos.experiments import RunRecord, StepRecord
from kairos.pipeline.logged import Logged, LoggedRun, Point
from kairos.store import Store

__all__ = ["DyingProxy", "held", "mlflow_server", "some_runs", "tell", "tell_here"]

MARCH = datetime(2012, 3, 3, 12, tzinfo=UTC)


@contextmanager
def mlflow_server(folder: Path, backend: str, **environment: str) -> Iterator[str]:
    """``mlflow server`` on a database; its address, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)),
            *("--backend-store-uri", backend, "--artifacts-destination", str(folder / "server-artifacts")),
        ],
        cwd=folder,
        env={
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            **environment,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 240
        while True:
            with suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    break
            assert time.monotonic() < deadline, "the MLflow server did not start"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class DyingProxy:
    """Hands requests on to a server until it breaks: from then on it cuts each connection.

    The request at which it breaks is handed on, and its answer is lost: the caller cannot know what became of it.
    """

    def __init__(self, target: str) -> None:
        self.left: int | None = None
        """Requests until it breaks; ``None``: it does not."""
        proxy = self
        host, port = target.removeprefix("http://").split(":")

        class Handler(http.server.BaseHTTPRequestHandler):
            """One request."""

            def handle_all(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if proxy.left is not None and proxy.left <= 0:
                    self.close_connection = True
                    return
                there = http.client.HTTPConnection(host, int(port), timeout=60)
                there.request(self.command, self.path, body, dict(self.headers))
                answer = there.getresponse()
                data = answer.read()
                there.close()
                if proxy.left is not None:
                    proxy.left -= 1
                    if proxy.left <= 0:
                        self.close_connection = True
                        return
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_all  # noqa: N815  names of the library's

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()


def some_runs(folder: Path) -> list[RunRecord]:
    """Three runs that follow each other; a step of each logged values, a file, and a run below its own."""
    store = Store(folder / "store")
    (folder / "files").mkdir(exist_ok=True)
    (folder / "files" / "seen.txt").write_text("seen")
    files = store.put_folder(folder / "files")
    points = tuple(Point("loss", 1 / (n + 1), 1000 + n, n) for n in range(3))
    main = LoggedRun(name="main", params={"rate": "0.5"}, points=points, tags={"team": "bikes"}, files=files)
    child = LoggedRun(name="fold", parent=0, params={"fold": "1"}, points=points, started_ms=1, ended_ms=2)
    logged = Logged(runs=(main, child)).keep(store)
    run = RunRecord(
        run="r1",
        status="finished",
        started_at=MARCH,
        ended_at=MARCH,
        window="2011-01-01T00:00:00Z..2012-01-01T00:00:00Z",
        actor="ann",
        params={"fit.rate": 0.5, "rate": "0.5"},
        metrics={"fit.mae": 41.5, "loss": 1 / 3},
        steps=(StepRecord(step="fit", status="ran", cpu_s=1.0, tries=1, logged=logged, metric_names={"loss": "loss"}),),
        machine={"host": "bench"},
        store=store.root,
    )
    return [replace(run, run=f"r{number}") for number in (1, 2, 3)]


def tell(runs: list[RunRecord], folder: Path, url: str) -> str | None:
    """Records them in order, as a new process does; what went wrong."""
    recorder = open_recorder(folder, name="bikes", url=url)
    try:
        for run in runs:
            recorder.record_run(run)
        recorder.close()
    except AdapterError as error:
        with suppress(AdapterError):
            recorder.close()
        return str(error)
    return None


def tell_here(runs: list[RunRecord], folder: Path, url: str, patch: pytest.MonkeyPatch) -> str | None:
    """The same by what the recorder's process does, in this one, which has loaded MLflow; what went wrong."""
    for name, value in {**_DEFAULTS, **_ALWAYS, "MLFLOW_TRACKING_URI": url}.items():
        patch.setenv(name, value)
    inbox: SimpleQueue[Any] = SimpleQueue()
    for message in (*(("record_run", (run,)) for run in runs), None):
        inbox.put(message)
    replies = io.BytesIO()
    _work(inbox, replies, "bikes", folder, url)
    return None if not replies.getvalue() else str(pickle.loads(replies.getvalue()))  # the first of them


def held(url: str, project: str = "bikes") -> list[tuple[str, str, dict[str, float], list[tuple[int, float]], int]]:
    """Of each run, in the order of their making: name, status, metrics, history, number of files."""
    client = MlflowClient(tracking_uri=url)
    experiment = client.get_experiment_by_name(project)
    if experiment is None:
        return []
    found = client.search_runs([experiment.experiment_id], order_by=["attributes.run_name ASC"])
    return [
        (
            run.info.run_name,
            run.info.status,
            dict(run.data.metrics),
            [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "loss")],
            len(client.list_artifacts(run.info.run_id)),
        )
        for run in found
    ]
