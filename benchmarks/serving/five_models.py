"""Requests over HTTP for models of five kinds: ``kairos serve`` beside FastAPI with the library's own ``predict``.

Run: ``python -m benchmarks.serving.five_models``. The rows are those of the bikes example. Both have two workers. What
answers in Kairos, the compiled form or the native one, stands below the table. The network needs PyTorch, here or in
``.venv-torch`` (``make test-all`` makes it); without it, it is told of as missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.serving.closed_loop import load, samples
from benchmarks.serving.environments import NotInstalled
from benchmarks.serving.peer_servers import by_hand, hand_asks
from benchmarks.serving.projects import bodies
from benchmarks.serving.servers import Ask, NotStarted, kairos_server, roll, sent
from benchmarks.serving.servers import first_number as number
from benchmarks.serving.zoo_projects import ESTIMATORS, Missing, Zoo, estimators, network
from benchmarks.side_by_side import US, Figure, Findings, Sample, Setting, Turn, main, take_turns

PEER = "fastapi"
LOADS = ((16, "one row"), (64, "one row"), (64, "64 rows"))
NAMES = {**ESTIMATORS, "network": "PyTorch network"}
Asks = Mapping[str, Ask]


def measure(setting: Setting) -> Findings:
    """All servers are up during all turns; only one is asked at a time."""
    zoos, notes = [estimators(setting)], list[str]()
    try:
        zoos.append(network(setting))
    except Missing as error:
        notes.append(f"the network is MISSING: {error}")
    asked: dict[tuple[str, str], Asks] = {}
    with ExitStack() as stack:
        for zoo in zoos:
            asked |= {(name, US): asks for name, asks in _ours(setting, stack, zoo).items()}
        if PEER in setting.peers:
            try:
                asked |= {(name, PEER): asks for name, asks in _peers(setting, stack, zoos).items()}
            except (NotInstalled, NotStarted) as error:
                notes.append(f"{PEER} is MISSING: {error}")
        _require_agreement(asked)
        figures: list[Figure] = []
        for name, root in [(name, zoo.root) for zoo in zoos for name in zoo.packages]:
            turns: dict[str, Turn] = {
                who: partial(_turn, setting, NAMES[name], asks, root if who == US else None)
                for (model, who), asks in asked.items()
                if model == name
            }
            figures += take_turns(turns, setting.rounds)
    forms = {name: package.form for zoo in zoos for name, package in zoo.packages.items()}
    return Findings(figures, notes=[*notes, *(f"{NAMES[name]}: {form}" for name, form in forms.items())])


def _ours(setting: Setting, stack: ExitStack, zoo: Zoo) -> dict[str, Asks]:
    first, package = next(iter(zoo.packages.items()))
    server = stack.enter_context(
        kairos_server(setting, zoo.root, bodies(package.example), model=first, name=zoo.root.name)
    )
    address = server.asks["one row"].url.rsplit("/", 1)[0]
    return {
        name: {
            what: Ask(url=f"{address}/{name}", body=json.dumps(body).encode())
            for what, body in bodies(each.example).items()
        }
        for name, each in zoo.packages.items()
    }


def _peers(setting: Setting, stack: ExitStack, zoos: list[Zoo]) -> dict[str, Asks]:
    told = {name: each for zoo in zoos for name, each in zoo.peers.items()}
    packages = {name: each for zoo in zoos for name, each in zoo.packages.items()}
    first = next(iter(told))
    server = stack.enter_context(by_hand(setting, told, first, packages[first].example))
    address = server.asks["one row"].url.rsplit("/", 2)[0]
    return {name: hand_asks(f"{address}/{name}", packages[name].example) for name in told}


def _turn(setting: Setting, model: str, asks: Asks, project: Path | None) -> Iterator[Sample]:
    for connections, what in LOADS:
        found = load(setting, asks[what], connections)
        for sample in samples(f"{model}: {what}, {connections} connections", found):
            if not sample.job.endswith("median"):
                yield sample
        if found.errors:
            yield Sample(f"{model}: errors", found.errors, "requests")
    if project is not None:
        roll(project)  # else it would take its time from whoever is asked next


def _require_agreement(asked: Mapping[tuple[str, str], Asks]) -> None:
    """Both answer the same number, or the comparison would mean nothing; a network's is of 32 bits."""
    numbers: dict[str, list[float]] = {}
    for (name, _), asks in asked.items():
        numbers.setdefault(name, []).extend(number(sent(ask)) for ask in asks.values())
    for name, found in numbers.items():
        if max(found) - min(found) > 1e-4 * max(1.0, abs(found[0])):
            raise SystemExit(f"error: the servers of {name} do not agree: {found}")


if __name__ == "__main__":
    raise SystemExit(main("Models of five kinds over HTTP", [], measure, rounds=2, apart=[PEER]))
