"""Small packages that satisfy ``kairos.serving.ports``, a ledger that is a list, and a server made of them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import httpx
import numpy as np
from starlette.applications import Starlette

from kairos.clock import Clock, SystemClock
from kairos.delivery.state import Live, Route
from kairos.errors import PackageError, StoreError
from kairos.models.signature import Column, OutputSpec, Signature
from kairos.models.truths import Truths
from kairos.privacy.capture import CapturePolicy
from kairos.serving.app import make_app
from kairos.serving.guard import OutputGuard
from kairos.serving.ports import CountSink, ModelPolicy
from kairos.serving.server import ModelServer
from kairos.store.batch import Predictions
from kairos.store.predictions import EntityLabel, Prediction, PredictionLog, PredictionWriter
from kairos.store.records import Label
from kairos.store.spool import Commit
from kairos.values import Digest, VersionRef

Columns = Mapping[str, np.ndarray[Any, Any]]
Rule = Callable[[Columns], Any]

SIGNATURE = Signature(
    columns=(
        Column(name="temperature", kind="number"),
        Column(name="hour", kind="integer", required=False, nullable=True),
        Column(name="weather", kind="category", required=False, levels=("clear", "rain")),
        Column(name="holiday", kind="boolean", required=False),
        Column(name="note", kind="text", required=False),
    ),
    output=OutputSpec(),
)


def adds(number: float) -> Rule:
    """A model that adds ``number`` to the temperature, so that an answer says who gave it."""
    return lambda columns: columns["temperature"] + number


def gives(value: float) -> Rule:
    """A model that gives ``value`` once it is warm."""
    calls = itertools.count()
    return lambda columns: np.full(len(columns["temperature"]), 0.0 if next(calls) == 0 else value)


def fails(columns: Columns) -> Any:
    """A model that fails on every request, with a user's data in its message, once it is warm."""
    if columns["temperature"][0] == 0.0:
        return columns["temperature"]
    raise RuntimeError(f"secret {columns['temperature'][0]}")


@dataclass
class ToyRunner:
    rule: Rule

    def predict(self, columns: Columns) -> Any:
        return self.rule(columns)


@dataclass
class ToySpec:
    signature: Signature = SIGNATURE
    entity: str | None = "station"
    time: str | None = "when"
    rank_within: str | None = None
    item: str | None = None


@dataclass
class ToyPackage:
    rule: Rule
    spec: ToySpec = field(default_factory=ToySpec)

    def runner(self) -> ToyRunner:
        return ToyRunner(self.rule)


def live(number: int, model: str = "demand") -> Live:
    """Version ``number``, in a package of that name."""
    return Live(ref=VersionRef(model, number), package=Digest(f"{number:032x}"))


def route(
    champion: int | None = 1,
    *,
    challenger: int | None = None,
    stage: Literal["shadow", "canary"] | None = None,
    share: float = 0.0,
    previous: int | None = None,
    seq: int = 1,
    model: str = "demand",
    trial_since: datetime | None = None,
    bake_since: datetime | None = None,
) -> Route:
    """A route of versions by their numbers; nothing is counted of it unless it says since when."""
    champion_, challenger_, previous_ = (
        None if n is None else live(n, model) for n in (champion, challenger, previous)
    )
    return Route(
        model=model,
        champion=champion_,
        challenger=challenger_,
        stage=stage,
        share=share,
        previous=previous_,
        salt="salt",
        seq=seq,
        trial_since=trial_since,
        bake_since=bake_since,
    )


class Registry:
    """Routes and packages that a test changes while a server follows them."""

    def __init__(self, rules: Mapping[int, Rule], *routes: Route, spec: ToySpec | None = None) -> None:
        self.rules = dict(rules)
        self.routes: Sequence[Route] = routes
        self.spec = spec or ToySpec()

    def source(self, after: int) -> list[Route] | None:
        """The routes, if there is something newer."""
        routes = self.routes
        return list(routes) if max((r.seq for r in routes), default=0) > after else None

    def load(self, digest: Digest) -> ToyPackage:
        """The package of that version's number; a number without a rule is a damaged package."""
        number = int(digest, 16)
        if number not in self.rules:
            raise PackageError("The package is damaged.", given=f"number {number}")
        return ToyPackage(self.rules[number], self.spec)


class FullDisk:
    """A sink that keeps nothing."""

    is_durable = False
    trouble: str | None = "The disk is full."

    def append(self, predictions: Sequence[Prediction] | Predictions) -> Commit | None:
        raise StoreError("The disk is full.")

    def append_labels(self, labels: Sequence[Label]) -> None:
        raise StoreError("The disk is full.", given="/a/path/of/ours")

    def append_entity_labels(self, labels: Sequence[EntityLabel]) -> None:
        raise StoreError("The disk is full.")

    def close(self) -> None:
        """Nothing to end."""


class NowAndThenFull(FullDisk):
    """A sink on a disk that is full at some appends; ``is_full`` says so for the first, the second, ..."""

    def __init__(self, writer: PredictionWriter, is_full: Sequence[bool]) -> None:
        self._writer = writer
        self._is_full = iter(is_full)

    def append(self, predictions: Sequence[Prediction] | Predictions) -> Commit | None:
        if next(self._is_full):
            super().append(predictions)
        return self._writer.append(predictions)

    def close(self) -> None:
        """Ends writing."""
        self._writer.close()


ANY = Truths()
KEEP_ALL = CapturePolicy(keep=frozenset(SIGNATURE.names), entity="raw")


def make_server(
    registry: Registry,
    sink: PredictionWriter | FullDisk,
    *,
    clock: Clock | None = None,
    guard: OutputGuard | None = None,
    capture: CapturePolicy = KEEP_ALL,
    events: frozenset[str] = frozenset(),
    truths: Truths = ANY,
    values: frozenset[str] = frozenset(),
    counts: CountSink | None = None,
    limits: Mapping[str, int] = MappingProxyType({}),
    timeout: timedelta | None = None,
    seed: int = 0,
) -> ModelServer:
    """A server of that registry."""
    policy = ModelPolicy(
        guard=guard or OutputGuard(), capture=capture, timeout=timeout, events=events, values=values, truths=truths
    )
    return ModelServer(
        registry.source,
        load=registry.load,
        policy=lambda live, signature: policy,
        sink=sink,
        counts=counts,
        limits=lambda comparison: limits,
        clock=clock or SystemClock(),
        seed=seed,
    )


class Client:
    """Talks to an application over ASGI in this process, one request at a time; enter it to start the application."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self._life = app.router.lifespan_context(app)
        transport = httpx.ASGITransport(
            app
        )  # what gets out of the application, where uvicorn would log it, fails a test
        self._http = httpx.AsyncClient(transport=transport, base_url="http://toy")
        self._runner = asyncio.Runner()

    def __enter__(self) -> Client:
        self._runner.run(self._life.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._http.aclose())
        self._runner.run(self._life.__aexit__(None, None, None))
        self._runner.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request."""
        return self._runner.run(self._http.request(method, path, **options))

    def get(self, path: str) -> httpx.Response:
        """One GET."""
        return self.request("GET", path)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """One POST of ``json`` or ``content``."""
        return self.request("POST", path, **options)


@dataclass
class Served:
    """A running application with its log."""

    client: Client
    server: ModelServer
    log: PredictionLog
    registry: Registry

    def rows(self, answer: Mapping[str, Any]) -> list[Prediction]:
        """What the log holds of an answer, the champion's row first."""
        return sorted(self.log.find(answer["prediction_id"]), key=lambda row: (row.role, row.version))

    def predict(self, temperature: float = 20.5, entity: str | None = None, **headers: str) -> Any:
        """One answer; anything but 200 fails the test."""
        body = {"inputs": {"temperature": temperature}, "entity": entity}
        response = self.client.post("/predict/demand", json=body, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()


@contextmanager
def serving(
    registry: Registry,
    folder: Path,
    *,
    clock: Clock | None = None,
    guard: OutputGuard | None = None,
    capture: CapturePolicy = KEEP_ALL,
    events: frozenset[str] = frozenset(),
    truths: Truths = ANY,
    values: frozenset[str] = frozenset(),
    sink: FullDisk | None = None,
    counts: CountSink | None = None,
    limits: Mapping[str, int] = MappingProxyType({}),
    seed: int = 0,
) -> Iterator[Served]:
    """The application over ASGI, without a socket; what is owed after an answer is done when the block ends."""
    log = PredictionLog(folder)
    server = make_server(
        registry,
        sink or log.writer("toy"),
        clock=clock,
        guard=guard,
        capture=capture,
        events=events,
        truths=truths,
        values=values,
        counts=counts,
        limits=limits,
        seed=seed,
    )
    app = make_app(server, pages={"/": lambda: "<h1>Hello</h1>"})
    with Client(app) as client:
        yield Served(client, server, log, registry)
