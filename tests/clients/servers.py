"""Our server as clients meet it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients.environment import ROOT

__all__ = ["Addresses", "inference_server"]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the server answers."""

    http: str
    grpc: str


@contextmanager
def inference_server(folder: Path) -> Iterator[Addresses]:
    """A server in a process of its own: version 2 is live, 3 in shadow, 1 was live before."""
    (folder / "routes").write_text("2 3 0 1\n")
    command = [sys.executable, "-m", "tests.serving.toy_process", str(folder), "0", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        grpc, http = (process.stdout.readline().strip() for _ in range(2))
        yield Addresses(http, grpc)
        process.terminate()
        process.communicate()  # it says that it has ended
