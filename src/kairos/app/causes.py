"""Why did it get worse? From a finding, or a moment, to what changed upstream; read from ledger, store and log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

import numpy as np
import polars as pl

from kairos.app.facts import run_entry
from kairos.app.forms import live_form
from kairos.app.losses import answers_on, fresh_rows, truth_on
from kairos.app.packages import holdout_table, open_version
from kairos.app.plainly import plain_words
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.triaging import open_trouble
from kairos.app.upstream import events_of
from kairos.errors import KairosError, NotFound
from kairos.gates.losses import loss_named
from kairos.ledger import Entry
from kairos.models.goals import lead_truth
from kairos.models.outputs import leads
from kairos.monitor.causes.cause import Causes
from kairos.monitor.causes.decide import find_causes
from kairos.monitor.causes.evidence import CauseEvidence, Rows, Symptom
from kairos.monitor.causes.gather import NEEDS_LABELS, put_before, rows_of
from kairos.monitor.causes.words import cause_sentences
from kairos.monitor.days import day_number, day_start
from kairos.monitor.findings import Check, Finding
from kairos.store.records import INPUT_PREFIX, OUTPUT_PREFIX, TRUTH_PREFIX
from kairos.values import Window

__all__ = ["Why", "find_why"]

_BEFORE = timedelta(days=28)
"""How far before a finding's window is looked at."""
_EARLIER = timedelta(days=14)
"""How long before its window that may have begun which a finding is about."""

_SYMPTOMS: Mapping[Check, tuple[Symptom, str]] = MappingProxyType(
    {
        "impossible_values": ("impossible", "share of impossible values"),
        "prediction_drift": ("output", "mean prediction"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What was asked about, and what was found."""

    seq: int | None
    """The ledger entry of the finding; ``None``: there is none."""
    finding: Finding | None
    causes: Causes
    sentence: str
    """Two sentences for a person."""
    trouble: tuple[str, str] | None = None
    """Why nothing is learnt until somebody has looked, in two sentences, if that was so then."""


def find_why(project: Project, model: ModelSettings, *, at: datetime | None = None, seq: int | None = None) -> Why:
    """Looks for what changed upstream of a finding.

    Args:
        project: Whose.
        model: Which of its models.
        at: The moment to look from; ``None``: now.
        seq: The ledger entry of a finding, which is looked at as of its time; ``None``: the last alarm up to then, or
            else the last warning, or else just whether the loss rose.

    Raises:
        NotFound: there is no such model or finding.
    """
    project.state().model(model.name)
    as_of = project.clock.now() if at is None else at
    entry = _last_finding(project, model.name, as_of) if seq is None else _finding(project, model.name, seq)
    finding = None if entry is None else Finding.from_plain(entry.body)
    if seq is not None and entry is not None:
        as_of = entry.at
    causes = find_causes(_evidence(project, model, finding, as_of))
    if causes.since is None:
        against_holdout = _beside_holdout(project, model, finding, as_of)
        found = None if against_holdout is None else find_causes(against_holdout)
        causes = causes if found is None or found.since is None else found
    return Why(
        seq=None if entry is None else entry.seq,
        finding=finding,
        causes=causes,
        sentence=cause_sentences(causes),
        trouble=_trouble(project, model.name, as_of),
    )


def _trouble(project: Project, model: str, as_of: datetime) -> tuple[str, str] | None:
    entry = open_trouble(project, project.state(until=as_of).model(model), until=as_of)
    return None if entry is None else plain_words(entry)


def _finding(project: Project, model: str, seq: int) -> Entry:
    entry = next(iter(project.ledger.read(after=seq - 1)), None)
    if entry is None or entry.seq != seq or entry.kind != "finding" or entry.subject != model:
        raise NotFound(
            f"Entry {seq} of the ledger is no finding about {model!r}.",
            given="no such entry" if entry is None else f"{entry.kind} about {entry.subject}",
            hint=f"Type: kairos ledger log --kind finding --about {model}",
        )
    return entry


def _last_finding(project: Project, model: str, as_of: datetime) -> Entry | None:
    """The last alarm, or else the last warning, about the version that was live then."""
    champion = project.state(until=as_of).model(model).champion
    if champion is None:
        return None
    told = list(project.ledger.read(kinds=["finding"], subject=model, until=as_of))
    mine = [entry for entry in told if entry.body["version"] == champion.ref.number]
    for level in ("alarm", "warn"):
        found = [entry for entry in mine if entry.body["level"] == level]
        if found:
            return found[-1]
    return None


def _evidence(project: Project, model: ModelSettings, finding: Finding | None, as_of: datetime) -> CauseEvidence:
    """What users got, from four weeks before what was found may have begun."""
    symptom, named = _symptom(model, finding)
    # Of these two checks the window is where the change was seen; of the others it is all the time since a deployment.
    began = finding.window.start if finding is not None and finding.check in ("quality", "input_drift") else None
    since = as_of - 2 * _BEFORE if began is None else began - _BEFORE
    frame = _frame(project, model, Window(min(since, as_of), as_of), symptom)
    is_bias = finding is not None and finding.check == "prediction_bias"
    if finding is not None and is_bias and finding.column is not None:
        frame = _of_target(frame, finding.column)
    is_low = finding is not None and finding.check == "prediction_bias" and finding.value < 0
    loss_of = loss_named(model.gate.loss)
    return CauseEvidence(
        model=model.name,
        as_of=as_of,
        symptom=symptom,
        named=named,
        rows=rows_of(frame, symptom, loss_of, is_low=is_low),
        events=events_of(project, model, frame, symptom, since=since, until=as_of, is_low=is_low),
        slices=frozenset(model.gate.slices),
        not_before=None if began is None else day_number(began - _EARLIER),
        column=None if finding is None or is_bias else finding.column,
    )


def _of_target(frame: pl.DataFrame, target: str) -> pl.DataFrame:
    """The rows with what was said and true of one of several targets in place of the lead's."""
    told, true = OUTPUT_PREFIX + target, TRUTH_PREFIX + target
    if not {told, true} <= set(frame.columns):
        return frame
    return frame.with_columns(output=pl.col(told), label=pl.col(true))


def _symptom(model: ModelSettings, finding: Finding | None) -> tuple[Symptom, str]:
    if finding is not None and finding.check in _SYMPTOMS:
        return _SYMPTOMS[finding.check]
    if finding is not None and finding.check == "prediction_bias":
        return "bias", f"mean of {'label minus prediction' if finding.value < 0 else 'prediction minus label'}"
    return "loss", f"mean {model.gate.loss.replace('_', ' ')}"


def _frame(project: Project, model: ModelSettings, window: Window, symptom: Symptom) -> pl.DataFrame:
    if symptom in NEEDS_LABELS:
        rows = project.predictions.labelled(model.name, window, as_of=window.end)
        form = live_form(project, model, until=window.end)
        return form.with_losses(loss_named(model.gate.loss), rows) if not form.is_plain else rows
    return project.predictions.predictions(model.name, window)


def _beside_holdout(
    project: Project, model: ModelSettings, finding: Finding | None, as_of: datetime
) -> CauseEvidence | None:
    """For a version that was wrong from its first answer on: what it did on its holdout is what is usual."""
    champion = project.state(until=as_of).model(model.name).champion
    if champion is None:
        return None
    evidence = _evidence(project, model, finding, as_of)
    live = _since(evidence.rows, day_number(champion.since))
    if evidence.symptom not in NEEDS_LABELS or not live.day.size:
        return None
    package = open_version(project, champion.package, model)
    if package.spec.rank_within is not None:  # lists of the holdout and requests are no rows of one kind
        return None
    try:
        run = run_entry(project, champion.run).body
        table = fresh_rows(holdout_table(project, model, run), model, [package])
    except KairosError:  # a run that is told no more, or a holdout that is gone: then there is nothing to compare with
        return None
    inputs = {f"{INPUT_PREFIX}{name}": table[name] for name in package.spec.signature.names if name in table.columns}
    loss_of, truth, answers = loss_named(model.gate.loss), truth_on(table, package), answers_on(table, package, model)
    held = pl.DataFrame(
        {
            "id": [f"{number:09}" for number in range(len(table))],
            "at": [day_start(0)] * len(table),
            "answered": [True] * len(table),
            "output": leads(package.spec.signature.outputs, answers),
            "label": lead_truth(truth, package.spec.signature.outputs),
            "loss": loss_of(truth, answers),
            **inputs,
        }
    )
    is_low = finding is not None and finding.check == "prediction_bias" and finding.value < 0
    usual = rows_of(held, evidence.symptom, loss_of, is_low=is_low)
    if not usual.day.size:
        return None
    first = int(live.day.min())
    return replace(evidence, rows=put_before(usual, live), reference="holdout", not_before=first)


def _since(rows: Rows, day: int) -> Rows:
    kept = rows.day >= day
    return Rows(
        day=rows.day[kept],
        value=rows.value[kept],
        inputs={name: values[kept] for name, values in rows.inputs.items()},
        output=rows.output[kept],
        label=np.asarray(rows.label[kept]),
    )
