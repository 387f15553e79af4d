"""Brings the experiment record up to the ledger beside the commands, so that none of them waits for it.

The ledger is the queue: a fact is on the disk before anybody learns of it, and what the record lacks is told from
there, in order, once. A command that wrote facts starts a process that tells them and ends; where one is at it
already, that one tells the new ones, too. What cannot be told, because a server is down, is told after the next
command.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from kairos.app.project import Project
from kairos.app.recording import Record
from kairos.errors import KairosError
from kairos.store.files import write_atomically
from kairos.store.locks import is_held

__all__ = ["Probe", "check_address", "follow", "lag", "main", "start"]

_LOCK = "following.lock"
"""Held by the process that tells."""
_TROUBLE = "following.json"
"""Why the record lags, as of the last time that it was told; gone when it does not."""
_PATIENCE_S = 2.0
_TRIES = 5
"""A look at whether the lock is held is in its way for a moment."""
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Probe:
    """Whether a server can be reached, found out beside whatever else there is to do.

    Args:
        url: Its address; ``None``: there is none to ask.
    """

    def __init__(self, url: str | None) -> None:
        self.trouble: str | None = None
        """What is wrong, as soon as that is known."""
        if url is not None and not any(name in os.environ for name in _PROXIES):  # who asks by way of another one
            threading.Thread(target=self._ask, args=(url,), name="kairos-probe", daemon=True).start()

    def _ask(self, url: str) -> None:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), timeout=_PATIENCE_S).close()
        except OSError as error:
            self.trouble = f"{url} does not answer: {error}"


def start(project: Project) -> None:
    """Starts a process that tells the record what it lacks, unless one is at it; returns in milliseconds."""
    if is_held(project.home / _LOCK):
        return  # it looks once more after it has let go
    subprocess.Popen(
        [sys.executable, "-P", "-m", "kairos.app.following", str(project.root), str(project.home)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C, and the end of a terminal, are for the caller
    )


def follow(project: Project) -> None:
    """Tells the record what it lacks; returns when it is there, or when another process is at it.

    Raises:
        KairosError: some of it could not be told; it is told the next time.
    """
    while Record.is_behind(project):
        with _alone(project.home) as is_alone:
            if not is_alone:
                return
            try:
                with Record(project):
                    pass
            except (KairosError, OSError) as error:
                write_atomically(project.home / _TROUBLE, json.dumps({"trouble": str(error)}).encode())
                raise
            (project.home / _TROUBLE).unlink(missing_ok=True)


def lag(project: Project) -> str | None:
    """Why the record lags behind the ledger, as far as that is known; ``None``: it does not, or is being told."""
    try:
        return str(json.loads((project.home / _TROUBLE).read_bytes())["trouble"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_address(project: Project) -> None:
    """Refuses an address of a server that cannot be used, before anything runs.

    Raises:
        SettingsError: it cannot.
    """
    if project.settings.tracking is not None:
        importlib.import_module("kairos.adapters.mlflow").check_address(project.settings.tracking)


def main(root: str, home: str) -> int:
    """Tells the record of a project; 1 if some of it could not be told."""
    with Project(Path(root), home=Path(home), may_make_ledger=False) as project:
        try:
            follow(project)
        except (KairosError, OSError):
            return 1
    return 0


@contextmanager
def _alone(home: Path) -> Iterator[bool]:
    """Whether this process is the only one that tells; it is as long as the block lasts."""
    lock = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _is_taken(lock)
    finally:
        os.close(lock)


def _is_taken(lock: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
