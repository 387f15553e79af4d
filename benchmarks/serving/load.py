"""A closed loop of requests over connections that stay open, in a process of its own; prints JSON.

Run: ``python -m benchmarks.serving.load URL BODY_FILE CONNECTIONS SECONDS``. Each connection sends its next request
when the answer to the one before is complete. Nothing but the standard library, so that it costs both servers the same.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

WARM_UP_S = 0.3
"""At the beginning; not counted."""


async def load(url: str, body: bytes, connections: int, seconds: float) -> dict[str, float]:
    """Requests a second, and quantiles of the time to an answer."""
    start = perf_counter() + WARM_UP_S
    lanes = [_lane(url, body, start, start + seconds) for _ in range(connections)]
    took = sorted(took for lane in await asyncio.gather(*lanes) for took in lane)
    if not took:
        raise SystemExit(f"error: {url} gave no answer within {seconds} s")
    return {
        "requests_per_s": len(took) / seconds,
        "p50_ms": 1000 * took[len(took) // 2],
        "p99_ms": 1000 * took[min(len(took) * 99 // 100, len(took) - 1)],
    }


async def _lane(url: str, body: bytes, start: float, end: float) -> list[float]:
    """The seconds that each answer took which came between start and end."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    took = []
    while (sent := perf_counter()) < end:
        writer.write(request)
        await _answer(reader)
        now = perf_counter()
        if start <= now <= end:
            took.append(now - sent)
    writer.close()
    return took


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise SystemExit(f"error: the server answered {head.decode()}{body.decode()}")


if __name__ == "__main__":
    address, file, lanes_given, seconds_given = sys.argv[1:]
    result = load(address, Path(file).read_bytes(), int(lanes_given), float(seconds_given))
    print(json.dumps(asyncio.run(result)))
