"""The least that a server can do: the same HTTP server, JSON in and out, and the compiled model; nothing else.

Run: ``python -m benchmarks.serving.floor PACKAGE PORT WORKERS``. No input is checked, no output guarded, nothing is
written down or counted. What Kairos gives beside it is what all of that costs.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import uvicorn

from kairos.models.package import open_package


class Floor:
    """An ASGI application."""

    def __init__(self, package: Path) -> None:
        opened = open_package(package)
        self._runner = opened.runner()
        self._columns = [(column.name, column.dtype) for column in opened.spec.signature.columns]
        self._decode, self._encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers a POST with predictions, anything else with 200."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        answer = b"{}"
        if scope["method"] == "POST":
            rows = self._decode(body)
            rows = rows if type(rows) is list else [rows]
            columns = {name: np.array([row[name] for row in rows], dtype=dtype) for name, dtype in self._columns}
            answer = self._encode({"predictions": self._runner.predict(columns).tolist()})
        head = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": answer})


def main() -> None:
    """Serves until killed."""
    package, port, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for _ in range(workers - 1):
        if os.fork() == 0:
            break
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    config = uvicorn.Config(Floor(package), log_level="error", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
