"""A model server in a process of its own, as tests hold it."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kairos.store.predictions import PredictionLog

ROOT = Path(__file__).parents[2]


class Toy:
    """A server in its own process."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        if not (folder / "routes").exists():
            self.follow("1 - 0 -")
        with (folder / "stderr").open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.serving.toy_process", str(folder), str(port)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def follow(self, line: str) -> int:
        """Writes a step into the ledger and returns its number."""
        with (self.folder / "routes").open("a") as file:
            file.write(line + "\n")
        return len((self.folder / "routes").read_text().splitlines())

    def connect(self) -> http.client.HTTPConnection:
        """A connection that stays open."""
        address = urlsplit(self.url)
        assert address.hostname is not None
        return http.client.HTTPConnection(address.hostname, address.port, timeout=30)

    def get(self, path: str) -> Any:
        """The body at a path."""
        with closing(self.connect()) as connection:
            connection.request("GET", path)
            text = connection.getresponse().read().decode()
        return json.loads(text) if text.startswith("{") else text

    @property
    def log(self) -> PredictionLog:
        """What the server wrote, read from outside."""
        return PredictionLog(self.folder / "log")
