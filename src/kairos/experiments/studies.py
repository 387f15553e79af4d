"""Studies as a list of runs shows them: each in one line, however many trials it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kairos.experiments.index import RunIndex
from kairos.experiments.ports import RunRecord
from kairos.ledger import Entry, Ledger
from kairos.pipeline.typed import untyped
from kairos.values import parse_moment, unplain

__all__ = ["STUDY_KINDS", "ListedStudy", "find_study", "list_studies", "study_record"]

STUDY_KINDS = ("study.began", "study.judged")
"""The facts that tell of a study; its trials are runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedStudy:
    """One study."""

    study: str
    status: str
    """``searched``, or ``unfinished``: nobody came to judge its best trial."""
    at: datetime
    """When it was judged last; else when its last trial was over, or when it began."""
    window: str
    actor: str
    model: str
    trials: int
    """That are over."""
    sentence: str
    """What came of it."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Of its best trial, once it is judged."""


def list_studies(ledger: Ledger, index: RunIndex) -> list[ListedStudy]:
    """All studies, in the order in which they began."""
    began = {entry.subject: entry for entry in ledger.read(kinds=["study.began"])}
    judged = {entry.subject: entry for entry in ledger.read(kinds=["study.judged"])}
    if not began:
        return []
    counts = index.trials()
    return [_listed(entry, judged.get(study), *counts.get(study, (0, entry.at))) for study, entry in began.items()]


def find_study(ledger: Ledger, index: RunIndex, name: str) -> ListedStudy | None:
    """The study of that name, or the only one that begins so; ``None``: there is none."""
    found = [study for study in list_studies(ledger, index) if name and study.study.startswith(name)]
    return found[0] if len(found) == 1 else None


def study_record(entry: Entry) -> RunRecord:
    """The run that a recorder has above a study's trials, made of the fact of its end."""
    body = unplain(entry.body)
    judged = body["judged"] or {}
    name = f"{body['model']}.{body['loss']}"
    metrics = {f"{name}.searched": body["searched"], f"{name}.current": body["current"]}
    metrics |= {f"{name}.unseen": judged["after"], f"{name}.unseen_current": judged["before"]} if judged else {}
    return RunRecord(
        run=entry.subject,
        status="finished",
        started_at=parse_moment(body["began_at"]),
        ended_at=entry.at,
        window=body["window"],
        actor=entry.actor,
        models=(body["model"],),
        params={param: untyped(value) for param, value in body["params"].items()},
        metrics={key: float(value) for key, value in metrics.items()},
        tags={"study": entry.subject, "trial": "study", "verdict": body["verdict"]},
        study=entry.subject,
    )


def _listed(began: Entry, judged: Entry | None, trials: int, last: datetime) -> ListedStudy:
    body = began.body
    if judged is None:
        sentence = "the same command goes on with it" if trials else "no trial is over"
        end: Mapping[str, Any] = {}
    else:
        end = judged.body
        unseen = end["judged"]
        found = f", unseen {unseen['after']:.4g} against {unseen['before']:.4g}: {end['verdict']}" if unseen else ""
        name = f"{body['model']}.{body['loss']}"
        sentence = f"trial {end['winner']} of {trials}: {name} {end['searched']:.4g}{found}"
    return ListedStudy(
        study=began.subject,
        status="unfinished" if judged is None else "searched",
        at=last if judged is None else judged.at,
        window=body["window"],
        actor=began.actor,
        model=body["model"],
        trials=trials,
        sentence=sentence,
        params={name: untyped(value) for name, value in end.get("params", {}).items()},
    )
