"""The way back, tried before going forward: a real server goes to a version and back again, on a copy of the ledger."""

from __future__ import annotations

import hashlib
import http.client
import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from kairos.app.changing import change, move
from kairos.app.facts import run_entry
from kairos.app.going_back import restore
from kairos.app.packages import holdout_table, open_version
from kairos.app.project import Project
from kairos.clock import SystemClock
from kairos.delivery.versions import VersionState
from kairos.errors import KairosError, TransitionRefused
from kairos.ledger import Entry
from kairos.models.signature import Signature
from kairos.values import Json, VersionRef, Window

__all__ = ["rehearse"]

_MOST_ROWS = 50
_PATIENCE = 12
"""How often a server is waited for that has not followed yet; each wait is up to 5 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    source: str
    """``recorded``, ``holdout`` or ``example``."""
    rows: Sequence[dict[str, Json]]


def rehearse(project: Project, ref: VersionRef) -> Entry:
    """Takes a version live and back again beside the traffic, and writes down how that went.

    A server process of its own, with the real packages and a copy of the ledger, answers as the champion, as the
    version, and as the champion again. It passes if the version answers every request, if the champion's answers after
    the way back are those of before, to the byte, and if the way back took no longer than ``way_back``.

    Raises:
        TransitionRefused: nothing is live, or this version is: there is no way back to rehearse.
        NotFound: there is no such version.
        KairosError: the server did not start, or did not follow its ledger.
    """
    model = project.state().model(ref.model)
    version, champion = model.version(ref.number), model.champion
    if champion is None or champion.ref == ref:
        what = "nothing is live" if champion is None else "it is live already"
        raise TransitionRefused(f"There is no way back from {ref} to rehearse: {what}.", hint="Type: kairos live")
    theirs, mine = _rows(project, champion), _rows(project, version)
    with TemporaryDirectory(prefix="rehearsal-", dir=project.home) as folder:
        _copy_ledger(project, Path(folder))
        with Project(project.root, home=Path(folder), clock=project.clock, actor="rehearsal") as scratch:
            found = _there_and_back(scratch, champion, version, theirs, mine)
            scratch.ledger.close()
    limit = project.settings.model(ref.model).control.way_back
    problems = _problems(found, champion.ref, ref, limit)
    passed = (
        f"{ref} answered {len(mine.rows)} requests in place of {champion.ref}; the way back took "
        f"{found.way_back_s:.2f} s, and the {len(theirs.rows)} answers of {champion.ref} after it are those of before, "
        "to the byte"
    )
    body: dict[str, Json] = {
        "verdict": "fail" if problems else "pass",
        "against": str(champion.ref),
        "package": version.package,
        "source": {"champion": theirs.source, "version": mine.source},
        "requests": {"champion": len(theirs.rows), "version": len(mine.rows)},
        "answers": {"before": found.before, "after": found.after},
        "way_back_s": round(found.way_back_s, 3),
        "reasons": problems or [passed],
    }
    return project.tell("rehearsal.done", subject=str(ref), body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    before: str
    """SHA-256 of all the champion's answers, without their ids."""
    after: str
    unanswered: int
    """Requests that the version did not answer."""
    way_back_s: float


def _problems(found: _Found, champion: VersionRef, ref: VersionRef, limit: timedelta) -> list[str]:
    problems = []
    if found.unanswered:
        problems.append(f"{ref} did not answer {found.unanswered} requests")
    if found.before != found.after:
        problems.append(f"the answers of {champion} after the way back are not those of before")
    if found.way_back_s > limit.total_seconds():
        problems.append(f"the way back took {found.way_back_s:.2f} s, {limit.total_seconds():g} s are allowed")
    return problems


def _there_and_back(
    scratch: Project, champion: VersionState, version: VersionState, theirs: _Rows, mine: _Rows
) -> _Found:
    name, why = champion.ref.model, "a rehearsal"
    challenger = scratch.state().model(name).challenger
    if challenger is not None:  # who is on trial would answer in the champion's place
        move(scratch, challenger, "retired", verdict=None, reasons=[why])
    with _Server(scratch, name) as server:
        server.need(scratch.ledger.head())
        before, _ = server.ask(theirs.rows, champion.ref)
        forward = change(scratch, version, "live", verdict=None, reasons=[why], override=why)
        is_live = server.follow(scratch.tell_all([forward])[-1].seq)
        _, answered = server.ask(mine.rows, version.ref) if is_live else ("", 0)
        state, clock = scratch.state(), SystemClock()
        start_s = clock.elapsed_s()
        back = restore(scratch, state.model(name), champion.live, verdict=None, reasons=[why], expect=state.seq)
        server.need(back[-1].seq)
        _, first = server.ask(theirs.rows[:1], champion.ref)
        way_back_s = clock.elapsed_s() - start_s
        after, _ = server.ask(theirs.rows, champion.ref)
    if not first:
        after = "no answer"
    return _Found(before=before, after=after, unanswered=len(mine.rows) - answered, way_back_s=way_back_s)


class _Server:
    """A model server in a process of its own, on a free port. Use it as a context manager."""

    def __init__(self, scratch: Project, model: str) -> None:
        command = [sys.executable, "-m", "kairos.cli", "-C", str(scratch.root), "serve", "--json"]
        command += ["--port", "0", "--host", "127.0.0.1", "--home", str(scratch.home)]
        self._model = model
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None  # because of PIPE
        line = self._process.stdout.readline()
        if not line:
            raise KairosError("The server of the rehearsal did not start.", given=f"exit code {self._process.wait()}")
        address = urlsplit(json.loads(line)["url"])
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)

    def __enter__(self) -> _Server:
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def follow(self, seq: int) -> bool:
        """Waits until the server answers as its ledger says; whether it does."""
        for _ in range(_PATIENCE):
            status, body = self._call("GET", f"/state?seq={seq}&model={self._model}", None)
            if status == 200 and json.loads(body)["reached"]:
                return True
        return False

    def need(self, seq: int) -> None:
        """Waits until the server answers as its ledger says, as it must where the champion is live.

        Raises:
            KairosError: it does not.
        """
        if not self.follow(seq):
            raise KairosError("The server of the rehearsal does not follow its ledger.", given=f"entry {seq}")

    def ask(self, rows: Sequence[dict[str, Json]], ref: VersionRef) -> tuple[str, int]:
        """The name of all answers, without their ids; and how many requests that version answered."""
        digest, answered = hashlib.sha256(), 0
        for row in rows:
            status, body = self._call("POST", f"/predict/{self._model}", json.dumps({"inputs": row}))
            answer = json.loads(body)
            answered += status == 200 and answer.get("version") == ref.number
            digest.update(body.replace(str(answer.get("prediction_id", "")).encode(), b"") + b"\n")
        return digest.hexdigest(), answered

    def _call(self, method: str, path: str, content: str | None) -> tuple[int, bytes]:
        self._connection.request(method, path, body=content, headers={"content-type": "application/json"})
        response = self._connection.getresponse()
        return response.status, response.read()


def _copy_ledger(project: Project, home: Path) -> None:
    """A copy as of now; the ledger itself is only read."""
    with closing(sqlite3.connect(project.ledger.path)) as source, closing(sqlite3.connect(home / "ledger.db")) as copy:
        source.backup(copy)


def _rows(project: Project, version: VersionState) -> _Rows:
    """Requests for a version: recorded ones if the log holds all inputs, else of its holdout, else its example."""
    settings = project.settings.model(version.ref.model)
    package = open_version(project, version.package, settings)
    signature = package.spec.signature
    now = project.clock.now()
    log = project.predictions.predictions(version.ref.model, Window(now - timedelta(days=7), now))
    recorded = [
        {name.removeprefix("in."): value for name, value in row.items() if name.startswith("in.")}
        for row in log.tail(_MOST_ROWS).iter_rows(named=True)
    ]
    found = _usable(recorded, signature)
    if found:
        return _Rows(source="recorded", rows=found)
    try:
        holdout = holdout_table(project, settings, run_entry(project, version.run).body)
        found = _usable(list(holdout.tail(_MOST_ROWS).iter_rows(named=True)), signature)
    except KairosError:  # the run or its holdout is gone; the example is part of the package
        found = []
    return _Rows(source="holdout", rows=found) if found else _Rows(source="example", rows=[package.example])


def _usable(rows: Sequence[dict[str, Json]], signature: Signature) -> list[dict[str, Json]]:
    """The rows with what the model takes, those that it would refuse left out."""
    usable = []
    for row in rows:
        one = {name: row[name] for name in signature.names if name in row}
        try:
            signature.parse_rows([json.loads(json.dumps(one))])
        except (KairosError, TypeError):
            continue
        usable.append(one)
    return usable
