"""A load in a closed loop: each connection sends its next request when the one before is answered.

It comes from ``wrk`` with one thread where that is installed, else from a slower client in Python; it takes its part of
the cores, from all servers alike.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.serving.servers import ROOT, Ask
from benchmarks.side_by_side import Sample, Setting

__all__ = ["Load", "load", "samples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came of it."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    answers: int
    errors: int
    """Answers other than 200, and what broke or took over 2 s on a connection."""


def load(setting: Setting, ask: Ask, connections: int, *, seconds: float | None = None) -> Load:
    """Asks one thing over and over."""
    lasting = setting.seconds if seconds is None else seconds
    body = setting.folder / "load.json"
    body.write_bytes(ask.body)
    if shutil.which("wrk") is None:
        arguments = [ask.url, str(body), str(connections), str(lasting)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.serving.load", *arguments], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        found = json.loads(done.stdout)
        return Load(**found, answers=round(found["requests_per_s"] * lasting), errors=0)
    script = setting.folder / "post.lua"
    script.write_text(
        'wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
        f'local file = io.open("{body}", "rb")\nwrk.body = file:read("*all")\nfile:close()\n'
    )
    words = ["wrk", "-t1", f"-c{connections}", f"-d{math.ceil(lasting)}s", "--latency", "-s", str(script), ask.url]
    return _read(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def samples(job: str, found: Load, *, quantiles: bool = True) -> Iterator[Sample]:
    """The same, as a benchmark gives it."""
    yield Sample(job, found.requests_per_s, "requests/s")
    if quantiles:
        yield Sample(f"{job}, median", found.p50_ms, "ms")
        yield Sample(f"{job}, 99th percentile", found.p99_ms, "ms")


def _read(said: str) -> Load:
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    rate, answers = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"(\d+) requests in", said)
    assert rate is not None, said
    assert answers is not None, said
    return Load(
        requests_per_s=float(rate[1]),
        p50_ms=_milliseconds(said, "50%"),
        p99_ms=_milliseconds(said, "99%"),
        answers=int(answers[1]),
        errors=(int(refused[1]) if refused else 0) + (sum(map(int, broken.groups())) if broken else 0),
    )


def _milliseconds(said: str, quantile: str) -> float:
    found = re.search(rf"^\s+{quantile}\s+([\d.]+)(us|ms|s|m)\s*$", said, re.MULTILINE)
    assert found is not None, said
    return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[found[2]]
