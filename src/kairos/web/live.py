"""The status page of a project, as its ledger tells it now."""

from __future__ import annotations

import logging
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Literal, cast
from weakref import WeakKeyDictionary

from kairos.app.explaining import LiveAt, live_at
from kairos.app.outlook import Outlook, outlook
from kairos.app.plainly import plain_line, plain_words
from kairos.app.project import Project
from kairos.errors import KairosError, UsageError
from kairos.ledger import Entry
from kairos.monitor.findings import Finding
from kairos.pipeline.progress import read_unended
from kairos.web.status import FindingLine, ModelStatus, RunLine, StatusPage, render_status

__all__ = ["status_page"]

_log = logging.getLogger("kairos.web")

_MOST = 20
"""Lines of each list."""

_STEPS = 5
"""So many of a run's steps are named."""

_DEAD_FOR = timedelta(days=7)
"""So long a run that was killed is shown; `kairos runs` lists it for longer."""

_LOOK_EVERY = timedelta(minutes=5)
"""How old what is waited for may be; the log of predictions is not read for every visit."""


class _Latest:
    """The end of a ledger and where it stands; an entry is read once, so visits cost no more when the ledger is old."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # protects what follows: one visit at a time reads on
        self.head, self.hash = 0, ""
        self.findings: deque[Entry] = deque(maxlen=_MOST)
        self.decided: deque[Entry] = deque(maxlen=_MOST)
        self.models: tuple[ModelStatus, ...] = ()
        self.outlooks: dict[str, Outlook] = {}
        self.looked: datetime | None = None

    def follow(self, project: Project) -> None:
        """Reads what is new."""
        before = self.head
        for entry in project.ledger.read(after=self.head):
            (self.findings if entry.kind == "finding" else self.decided).append(entry)
            self.head, self.hash = entry.seq, entry.hash
        now = project.clock.now()
        is_news = self.head > before
        if is_news or self.looked is None or now - self.looked >= _LOOK_EVERY:
            self.looked, self.outlooks = now, _outlooks(project)
            self.models = tuple(_model(one, self.outlooks.get(one.model)) for one in live_at(project))


_latest: WeakKeyDictionary[Project, _Latest] = WeakKeyDictionary()


def status_page(project: Project) -> str:
    """The page as HTML, as of now; of the ledger only what is new since the last visit is read."""
    latest = _latest.setdefault(project, _Latest())
    with latest.lock:
        latest.follow(project)
        return render_status(_page(project, latest))


def _page(project: Project, latest: _Latest) -> StatusPage:
    return StatusPage(
        project=project.settings.name,
        at=project.clock.now(),
        models=latest.models,
        findings=tuple(
            FindingLine(
                at=entry.at,
                subject=f"{entry.subject}@{entry.body['version']}",
                level=entry.body["level"],
                sentence=entry.body["sentence"],
                words=plain_words(entry),
                finding=_finding(entry),
            )
            for entry in reversed(latest.findings)
        ),
        decisions=tuple(plain_line(entry) for entry in reversed(latest.decided)),
        runs=_runs(project),
        ledger_head=latest.head,
        ledger_hash=latest.hash,
    )


def _runs(project: Project) -> tuple[RunLine, ...]:
    """Those that go on, and those that were killed not long ago."""
    told = reversed(read_unended(project.home / "runs"))
    now = datetime.now(UTC)  # beats are by the machine's clock
    shown = [one for one in told if one.state == "running" or now - one.beat_at < _DEAD_FOR]
    shown = [one for one in shown if not (one.has_result and any(project.ledger.read(subject=one.name)))]
    return tuple(
        RunLine(
            name=one.name,
            state="dead" if one.state == "dead" else "running",
            at=one.beat_at if one.state == "dead" else one.started_at,
            steps=one.at[:_STEPS],
            process=f"{one.pid} on {one.host}",
        )
        for one in shown[:_MOST]
    )


def _finding(entry: Entry) -> Finding | None:
    try:
        return Finding.from_plain(entry.body)
    except UsageError:  # of another release
        return None


def _outlooks(project: Project) -> dict[str, Outlook]:
    """What each model waits for; of one that cannot be looked at, nothing: the rest of the page is still right."""
    found = {}
    for name, model in project.settings.models.items():
        if name in project.state().models:
            try:
                found[name] = outlook(project, model)
            except (KairosError, OSError) as error:
                _log.warning("The outlook of %s cannot be told: %s", name, error)
    return found


def _model(one: LiveAt, outlook_of: Outlook | None) -> ModelStatus:
    changed = one.changed
    if one.version is None or changed is None:
        return ModelStatus(name=one.model, version=None, outlook=outlook_of)
    return ModelStatus(
        name=one.model,
        version=str(one.version),
        since=changed.at,
        actor=changed.actor,
        evidence=changed.reasons,
        override=changed.override,
        entry=changed.seq,
        challenger=None if one.challenger is None else str(one.challenger),
        stage=cast("Literal['shadow', 'canary'] | None", one.stage),
        share=one.share,
        outlook=outlook_of,
    )
