"""What it costs that answers wait for the disk: capture ``fast``, ``durable``, and none at all.

Run: ``python -m benchmarks.serving.capture_modes``. The model is that of the bikes example; two workers. ``fast`` is
what ``kairos serve`` does by default: one write before the answer leaves. ``durable`` is the same with a sync of the
disk, once for all that wait (``capture = "durable"`` under ``[server]``). ``none`` writes nothing down, which only a
benchmark's launcher can do (``switched``). What one sync of this disk takes is told beside.
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.serving.closed_loop import load, samples
from benchmarks.serving.projects import Bikes, bikes, bodies
from benchmarks.serving.servers import Server, kairos_server, sent
from benchmarks.side_by_side import Findings, Sample, Setting, Turn, main, median_of, take_turns
from kairos.app.place import SETTINGS_FILE
from kairos.app.project import Project

FAST, DURABLE, NONE = "fast", "durable", "none"
LOADS = ((1, "one row"), (16, "one row"), (64, "one row"), (64, "64 rows"))
SYNCS = 200


def measure(setting: Setting) -> Findings:
    """All servers are up during all turns; only one is asked at a time."""
    live = bikes(setting)
    durable = _durable(live)
    with ExitStack() as stack:

        def start(name: str, root: Path, *module: str) -> Server:
            return stack.enter_context(kairos_server(setting, root, bodies(live.row), name=name, module=module))

        servers = {
            FAST: start(FAST, live.root),
            DURABLE: start(DURABLE, durable),
            NONE: start(NONE, live.root, "benchmarks.serving.switched", "capture"),
        }
        for who, root in {FAST: live.root, DURABLE: durable, NONE: live.root}.items():
            _require_mode(who, servers[who], root)
        turns: dict[str, Turn] = {who: partial(_turn, setting, server) for who, server in servers.items()}
        figures = take_turns(turns, setting.rounds)
    shares = {what: median_of(figures, what, DURABLE) / median_of(figures, what, FAST) for what in map(_job, LOADS)}
    told = [f"{what}: durable answers {share:.0%} of what fast does" for what, share in shares.items()]
    return Findings(figures, notes=[*told, _sync_told(setting.folder)])


def _job(load_of: tuple[int, str]) -> str:
    connections, what = load_of
    return f"{what}, {connections} connection{'s' * (connections > 1)}"


def _durable(live: Bikes) -> Path:
    """A copy of the project whose answers wait for the disk."""
    root = live.root.with_name("durable")
    shutil.copytree(live.root, root, symlinks=True)
    with (root / SETTINGS_FILE).open("a", encoding="utf-8") as settings:
        settings.write('\n[server]\ncapture = "durable"\n')
    return root


def _require_mode(who: str, server: Server, root: Path) -> None:
    """It does what its name says, or the comparison would mean nothing."""
    url, answer = server.asks["one row"].url, sent(server.asks["one row"])
    with urllib.request.urlopen(url.split("/predict/")[0] + "/health/ready", timeout=30) as ready:
        mode = json.load(ready)["capture"]["mode"]
    with Project(root) as project:
        is_kept = bool(project.predictions.find(answer["prediction_id"]))
    if (mode == DURABLE, is_kept) != (who == DURABLE, who != NONE):
        raise SystemExit(f"error: {who!r} is in the mode {mode!r}, and its answer is {'' if is_kept else 'not '}kept")


def _turn(setting: Setting, server: Server) -> Iterator[Sample]:
    for connections, what in LOADS:
        yield from samples(_job((connections, what)), load(setting, server.asks[what], connections))


def _sync_told(folder: Path) -> str:
    """What a sync of one more small write takes here, with nothing else to do."""
    took = []
    with (folder / "syncs").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(500))
            started = perf_counter()
            os.fdatasync(file.fileno())
            took.append(1e3 * (perf_counter() - started))
    took.sort()
    return f"a sync of 500 more bytes: median {median(took):.2f} ms, 99th percentile {took[SYNCS * 99 // 100]:.2f} ms"


if __name__ == "__main__":
    raise SystemExit(main("Answers that wait for the disk", [], measure, rounds=3))
