"""What it costs to observe: the prediction log, the counts, a shadow and a canary.

Run: ``python -m benchmarks.serving.observing``. The model is that of the bikes example; two workers. In the first part
parts of the server are switched off in its processes, by a benchmark's launcher (``switched``), not by a setting: there
is none. With durable capture each answer waits for the disk. In the second part a version of the same kind stands in
shadow, or in a canary of 10 %; in both, each version predicts each row. At full load a shadow that does not keep up is
skipped, and that is counted; at a third of it, which comes at a steady pace, it predicts all, and what it costs in CPU
is compared there.
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
from benchmarks.serving.servers import Server, cpu_s, kairos_server, sent
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
PART = 1 / 3
"""Of what is answered at full load by Kairos alone."""


def measure(setting: Setting) -> Findings:
    """All servers are up during all turns; only one is asked at a time."""
    live = bikes(setting)
    roots = _on_trial(setting, live)
    with ExitStack() as stack:

        def start(name: str, root: Path, off: str) -> Server:
            module = ("benchmarks.serving.switched", off)
            return stack.enter_context(kairos_server(setting, root, bodies(live.row), name=name, module=module))

        servers = {who: start(f"off-{off}", live.root, off) for who, off in WITHOUT.items()}
        durable = kairos_server(setting, live.root, bodies(live.row), name="durable", more=("--capture", "durable"))
        servers[DURABLE] = stack.enter_context(durable)
        servers |= {who: start(f"trial-{number}", root, "nothing") for number, (who, root) in enumerate(roots.items())}
        for who, off in WITHOUT.items():
            _require_off(live, servers[who], off)
        per_s = PART * load(setting, servers[US].asks["one row"], 16).requests_per_s
        turns: dict[str, Turn] = {
            who: partial(_turn, setting, who, server, per_s if who in (US, DURABLE, *roots) else None)
            for who, server in servers.items()
        }
        figures = take_turns(turns, setting.rounds)
        notes = [f"{STEADY}: {per_s:.0f} requests a second", *(_told(who, servers[who]) for who in roots)]
    return Findings(figures, goals=_goals(figures), notes=notes)


def _on_trial(setting: Setting, live: Bikes) -> Mapping[str, Path]:
    """Copies of the project in which a second version is on trial."""
    window = Window.parse("2011-01-08..2011-02-28" if setting.quick else "2011-01-08..2011-07-07")
    with Project(live.root) as project:
        challenger = trained(project, window)
    found = {}
    for number, (who, step) in enumerate(TRIALS.items()):
        found[who] = live.root.with_name(f"trial-{number}")
        shutil.copytree(live.root, found[who], symlinks=True)
        with Project(found[who]) as project:
            deploy(project, challenger, to=StageStep.parse(step), override="a benchmark: nobody is answered")
    return found


def _turn(setting: Setting, who: str, server: Server, per_s: float | None) -> Iterator[Sample]:
    for connections, what in LOADS if who in WITHOUT else LOADS[1:]:
        yield from samples(f"{what}, {connections} connections", load(setting, server.asks[what], connections))
    if per_s is not None:
        before = cpu_s(server.session)
        told = paced(setting, server.asks["one row"], connections=32, seconds=setting.seconds, per_s=per_s)
        spent = cpu_s(server.session) - before
        yield Sample(f"{STEADY}, median", told.minutes[0]["p50_ms"], "ms")
        yield Sample(f"{STEADY}, 99th percentile", told.minutes[0]["p99_ms"], "ms")
        yield Sample(f"{STEADY}, CPU of all processes", 1e3 * spent / max(told.answers, 1), "ms a request")


def _goals(figures: Sequence[Figure]) -> list[Goal]:
    goals = []
    for connections, what in LOADS:
        job = f"{what}, {connections} connections"
        share = median_of(figures, job, US) / median_of(figures, job, "neither")
        goals.append(
            Goal(what=f"{job}: share of what is answered without capture and metrics", value=share, least=0.85)
        )
    job, cost = "one row, 64 connections", f"{STEADY}, CPU of all processes"
    for who in TRIALS:
        share = median_of(figures, job, who) / median_of(figures, job, US)
        by_cpu = median_of(figures, cost, US) / median_of(figures, cost, who)
        goals.append(
            Goal(
                what=f"{job}, {who}: share of what is answered alone; CPU would leave {by_cpu:.2f}",
                value=share,
                least=by_cpu,
            )
        )
    return goals


def _require_off(live: Bikes, server: Server, off: str) -> None:
    """What is to be switched off is off, and the rest is not, or the comparison would mean nothing."""
    given = sent(server.asks["one row"])["prediction_id"]
    with Project(live.root) as project:
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
