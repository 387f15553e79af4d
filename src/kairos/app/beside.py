"""The process that tells the experiment record, as a command sees it: started, and asked what went wrong.

Loads next to nothing, as every run loads it.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

from kairos.app.project import Project
from kairos.store.locks import is_held

__all__ = ["LOCK", "TROUBLE", "Probe", "check_address", "lag", "start"]

LOCK = "following.lock"
"""Held by the process that tells."""
TROUBLE = "following.json"
"""Why the record lags, as of the last time that it was told; gone when it does not."""
_PATIENCE_S = 2.0
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
    if is_held(project.home / LOCK):
        return  # it looks once more after it has let go
    subprocess.Popen(
        [sys.executable, "-P", "-m", "kairos.app.following", str(project.root), str(project.home)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C, and the end of a terminal, are for the caller
    )


def lag(project: Project) -> str | None:
    """Why the record lags behind the ledger, as far as that is known; ``None``: it does not, or is being told."""
    try:
        return str(json.loads((project.home / TROUBLE).read_bytes())["trouble"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_address(project: Project) -> None:
    """Refuses an address of a server that cannot be used, before anything runs.

    Raises:
        SettingsError: it cannot.
    """
    if project.settings.tracking is not None:
        importlib.import_module("kairos.adapters.mlflow").check_address(project.settings.tracking)
