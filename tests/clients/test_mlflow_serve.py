"""``mlflow models serve`` as a process, beside ours, on the same package: the same bodies, the same answers."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.serving.protocols.scoring_bodies import Packages, bodies_of, finished
from tests.serving.toys import serving


@contextmanager
def mlflow_serve(folder: Path, log: Path) -> Iterator[int]:
    """The port at which MLflow's command serves a package."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder), "--env-manager", "local"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # it starts uvicorn by its name
    environment = {**os.environ, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (
        log.open("w") as told,
        subprocess.Popen(
            [*command, "-h", "127.0.0.1", "-p", str(port)],
            stdout=told,
            stderr=told,
            env=environment,
            start_new_session=True,
        ) as process,
    ):
        try:
            until_s = time.monotonic() + 120
            while not _is_there(port):
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < until_s, log.read_text()[-2000:]
                time.sleep(0.2)
            yield port
        finally:
            os.killpg(process.pid, 15)  # the command and the server that it started


def _is_there(port: int) -> bool:
    try:
        return ask(port, "GET", "/ping")[0] == 200
    except OSError:
        return False


def ask(port: int, method: str, path: str, body: bytes | None = None, kind: str = "") -> tuple[int, bytes]:
    """Status and body of an answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body, {"content-type": kind} if kind else {})
        response = connection.getresponse()
        return response.status, response.read()


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")
def test_the_command_and_ours_answer_alike(tmp_path: Path) -> None:
    """Every right body gives the same numbers, every wrong one the same status; so do health and version."""
    folder = finished(tmp_path / "made")
    with mlflow_serve(folder, tmp_path / "told") as port, serving(Packages(folder), tmp_path / "log") as served:
        for content, kind in bodies_of(folder):
            status, body = ask(port, "POST", "/invocations", content, kind)
            ours = served.client.post("/invocations", content=content, headers={"content-type": kind})
            assert ours.status_code == status, (content, body, ours.text)
            if status == 200:
                theirs = json.loads(body)
                assert set(ours.json()) == set(theirs)
                np.testing.assert_allclose(ours.json()["predictions"], theirs["predictions"], rtol=1e-12)
        for path in ("/ping", "/health", "/version"):
            ours = served.client.get(path)
            assert (ours.status_code, ours.content) == ask(port, "GET", path)
