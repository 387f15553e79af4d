"""What it costs to observe: the prediction log, the counts, a shadow and a canary.

Run: ``python -m benchmarks.serving.observing``. The model is that of the bikes example; two workers. In the first part
parts of the server are switched off in its processes, by a benchmark's launcher (``switched``), not by a setting: there
is none. With durable capture each answer waits for the disk. In the second part a version of the same kind stands in
shadow, or in a canary of 10 %; in both, each version predicts each row. At full load a shadow that does not keep up is
skipped, and that is counted; a third of it comes at a steady pace, and there it predicts all. A second version may cost
what its own CPU does, and 5 % for chance: that the rest of the server waits for it would cost more.
"""

from __future__ import annotations

import re
import shutil
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.serving.closed_loop import load, samples
from benchmarks.serving.pacing import paced
from benchmarks.serving.projects import Bikes, bikes, bodies, trained
from benchmarks.serving.servers import Server, cpu_s, kairos_server, roll, sent
from benchmarks.side_by_side import US, Figure, Findings, Goal, Sample, Setting, Turn, main, median_of, take_turns
from kairos.app.deploying import deploy
from kairos.app.project import Project
from kairos.delivery.rollout import StageStep
from kairos.values import Window

WITHOUT = {US: "nothing", "no capture": "capture", "no metrics": "metrics", "neither": "capture+metrics"}
DURABLE = "durable capture"
TRIALS = {"with a shadow": "shadow", "with a canary of 10 %": "canary:10%"}
LOADS = ((16, "one row"), (64, "one row"), (64, "64 rows"))
STEADY = "one row, steady"
CPU = "CPU of the server"
PART = 1 / 3
"""Of what is answered at full load by Kairos alone."""


def measure(setting: Setting) -> Findings:
    """All servers are up during all turns, each with a project of its own; only one is asked at a time."""
    live = bikes(setting)
    trials = _on_trial(setting, live)
    roots = {who: _copied(live, who) for who in (*WITHOUT, DURABLE)} | trials
    with ExitStack() as stack:
        servers: dict[str, Server] = {}
        for who, root in roots.items():
            module = ("benchmarks.serving.switched", WITHOUT.get(who, "nothing")) if who != DURABLE else ()
            more = ("--capture", "durable") if who == DURABLE else ()
            start = kairos_server(setting, root, bodies(live.row), name=root.name, module=module, more=more)
            servers[who] = stack.enter_context(start)
        for who, off in WITHOUT.items():
            _require_off(roots[who], servers[who], off)
        per_s = PART * load(setting, servers[US].asks["one row"], 16).requests_per_s
        turns: dict[str, Turn] = {who: partial(_turn, setting, who, server, per_s) for who, server in servers.items()}
        figures = take_turns(turns, setting.rounds)
        notes = [f"{STEADY}: {per_s:.0f} requests a second", *(_told(who, servers[who]) for who in trials)]
    return Findings(figures, goals=_goals(figures), notes=notes)


def _copied(live: Bikes, who: str) -> Path:
    root = live.root.with_name(who.replace(" ", "-"))
    shutil.copytree(live.root, root, symlinks=True)
    return root


def _on_trial(setting: Setting, live: Bikes) -> Mapping[str, Path]:
    """Copies of the project in which a second version is on trial."""
    window = Window.parse("2011-01-08..2011-02-28" if setting.quick else "2011-01-08..2011-07-07")
    with Project(live.root) as project:
        challenger = trained(project, window)
    found = {}
    for who, step in TRIALS.items():
        found[who] = _copied(live, who)
        with Project(found[who]) as project:
            deploy(project, challenger, to=StageStep.parse(step), override="a benchmark: nobody is answered")
    return found


def _turn(setting: Setting, who: str, server: Server, per_s: float) -> Iterator[Sample]:
    for connections, what in LOADS if who in WITHOUT else LOADS[1:]:
        before = cpu_s(server.session)
        found = load(setting, server.asks[what], connections)
        yield from samples(f"{what}, {connections} connections", found)
        yield _cost(f"{what}, {connections} connections", server, before, found.answers)
    if server.project is not None:
        yield Sample("rolling the log after these, CPU", roll(server.project), "s")
    if who in WITHOUT and who != US:
        return
    before = cpu_s(server.session)
    told = paced(setting, server.asks["one row"], connections=32, seconds=setting.seconds, per_s=per_s)
    yield Sample(f"{STEADY}, median", told.minutes[0]["p50_ms"], "ms")
    yield Sample(f"{STEADY}, 99th percentile", told.minutes[0]["p99_ms"], "ms")
    yield _cost(STEADY, server, before, told.answers)


def _cost(job: str, server: Server, before_s: float, answers: int) -> Sample:
    return Sample(f"{job}, {CPU}", 1e3 * (cpu_s(server.session) - before_s) / max(answers, 1), "ms a request")


def _goals(figures: Sequence[Figure]) -> list[Goal]:
    goals = []
    for connections, what in LOADS:
        job = f"{what}, {connections} connections"
        share = median_of(figures, job, US) / median_of(figures, job, "neither")
        goals.append(
            Goal(what=f"{job}: share of what is answered without capture and metrics", value=share, least=0.85)
        )
        cpu = median_of(figures, f"{job}, {CPU}", "neither") / median_of(figures, f"{job}, {CPU}", US)
        goals.append(Goal(what=f"{job}: the same, by the CPU that the server takes", value=cpu, least=0.85))
    job = "one row, 64 connections"
    for who in TRIALS:
        share = median_of(figures, job, who) / median_of(figures, job, US)
        by_cpu = median_of(figures, f"{job}, {CPU}", US) / median_of(figures, f"{job}, {CPU}", who)
        goals.append(
            Goal(
                what=f"{job}, {who}: share of what is answered alone; its CPU leaves {by_cpu:.2f}",
                value=share,
                least=0.95 * by_cpu,
            )
        )
    return goals


def _require_off(root: Path, server: Server, off: str) -> None:
    """What is to be switched off is off, and the rest is not, or the comparison would mean nothing."""
    given = sent(server.asks["one row"])["prediction_id"]
    with Project(root) as project:
        is_kept = bool(project.predictions.known_ids([given]))
    is_counted = "kairos_requests_total{" in _metrics(server)
    if is_kept == ("capture" in off) or is_counted == ("metrics" in off):
        raise SystemExit(f"error: with {off} off, a prediction is kept: {is_kept}, and counted: {is_counted}")


def _metrics(server: Server) -> str:
    address = server.asks["one row"].url.split("/predict/")[0]
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


def _told(who: str, server: Server) -> str:
    """How many rows the second version predicted, or was spared."""
    text = _metrics(server)
    counts = {
        state: float(count)
        for state, count in re.findall(
            r'^kairos_shadow_rows_total\{[^}]*state="(\w+)"\} ([\d.e+]+)$', text, re.MULTILINE
        )
    }
    done, skipped = counts.get("done", 0.0), counts.get("skipped", 0.0)
    return f"{who}: {done:.0f} rows were predicted after the answer, {skipped:.0f} skipped"


if __name__ == "__main__":
    raise SystemExit(main("What observing costs", [], measure, rounds=3))
