"""Runs ``paced`` in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.serving.paced import Plan, Told
from benchmarks.serving.servers import ROOT, Ask
from benchmarks.side_by_side import Setting

__all__ = ["begin_paced", "paced", "told_by"]


def paced(setting: Setting, ask: Ask, *, connections: int, seconds: float, per_s: float | None) -> Told:
    """Asks one thing at a steady pace, or, without one, in a closed loop."""
    return told_by(begin_paced(setting, ask, connections=connections, seconds=seconds, per_s=per_s))


def begin_paced(
    setting: Setting, ask: Ask, *, connections: int, seconds: float, per_s: float | None, ids: Path | None = None
) -> subprocess.Popen[str]:
    """The same, while something else is done meanwhile."""
    body, plan_file = setting.folder / "paced-body.json", setting.folder / "paced.json"
    body.write_bytes(ask.body)
    plan = Plan(
        url=ask.url,
        body_file=str(body),
        connections=connections,
        seconds=seconds,
        per_s=per_s,
        ids_file=None if ids is None else str(ids),
    )
    plan_file.write_text(json.dumps(asdict(plan)))
    words = [sys.executable, "-m", "benchmarks.serving.paced", str(plan_file)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def told_by(process: subprocess.Popen[str]) -> Told:
    """What came of it, once it is over."""
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit("error: the load broke off")
    return Told(**json.loads(said))
