"""The status page of a project, as its ledger tells it now."""

from __future__ import annotations

from typing import Literal, cast

from kairos.app.explaining import LiveAt, live_at
from kairos.app.project import Project
from kairos.app.telling import decision_line
from kairos.web.status import FindingLine, ModelStatus, StatusPage, render_status

__all__ = ["status_page"]

_MOST = 20
"""Lines of each list."""


def status_page(project: Project) -> str:
    """The page as HTML, made anew each time."""
    entries = list(project.ledger.read())
    findings = [entry for entry in entries if entry.kind == "finding"]
    decided = [entry for entry in entries if entry.kind != "finding"]
    page = StatusPage(
        project=project.settings.name,
        at=project.clock.now(),
        models=tuple(_model(one) for one in live_at(project)),
        findings=tuple(
            FindingLine(
                at=entry.at,
                subject=f"{entry.subject}@{entry.body['version']}",
                level=entry.body["level"],
                sentence=entry.body["sentence"],
            )
            for entry in findings[: -_MOST - 1 : -1]
        ),
        decisions=tuple(decision_line(entry) for entry in decided[: -_MOST - 1 : -1]),
        ledger_head=entries[-1].seq if entries else 0,
        ledger_hash=entries[-1].hash if entries else "",
    )
    return render_status(page)


def _model(one: LiveAt) -> ModelStatus:
    changed = one.changed
    if one.version is None or changed is None:
        return ModelStatus(name=one.model, version=None)
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
    )
