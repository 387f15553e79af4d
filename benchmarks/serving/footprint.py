"""Memory and start of ``kairos serve`` with two workers, and what a worker has loaded.

Run: ``python -m benchmarks.serving.footprint``. The model is that of the bikes example. Each round starts the server
anew and asks it for some seconds. Memory is PSS: of what processes share each has its part, so the sum is what the
machine has to have.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.serving.closed_loop import load
from benchmarks.serving.projects import Bikes, bikes, bodies
from benchmarks.serving.servers import Server, floor_server, kairos_server, memory_of_processes
from benchmarks.side_by_side import US, Findings, Goal, Sample, Setting, Turn, main, median_of, take_turns

HEAVY = ("mlflow", "pandas", "sklearn", "scipy", "polars", "onnxruntime", "altair", "sqlalchemy")
NOT_WANTED = ("mlflow", "pandas", "sklearn")
FLOOR = "floor"


def measure(setting: Setting) -> Findings:
    """Each contender starts, is asked, and ends; then the next."""
    live = bikes(setting)
    loaded: dict[str, tuple[str, ...]] = {}
    turns: dict[str, Turn] = {US: partial(_ours, setting, live, loaded), FLOOR: partial(_floor, setting, live)}
    figures = take_turns(turns, setting.rounds)
    goals = [
        Goal(what=f"{job}: {unit}", value=median_of(figures, job, US), most=most)
        for job, unit, most in (("memory, all, after", "MB", 250.0), ("start to the first prediction", "s", 1.5))
    ]
    goals.append(
        Goal(
            what=f"of {', '.join(NOT_WANTED)}, loaded in a worker",
            value=len({*NOT_WANTED} & {*loaded["after"]}),
            most=0,
        )
    )
    answers = f"the {live.package.answering} form answers"
    notes = [f"{answers}; {when} the load a worker has loaded: {', '.join(found)}" for when, found in loaded.items()]
    return Findings(figures, goals=goals, notes=notes)


def _ours(setting: Setting, live: Bikes, loaded: dict[str, tuple[str, ...]]) -> Iterator[Sample]:
    with kairos_server(setting, live.root, bodies(live.row)) as server:
        yield from _sizes(setting, server)
    module = ("benchmarks.serving.switched", "nothing")
    with kairos_server(setting, live.root, bodies(live.row), name="modules", module=module) as server:
        loaded["before"] = _modules(server)
        load(setting, server.asks["one row"], 16, seconds=1)
        loaded["after"] = _modules(server)


def _floor(setting: Setting, live: Bikes) -> Iterator[Sample]:
    with floor_server(setting, live.folder, bodies(live.row)) as server:
        yield from _sizes(setting, server)


def _sizes(setting: Setting, server: Server) -> Iterator[Sample]:
    yield Sample("start to the first prediction", server.start_s, "s")
    yield from _memory(server, "before")
    load(setting, server.asks["one row"], 64, seconds=2 * setting.seconds)
    load(setting, server.asks["64 rows"], 64)
    yield from _memory(server, "after")


def _memory(server: Server, when: str) -> Iterator[Sample]:
    found = memory_of_processes(server.session)
    yield Sample(f"memory, all, {when}", sum(pss for pss, _ in found.values()), "MB")
    for number, (pid, (pss, _)) in enumerate(found.items()):
        yield Sample(f"memory, process {number} ({_name(pid)}), {when}", pss, "MB")


def _name(pid: int) -> str:
    """What a process is, by its words."""
    words = Path("/proc", str(pid), "cmdline").read_bytes().decode().replace("\0", " ")
    marks = {"resource_tracker": "tracker", "forkserver": "fork server or worker", "serving.floor": FLOOR}
    return next((said for mark, said in marks.items() if mark in words), "supervisor")


def _modules(server: Server) -> tuple[str, ...]:
    address = server.asks["one row"].url.split("/predict/")[0]
    with urllib.request.urlopen(f"{address}/modules", timeout=30) as answer:
        names = {*answer.read().decode().split()}
    return tuple(name for name in HEAVY if name in names)


if __name__ == "__main__":
    raise SystemExit(main("Memory and start", [], measure, rounds=3))
