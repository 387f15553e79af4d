"""Minutes of load at a part of capacity: does anything fail, does memory grow, does the 99th percentile stay?

Run: ``python -m benchmarks.serving.endurance --minutes 10``; with ``--kill`` a worker is killed (``kill -9``) every few
seconds meanwhile. The server is ``kairos serve`` with two workers and the model of the bikes example.

Capacity is what the same client gets in a closed loop, and it takes its part of the cores. Then requests come at a
steady pace, whether or not those before are answered, over the same connections (``paced`` tells how); an answer's time
counts from when its request was due. In the end every prediction id that the client has got is looked for in the
prediction log: each has to be there, once.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import linear_regression, mean, median
from subprocess import Popen, TimeoutExpired
from time import monotonic

import polars as pl

from benchmarks.serving.paced import Told
from benchmarks.serving.pacing import begin_paced, paced, told_by
from benchmarks.serving.projects import Bikes, bikes, bodies
from benchmarks.serving.servers import Server, kairos_server, memory_of_processes, processes
from benchmarks.side_by_side import US, Figure, Findings, Goal, Setting, main
from kairos.app.project import Project
from kairos.values import Window

WARM_UP_MIN = 2.0
"""Memory is looked at after that, or after a third of a shorter run."""

SHARE = 0.8
SHARE_KILLED = 0.25
"""Half of the workers are away, and another one starts on the same cores."""

ROLLER = "roller"
"""A process that moves the log into Parquet, and ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen at one moment."""

    at_min: float
    pss_mb: dict[str, float]
    """By process."""
    rss_mb: dict[str, float]
    log_mb: float

    @property
    def all_mb(self) -> float:
        """PSS of all processes that stay."""
        return sum(pss for name, pss in self.pss_mb.items() if name != ROLLER)


@dataclass(slots=True, kw_only=True)
class Watch:
    """What is seen, and done, while the load lasts."""

    looks: list[Look] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    """Process ids of workers."""


def measure(setting: Setting) -> Findings:
    """Finds capacity, then holds a part of it."""
    typed = setting.options
    minutes = 0.1 if setting.quick else typed["minutes"]
    live = bikes(setting)
    ids = setting.folder / "ids.txt"
    with kairos_server(setting, live.root, {"one row": bodies(live.row)["one row"]}) as server:
        capacity = _capacity(setting, server, typed["connections"])
        share = typed["share"] or (SHARE_KILLED if typed["kill"] else SHARE)
        per_s = share * capacity
        load = begin_paced(
            setting,
            server.asks["one row"],
            connections=typed["connections"],
            seconds=60 * minutes,
            per_s=per_s,
            ids=ids,
        )
        watch = _watch(
            server, load, live, typed["kill_every"] if typed["kill"] else None, every_s=1 if setting.quick else 5
        )
        told = told_by(load)
    missing, doubled = _compare(live, ids)
    goals = [
        Goal(what="requests refused", value=told.refused, most=0),
        Goal(what="acknowledged predictions that are not in the log", value=missing, most=0),
        Goal(what="acknowledged predictions that are in the log more than once", value=doubled, most=0),
    ]
    if not watch.killed:
        goals.append(Goal(what="requests unanswered", value=told.unanswered, most=0))
        goals += [Goal(what="connections broken", value=told.broken, most=0), *_steadiness(told, watch)]
    said = f"capacity was {capacity:.0f} requests a second over {typed['connections']} connections; held: {per_s:.0f}"
    late = f"{told.late / max(told.answers, 1):.2%} of the requests waited for a free connection"
    notes = [said, late, *_each_minute(told, watch)]
    if watch.killed:
        notes.append(
            f"{len(watch.killed)} workers were killed; {told.broken} requests were in their hands and are lost"
        )
    return Findings(_figures(told, watch), goals=goals, notes=notes)


def _capacity(setting: Setting, server: Server, connections: int) -> float:
    """Requests a second in a closed loop, the median of three tries."""
    lasting = 1.0 if setting.quick else 5.0
    paced(setting, server.asks["one row"], connections=connections, seconds=lasting, per_s=None)
    tries = [
        paced(setting, server.asks["one row"], connections=connections, seconds=lasting, per_s=None).answers / lasting
        for _ in range(1 if setting.quick else 3)
    ]
    return median(tries)


def _watch(server: Server, load: Popen[str], live: Bikes, kill_every_s: float | None, *, every_s: float) -> Watch:
    """Looks again and again until the load is over."""
    watch, begin, turn = Watch(), monotonic(), cycle((0, 1))
    log = live.root / ".kairos" / "predictions"
    kill_s = None if kill_every_s is None else begin + kill_every_s
    look_s = begin
    while True:
        if monotonic() >= look_s:
            watch.looks.append(_look(server, log, at_min=(monotonic() - begin) / 60))
            look_s += every_s
        if kill_s is not None and kill_every_s is not None and monotonic() >= kill_s:
            workers = _workers(server)
            if workers:
                victim = workers[next(turn) % len(workers)]
                os.kill(victim, signal.SIGKILL)
                watch.killed.append(victim)
            kill_s += kill_every_s
        try:
            load.wait(timeout=0.1)
        except TimeoutExpired:
            continue
        return watch


def _look(server: Server, log: Path, *, at_min: float) -> Look:
    workers = _workers(server)
    names = {server.session: "supervisor"} | {pid: f"worker {number}" for number, pid in enumerate(workers, start=1)}
    sizes = memory_of_processes(server.session)
    named = {names.get(pid) or _helper(pid): both for pid, both in sizes.items()}
    size = sum(path.stat().st_size for path in log.rglob("*") if path.is_file()) if log.is_dir() else 0
    return Look(
        at_min=at_min,
        pss_mb={name: pss for name, (pss, _) in named.items()},
        rss_mb={name: rss for name, (_, rss) in named.items()},
        log_mb=size / 1e6,
    )


def _workers(server: Server) -> list[int]:
    """Process ids of those that answer: children of the one that forks them."""
    found = {}
    for pid, folder in processes(server.session).items():
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            found[pid] = (parent, "forkserver" in (folder / "cmdline").read_text())
        except OSError:
            continue
    return [pid for pid, (parent, is_forked) in found.items() if is_forked and found.get(parent, (0, False))[1]]


def _helper(pid: int) -> str:
    """What a process that answers nobody is."""
    try:
        words = Path("/proc", str(pid), "cmdline").read_text()
    except OSError:
        return "one that ended"
    kinds = {"forkserver": "fork server", "resource_tracker": "tracker", "rolling": ROLLER}
    return next((kind for mark, kind in kinds.items() if mark in words), "another")


def _compare(live: Bikes, ids: Path) -> tuple[int, int]:
    """How many of the ids that the client has got are not in the log, and how many more than once."""
    with Project(live.root) as project:
        now = project.clock.now()
        window = Window(now.replace(year=now.year - 1), now.replace(year=now.year + 1))
        rows = project.predictions.predictions(live.ref.model, window).filter("answered")
    given = pl.DataFrame({"id": ids.read_text().split()}, schema={"id": pl.String})
    found = given.join(rows.group_by("id").len(), on="id", how="left")
    return int(found["len"].null_count()), int((found["len"] > 1).sum())


def _steadiness(told: Told, watch: Watch) -> list[Goal]:
    tails = [minute["p99_ms"] for minute in told.minutes]
    looks = _warm(watch.looks)
    goals = [
        Goal(
            what="99th percentile: the worst minute's, times the median minute's",
            value=max(tails) / median(tails),
            most=2,
        )
    ]
    if len(looks) > 2:
        times, sizes = [look.at_min for look in looks], [look.all_mb for look in looks]
        grown = linear_regression(times, sizes).slope * (times[-1] - times[0]) / mean(sizes)
        goals.append(Goal(what="growth of memory after the warm-up, as a part of it", value=grown, most=0.03))
    return goals


def _warm(looks: Sequence[Look]) -> list[Look]:
    begin = min(WARM_UP_MIN, looks[-1].at_min / 3)
    return [look for look in looks if look.at_min >= begin]


def _figures(told: Told, watch: Watch) -> list[Figure]:
    """One value a minute, or, of memory and log, one a look."""
    units = {"answers": "requests", "p50_ms": "ms", "p99_ms": "ms", "worst_ms": "ms"}
    found = [
        Figure(
            job=f"each minute: {name.removesuffix('_ms')}",
            who=US,
            unit=unit,
            values=tuple(m[name] for m in told.minutes),
        )
        for name, unit in units.items()
    ]
    found.append(
        Figure(job="PSS of all that stay", who=US, unit="MB", values=tuple(look.all_mb for look in watch.looks))
    )
    names = dict.fromkeys(name for look in watch.looks for name in look.pss_mb)
    for name in names:
        pss = tuple(look.pss_mb[name] for look in watch.looks if name in look.pss_mb)
        rss = tuple(look.rss_mb[name] for look in watch.looks if name in look.rss_mb)
        found.append(Figure(job=f"PSS of {name}", who=US, unit="MB", values=pss))
        found.append(Figure(job=f"RSS of {name}", who=US, unit="MB", values=rss))
    found.append(Figure(job="prediction log", who=US, unit="MB", values=tuple(look.log_mb for look in watch.looks)))
    return found


def _each_minute(told: Told, watch: Watch) -> list[str]:
    lines = []
    for number, minute in enumerate(told.minutes):
        looks = [look for look in watch.looks if number <= look.at_min < number + 1] or [watch.looks[-1]]
        sizes = ", ".join(f"{name} {size:.0f}" for name, size in looks[-1].pss_mb.items())
        lines.append(
            f"minute {number + 1}: {minute['answers']:.0f} answers, median {minute['p50_ms']:.2f} ms, 99th percentile"
            f" {minute['p99_ms']:.1f} ms, worst {minute['worst_ms']:.0f} ms; PSS {looks[-1].all_mb:.0f} MB ({sizes});"
            f" log {looks[-1].log_mb:.0f} MB"
        )
    looks = _warm(watch.looks)
    if len(looks) > 2 and not watch.killed:
        slope = linear_regression([look.at_min for look in looks], [look.all_mb for look in looks]).slope
        lines.append(f"memory after the warm-up: {slope:+.2f} MB a minute")
    return lines


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: %(default)s)")
    parser.add_argument("--share", type=float, help=f"of capacity (default: {SHARE}, with --kill {SHARE_KILLED})")
    parser.add_argument("--connections", type=int, default=64, help="how many stay open (default: %(default)s)")
    parser.add_argument("--kill", action="store_true", help="kill -9 a worker every few seconds")
    parser.add_argument("--kill-every", type=float, default=4.0, help="seconds between two (default: %(default)s)")


if __name__ == "__main__":
    raise SystemExit(main("Minutes of load", [], measure, rounds=1, options=_options))
