"""The past as traffic: rows go over HTTP under a replayed clock, labels follow late, the loop turns as it would."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from kairos.app.controller import Controller
from kairos.app.packages import open_version
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.timed import TimedRows
from kairos.clock import ReplayClock
from kairos.errors import KairosError, UsageError
from kairos.models.spec import PackageSpec
from kairos.values import Digest, Json, Window

__all__ = ["ReplayServer", "Traffic"]


_PATIENCE = 60


class ReplayServer:
    """A model server in its own process, whose clock is moved by its requests. Use it as a context manager.

    Args:
        project: Whose models; its home is where the predictions go.
        start: What the server's clock shows at first.
    """

    def __init__(self, project: Project, start: datetime) -> None:
        command = [sys.executable, "-m", "kairos.cli", "-C", str(project.root), "serve", "--json"]
        command += ["--port", "0", "--replay", start.isoformat(), "--home", str(project.home)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None  # because of PIPE
        line = self._process.stdout.readline()
        if not line:
            raise KairosError("The model server did not start.", given=f"exit code {self._process.wait()}")
        self.url: str = json.loads(line)["url"]
        address = urlsplit(self.url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)

    def __enter__(self) -> ReplayServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.wait()

    def call(self, method: str, path: str, body: Json = None, *, at: datetime | None = None) -> Json:
        """Sends one request and returns the JSON of its answer.

        Raises:
            KairosError: the answer was not a success.
        """
        headers = {"content-type": "application/json"}
        if at is not None:
            headers["kairos-at"] = at.isoformat()
        content = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, path, body=content, headers=headers)
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()  # the server had closed the idle connection: it has not seen the request
            self._connection.request(method, path, body=content, headers=headers)
            response = self._connection.getresponse()
        answer = response.read()
        if response.status >= 400:
            raise KairosError(f"{method} {path} was answered with {response.status}.", given=answer.decode()[:500])
        return json.loads(answer)


@dataclass(slots=True)
class _Waiting:
    """Answers whose truth is not known yet, the oldest first."""

    labels: list[tuple[datetime, Json]] = field(default_factory=list)

    def due(self, until: datetime) -> list[Json]:
        """Takes out what is known at ``until``."""
        count = sum(at <= until for at, _ in self.labels)
        known, self.labels = self.labels[:count], self.labels[count:]
        return [label for _, label in known]


class Traffic:
    """Sends rows as traffic. Iterating runs it: each item is the moment after one more turn of the loop.

    Args:
        project: Whose models answer.
        clock: The project's; it is moved as the rows go by.
        rows: One row a request, with each model's inputs, time and target; of a model that ranks one list a request.
        window: Which rows are sent, by their time.
        server: Answers them.
    """

    def __init__(
        self,
        project: Project,
        clock: ReplayClock,
        rows: pl.DataFrame,
        *,
        window: Window,
        server: ReplayServer,
    ) -> None:
        self._project, self._clock, self._server, self._window = project, clock, server, window
        self._models = [m for m in project.settings.models.values() if m.time in rows.columns]
        if not self._models:
            raise UsageError(
                "No model can be replayed.",
                given=", ".join(rows.columns),
                accepted="rows with the time column of a model, as model.NAME.time names it",
            )
        self._rows = {m.name: TimedRows.of(rows, m.time) for m in self._models if m.time is not None}
        self._waiting = {model.name: _Waiting() for model in self._models}
        self._specs: dict[Digest, PackageSpec] = {}
        self._controller = Controller(project)
        self._told = project.ledger.head()

    def __iter__(self) -> Iterator[datetime]:
        step = self._project.settings.every
        start = self._window.start
        while start < self._window.end:
            end = min(start + step, self._window.end)
            for model in self._models:
                self._send(model, Window(start, end))
            self._clock.move_to(end)
            for model in self._models:
                self._label(model, end)
            self._controller.tick()
            self.catch_up()
            yield end
            start = end

    def catch_up(self) -> None:
        """Waits until the server follows what was last written."""
        head = self._project.ledger.head()
        if head == self._told:
            return
        for _ in range(_PATIENCE):  # each waits for seconds: a large package may take a while to load
            if self._server.call("GET", f"/state?seq={head}")["reached"]:
                self._told = head
                return
        raise KairosError("The model server does not follow the ledger.", given=f"entry {head}")

    def _send(self, model: ModelSettings, window: Window) -> None:
        champion = self._project.state().model(model.name).champion
        if champion is None:
            raise UsageError(f"Nothing of {model.name!r} is live.", hint=f"Type: kairos deploy {model.name}@1")
        spec = self._spec(model, champion.package)
        waiting = self._waiting[model.name].labels
        for moment, rows in _requests(self._rows[model.name].within(window), spec):
            first = rows[0]
            entity = str(first[model.entity]) if model.entity is not None else None
            parts = [moment.isoformat(), entity, None if spec.rank_within is None else str(first[spec.rank_within])]
            name = "/".join(part for part in parts if part is not None)
            inputs = [_told(row, spec) for row in rows]
            body: dict[str, Any] = {"inputs": inputs[0] if spec.rank_within is None else inputs, "id": name}
            if entity is not None:
                body["entity"] = entity
            answer = self._server.call("POST", f"/predict/{model.name}", body, at=moment)
            due = moment + self._project.settings.label_delay
            for row, told in zip(rows, answer.get("predictions", [answer]), strict=True):
                value = _truth(row, spec.goals)
                if value is not None:
                    waiting.append((due, {"prediction_id": told["prediction_id"], "value": value}))

    def _label(self, model: ModelSettings, now: datetime) -> None:
        labels = self._waiting[model.name].due(now)
        if labels:
            self._server.call("POST", "/labels", {"labels": labels}, at=now)

    def _spec(self, model: ModelSettings, package: Digest) -> PackageSpec:
        if package not in self._specs:
            self._specs[package] = open_version(self._project, package, model).spec
        return self._specs[package]


def _told(row: Mapping[str, Any], spec: PackageSpec) -> dict[str, Any]:
    """What a client sends of a row: its inputs, and of what is ranked the list and the item."""
    listed = [name for name in (spec.rank_within, spec.item) if name is not None]
    beside = {name: str(row[name]) for name in listed if row.get(name) is not None}
    return {name: row[name] for name in spec.signature.names} | beside


def _requests(sent: TimedRows, spec: PackageSpec) -> Iterator[tuple[datetime, list[dict[str, Any]]]]:
    """Each request with its moment: a row; of a model that ranks the rows of a list, at the time of the first one.

    Raises:
        UsageError: the rows lack the column of lists.
    """
    rows = list(zip((at.astimezone(UTC) for at in sent.at), sent.rows.iter_rows(named=True), strict=True))
    if spec.rank_within is None:
        yield from ((at, [row]) for at, row in rows)
        return
    if spec.rank_within not in sent.rows.columns:
        raise UsageError(
            f"The rows to send lack the column {spec.rank_within!r}, which says what is one list.",
            given=", ".join(sent.rows.columns),
        )
    lists: dict[object, tuple[datetime, list[dict[str, Any]]]] = {}
    for at, row in rows:
        lists.setdefault(row[spec.rank_within], (at, []))[1].append(row)
    yield from lists.values()


def _truth(row: Mapping[str, Any], targets: Sequence[str]) -> Json:
    """What a label says of a row; ``None``: what is true is not known, or of several targets of none."""
    known = {target: row[target] for target in targets if row.get(target) is not None}
    if len(targets) > 1:
        return known or None
    return next(iter(known.values()), None)
