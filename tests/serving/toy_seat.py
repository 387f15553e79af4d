"""What a worker of ``toy_workers`` does; ``FOLDER/broken``: it cannot begin; ``FOLDER/cert.pem``: over TLS."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

from kairos.clock import SystemClock
from kairos.delivery.state import Route
from kairos.errors import Unavailable
from kairos.serving.connections.tls import Certificate
from kairos.serving.peers import Peers
from kairos.serving.ports import ModelPolicy
from kairos.serving.process import work
from kairos.serving.server import ModelServer
from kairos.serving.workers import Seat
from kairos.store.counts import CountLog
from kairos.store.predictions import PredictionLog
from kairos.values import parse_moment
from tests.serving.toy_process import FileRegistry
from tests.serving.toys import KEEP_ALL

EPOCH = parse_moment("2020-01-01T00:00Z")


class Trials(FileRegistry):
    """Follows a file; what is on trial is counted."""

    def source(self, after: int) -> list[Route] | None:
        """The last line, if it is a new one."""
        found = super().source(after)
        return found and [replace(each, trial_since=EPOCH if each.challenger else None) for each in found]


def sit(seat: Seat, *, folder: Path) -> None:
    """One worker."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    if (folder / "broken").exists():
        seat.fail(Unavailable("Nothing is served.", given="a toy", hint="Type: mend"))
        return
    clock, name, registry = SystemClock(), f"toy-{os.getpid()}", Trials(folder)
    policy = ModelPolicy(capture=KEEP_ALL, events=frozenset({"complaint"}))
    server = ModelServer(
        registry.source,
        load=registry.load,
        policy=lambda live, signature: policy,
        sink=PredictionLog(folder / "log").writer(name),
        counts=CountLog(folder / "counts").writer(name, now=clock.now()),
        clock=clock,
        peers=Peers([door for number, door in enumerate(seat.doors) if number != seat.number]),
    )
    certificate = Certificate(cert, cert) if (cert := folder / "cert.pem").exists() else None
    work(server, seat, certificate=certificate, told=lambda: {"pid": os.getpid()})
