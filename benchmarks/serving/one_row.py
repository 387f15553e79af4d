"""Requests over HTTP: ``kairos serve`` beside four other servers and beside the floor, with one model.

Run: ``python -m benchmarks.serving.one_row``. The model is that of the bikes example. Kairos does all it does in
production: it checks the input, guards the output, writes every prediction to a file, and counts. The others check the
input and predict. Each has two workers. ``floor`` is the same HTTP server with the compiled model alone. Peers with
environments of their own get them on the first run, below ``build/peers``; those that cannot be had are told of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from benchmarks.serving.closed_loop import load, samples
from benchmarks.serving.peer_servers import APART, start_peers
from benchmarks.serving.projects import bikes, bodies
from benchmarks.serving.servers import Server, floor_server, kairos_server, memory_mb, roll, sent
from benchmarks.side_by_side import US, Figure, Findings, Goal, Sample, Setting, Turn, main, median_of, take_turns

FLOOR = "floor"
P99 = ", 99th percentile"


def measure(setting: Setting) -> Findings:
    """All servers are up during all turns; only one is asked at a time."""
    live = bikes(setting)
    with ExitStack() as stack:
        servers = {US: stack.enter_context(kairos_server(setting, live.root, bodies(live.row)))}
        servers[FLOOR] = stack.enter_context(floor_server(setting, live.folder, bodies(live.row)))
        peers, notes = start_peers(setting, stack, live.package, live.folder, live.row)
        servers |= peers
        _require_agreement(servers)
        before = {who: memory_mb(server.session) for who, server in servers.items()}
        turns: dict[str, Turn] = {who: partial(_turn, setting, server) for who, server in servers.items()}
        figures = take_turns(turns, setting.rounds)
        after = {who: memory_mb(server.session) for who, server in servers.items()}
    figures += [Figure(job="memory (PSS), before", who=who, unit="MB", values=(mb,)) for who, mb in before.items()]
    figures += [Figure(job="memory (PSS), after", who=who, unit="MB", values=(mb,)) for who, mb in after.items()]
    figures += [
        Figure(job="start to the first prediction", who=who, unit="s", values=(server.start_s,))
        for who, server in servers.items()
    ]
    return Findings(figures, goals=_goals(figures, [*peers]), notes=[*notes, *_errors(figures)])


def _turn(setting: Setting, server: Server) -> Iterator[Sample]:
    errors = 0
    for connections, what in ((1, "one row"), (16, "one row"), (64, "one row"), (64, "64 rows")):
        found = load(setting, server.asks[what], connections)
        yield from samples(f"{what}, {connections} connection{'s' * (connections > 1)}", found)
        errors += found.errors
    yield Sample("errors", errors, "requests")
    if server.project is not None:
        yield Sample("rolling the log after a turn, CPU", roll(server.project), "s")


def _goals(figures: Sequence[Figure], peers: Sequence[str]) -> list[Goal]:
    """Ratios of medians: beside the best peer, whichever that is for the job, and beside the floor."""
    ours = partial(median_of, figures, who=US)
    goals = []
    for job, times_peer, of_floor in (
        ("one row, 64 connections", 10.0, 0.70),
        ("one row, 16 connections", 8.0, 0.0),
        ("64 rows, 64 connections", 6.0, 0.75),
    ):
        rates = {who: median_of(figures, job, who) for who in peers}
        if rates:
            best = max(rates, key=lambda who: rates[who])
            goals.append(
                Goal(what=f"{job}: times the best peer ({best})", value=ours(job) / rates[best], least=times_peer)
            )
        if of_floor:
            share = ours(job) / median_of(figures, job, FLOOR)
            goals.append(Goal(what=f"{job}: share of the floor", value=share, least=of_floor))
    job = f"one row, 64 connections{P99}"
    tails = {who: median_of(figures, job, who) for who in peers}
    if tails:
        best = min(tails, key=lambda who: tails[who])
        goals.append(Goal(what=f"{job}: of the best peer's ({best})", value=ours(job) / tails[best], most=0.1))
    job = "one row, 1 connection, median"
    goals.append(Goal(what=f"{job}: times the floor's", value=ours(job) / median_of(figures, job, FLOOR), most=1.5))
    goals.append(Goal(what="memory (PSS), after: MB", value=ours("memory (PSS), after"), most=250))
    goals.append(Goal(what="start to the first prediction: s", value=ours("start to the first prediction"), most=1.5))
    return [goal for goal in goals if not math.isnan(goal.value)]


def _errors(figures: Sequence[Figure]) -> list[str]:
    lost = {figure.who: sum(figure.values) for figure in figures if figure.job == "errors"}
    return [f"{who} had {count:.0f} errors" for who, count in lost.items() if count]


def _require_agreement(servers: Mapping[str, Server]) -> None:
    """All of them answer the same number, or the comparison would mean nothing."""
    numbers = {
        (who, what): server.read(sent(ask)) for who, server in servers.items() for what, ask in server.asks.items()
    }
    if max(numbers.values()) - min(numbers.values()) > 1e-6:
        raise SystemExit(f"error: the servers do not agree: {numbers}")


if __name__ == "__main__":
    raise SystemExit(main("Requests over HTTP", ["mlflow"], measure, rounds=3, apart=APART))
