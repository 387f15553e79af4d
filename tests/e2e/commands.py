"""The real command in a process of its own, as a user types it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.cli.said import Said, typed

__all__ = ["Deployed", "Server", "ask", "kairos", "serving", "start"]

COMMAND = (sys.executable, "-m", "kairos.cli")


def start(folder: Path, *words: str, record: str = "later") -> subprocess.Popen[str]:
    """Starts a command in a folder and does not wait for it; ``record`` says what becomes of the experiment record."""
    environment = {**os.environ, "KAIROS_RECORD": record}
    return subprocess.Popen(
        [*COMMAND, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def kairos(folder: Path, *words: str, code: int | None = 0, record: str = "later") -> Said:
    """Types a command in a folder; ``code`` is the exit code that it has to end with, ``None`` for any."""
    with start(folder, *words, record=record) as process:
        try:
            out, err = process.communicate()
        except BaseException:  # a test that hangs is stopped, and so is what it waits for
            process.kill()
            raise
    return _checked(Said(code=process.returncode, out=out, err=err), words, code)


def ask(folder: Path, *words: str, code: int = 0) -> Said:
    """Types a command in this process, which saves it a start: for the second of its kind, which shows what it says."""
    return _checked(typed(folder, *words), words, code)


def _checked(said: Said, words: tuple[str, ...], code: int | None) -> Said:
    assert code is None or said.code == code, (
        f"kairos {' '.join(words)} ended with {said.code}:\n{said.out}\n{said.err}"
    )
    return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A project whose first version is live. It is for reading: who changes its ledger takes a copy."""

    project: Path
    said: dict[str, Said]
    """What each command said on the way, by its first word."""

    def copy(self, to: Path) -> Path:
        """The same project elsewhere, with its facts and its store; returns its folder."""
        shutil.copytree(self.project, to)
        return to


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A ``kairos up`` or ``kairos serve`` that answers."""

    url: str
    grpc: str | None
    """Address of gRPC, if it is spoken."""
    process: subprocess.Popen[str]

    def get(self, path: str) -> httpx.Response:
        """The answer at a path."""
        return httpx.get(self.url + path, timeout=60)

    def post(self, path: str, body: object) -> httpx.Response:
        """The answer to a JSON body."""
        return httpx.post(self.url + path, json=body, timeout=60)

    def stop(self, sign: signal.Signals) -> Said:
        """Sends a signal and waits for the end."""
        self.process.send_signal(sign)
        out, err = self.process.communicate()
        return Said(code=self.process.returncode, out=out, err=err)


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[Server]:
    """Starts ``up`` or ``serve`` on a free port; what is still running at the end is killed."""
    with start(folder, *words, "--port", "0", "--json") as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            told = json.loads(line)
            yield Server(url=told["url"], grpc=told.get("grpc"), process=process)
        finally:
            process.kill()
