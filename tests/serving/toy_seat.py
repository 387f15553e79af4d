"""What a worker of ``toy_workers`` does.

``FOLDER/broken``: it cannot load anything, and begins only if no other worker answers. ``FOLDER/cert.pem``: over TLS.
``FOLDER/durable``: its answers wait for the disk. Version 7 keeps the interpreter to itself for a second while it is
loaded; a temperature of 666 never comes back, in native code.
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from kairos.clock import SystemClock
from kairos.delivery.state import Route
from kairos.errors import PackageError, Unavailable
from kairos.serving.connections.tls import Certificate
from kairos.serving.peers import Peers
from kairos.serving.ports import ModelPolicy
from kairos.serving.process import work
from kairos.serving.server import ModelServer
from kairos.serving.workers import Seat
from kairos.store.counts import CountLog
from kairos.store.predictions import PredictionLog
from kairos.values import Digest, parse_moment
from tests.serving.toy_process import FileRegistry
from tests.serving.toys import KEEP_ALL, Columns, ToyPackage

EPOCH = parse_moment("2020-01-01T00:00Z")


def hangs(columns: Columns) -> Any:
    """Adds 1000, but for one temperature."""
    if columns["temperature"][0] == 666.0:
        re.match("(a+)+$", "a" * 64 + "b")  # takes longer than the sun will shine
    return columns["temperature"] + 1000.0


class Trials(FileRegistry):
    """Follows a file; what is on trial is counted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder
        self.rules[1] = hangs

    def load(self, digest: Digest) -> ToyPackage:
        """A package, unless all are broken."""
        if (self._folder / "broken").exists():
            raise PackageError("The package is broken.", given="a toy")
        if int(digest, 16) == 7:
            ctypes.PyDLL(None).usleep(1_000_000)
        return super().load(digest)

    def source(self, after: int) -> list[Route] | None:
        """The last line, if it is a new one."""
        found = super().source(after)
        return found and [replace(each, trial_since=EPOCH if each.challenger else None) for each in found]


def sit(seat: Seat, *, folder: Path) -> None:
    """One worker."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    if (folder / "broken").exists() and not seat.is_last:
        seat.fail(Unavailable("Nothing is served.", given="a toy", hint="Type: mend"))
        return
    clock, name, registry = SystemClock(), f"toy-{os.getpid()}", Trials(folder)
    policy = ModelPolicy(capture=KEEP_ALL, events=frozenset({"complaint"}))
    server = ModelServer(
        registry.source,
        load=registry.load,
        policy=lambda live, signature: policy,
        sink=PredictionLog(folder / "log").writer(name, is_durable=(folder / "durable").exists(), is_patient=True),
        counts=CountLog(folder / "counts").writer(name, now=clock.now()),
        clock=clock,
        peers=Peers([door for number, door in enumerate(seat.doors) if number != seat.number]),
    )
    certificate = Certificate(cert, cert) if (cert := folder / "cert.pem").exists() else None
    work(server, seat, certificate=certificate, told=lambda: {"pid": os.getpid()})
