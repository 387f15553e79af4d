"""Messages between an engine and its worker: a length and so many bytes, over a pipe that nobody else has."""

from __future__ import annotations

import struct
from typing import IO

__all__ = ["ONE_THREAD", "read_message", "write_message"]

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""What numeric libraries ask the environment for when they are loaded, as a worker is started."""

_LENGTH = struct.Struct(">Q")


def write_message(stream: IO[bytes], data: bytes) -> None:
    """Sends one message."""
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def read_message(stream: IO[bytes]) -> bytes:
    """Receives one message.

    Raises:
        EOFError: the other side is gone.
    """
    return _read(stream, _LENGTH.unpack(_read(stream, _LENGTH.size))[0])


def _read(stream: IO[bytes], size: int) -> bytes:
    parts = []
    while size:
        part = stream.read(size)  # of a pipe without a buffer, what is there
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
