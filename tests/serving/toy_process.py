"""A model server as a process of its own: ``toy_process.py FOLDER PORT``; it prints its URL, and at its end
``ended``. With a third word, a port for gRPC, it prints the address of that first.

``FOLDER/routes`` is its ledger: one line ``champion challenger share previous`` a step, numbers of versions or ``-``.
Version n adds 1000 n to the temperature; version 9 is damaged; version 8 takes half a second.
``FOLDER/limits``: those for clients, in JSON; ``FOLDER/cert.pem`` with its key: TLS is spoken.

With ``FOLDER/durable`` answers wait for the disk, and ``FOLDER/synced`` gets a line for each sync: how many bytes of
which file are safe from a power cut.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from kairos.delivery.state import Route
from kairos.errors import UsageError
from kairos.serving.connections.limits import Limits
from kairos.serving.connections.tls import Certificate
from kairos.serving.process import serve
from kairos.store.predictions import PredictionLog
from tests.serving.toys import Columns, Registry, Rule, adds, make_server, route


def slow(folder: Path) -> Rule:
    """A model that takes its time once it is warm, and says in ``FOLDER/busy`` with how many rows it has begun."""

    def rule(columns: Columns) -> Any:
        if columns["temperature"][0] != 0.0:
            with (folder / "busy").open("a") as file:
                file.write("x" * len(columns["temperature"]))
            time.sleep(0.5)
        return columns["temperature"] + 8000.0

    return rule


def number(word: str) -> int | None:
    """The number of a version, or none."""
    return None if word == "-" else int(word)


class FileRegistry(Registry):
    """Follows a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__({**{n: adds(1000.0 * n) for n in range(1, 8)}, 8: slow(folder)})
        self._path = folder / "routes"

    def source(self, after: int) -> list[Route] | None:
        """The last line, if it is a new one."""
        lines = self._path.read_text().splitlines()
        if len(lines) <= after:
            return None
        champion, challenger, share, previous = lines[-1].split()
        return [
            route(
                number(champion),
                challenger=number(challenger),
                stage=("canary" if float(share) else "shadow") if challenger != "-" else None,
                share=float(share),
                previous=number(previous),
                seq=len(lines),
            )
        ]


def note_syncs(path: Path) -> None:
    """Writes down what each sync made safe: what was in the file before it began."""
    real, notes = os.fdatasync, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def noted(handle: int) -> None:
        size = os.fstat(handle).st_size
        real(handle)
        os.write(notes, f"{os.readlink(f'/proc/self/fd/{handle}')} {size}\n".encode())

    os.fdatasync = noted  # type: ignore[assignment]  # only journals are synced, by their handles


def main() -> None:
    """Serves until told to stop."""
    folder, port, *grpc_port = Path(sys.argv[1]), *map(int, sys.argv[2:])
    is_durable = (folder / "durable").exists()
    if is_durable:
        note_syncs(folder / "synced")
    server = make_server(FileRegistry(folder), PredictionLog(folder / "log").writer("toy", is_durable=is_durable))
    try:
        serve(
            server,
            port=port,
            grpc_port=next(iter(grpc_port), None),
            certificate=Certificate(cert, cert) if (cert := folder / "cert.pem").exists() else None,
            limits=Limits(**json.loads(limits.read_text())) if (limits := folder / "limits").exists() else Limits(),
            on_grpc=lambda address: print(address, flush=True),
            on_ready=lambda url: print(url, flush=True),
        )
    except UsageError as error:
        sys.exit(str(error))
    print("ended", flush=True)


if __name__ == "__main__":
    main()
