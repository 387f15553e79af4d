"""Every time users began to get another version's answers, and what came with it, as the ledger and the store tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from kairos.app.facts import run_entry
from kairos.app.packages import open_version
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.standing import settings_changes
from kairos.errors import KairosError
from kairos.experiments.runs import run_record
from kairos.gates.losses import loss_named
from kairos.ledger import Entry
from kairos.monitor.causes.differences import profile_differences, run_differences
from kairos.monitor.causes.evidence import KINDS, Difference, Event, Symptom
from kairos.monitor.causes.gather import effect_of
from kairos.values import Json, VersionRef

__all__ = ["events_of"]

_ALIKE = ", with the same code, params and libraries"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """One entry of the ledger by which other answers reached users."""

    entry: Entry
    before: VersionRef | None
    after: VersionRef
    settings: tuple[Json, Json]
    """That servers keep to: before, after."""


def events_of(
    project: Project,
    model: ModelSettings,
    frame: pl.DataFrame,
    symptom: Symptom,
    *,
    since: datetime,
    until: datetime,
    is_low: bool = False,
) -> tuple[Event, ...]:
    """What began to answer users in a stretch of time.

    Args:
        project: Whose ledger and store.
        model: Which of its models.
        frame: Rows of the prediction log in that stretch, to compare versions that predicted the same requests.
        symptom: What they are compared by.
        since: Its first moment.
        until: Its last.
        is_low: As for ``rows_of``.
    """
    loss_of = loss_named(model.gate.loss)
    found = []
    for turn in _turns(project, model.name, until):
        if turn.entry.at < since:
            continue
        effect = None
        if turn.before is not None and turn.before != turn.after:
            effect = effect_of(frame, turn.before.number, turn.after.number, symptom, loss_of, is_low=is_low)
        differences, is_known = _differences(project, model, turn)
        found.append(
            Event(
                at=turn.entry.at,
                seq=turn.entry.seq,
                version=str(turn.after),
                before=None if turn.before is None else str(turn.before),
                what=_what(turn) + ("" if differences or not is_known else _ALIKE),
                differences=differences,
                effect=effect,
            )
        )
    return tuple(found)


def _turns(project: Project, model: str, until: datetime) -> Iterator[_Turn]:
    """In the order of the ledger; of a canary's steps the first."""
    champion: VersionRef | None = None
    settings: Json = None
    on_trial: VersionRef | None = None
    for entry in project.ledger.read(kinds=["stage.changed"], until=until):
        ref = VersionRef.parse(entry.subject)
        if ref.model != model:
            continue
        to, own = entry.body["to"], entry.body.get("serving")
        if to == "live" or (to == "canary" and ref != on_trial):
            yield _Turn(entry=entry, before=champion, after=ref, settings=(settings, own))
        if to == "live":
            champion, settings = ref, own
        on_trial = ref if to == "canary" else None if ref == on_trial else on_trial


def _what(turn: _Turn) -> str:
    if turn.entry.body["to"] == "canary":
        return f"{turn.after} began to answer {turn.entry.body['share']:.0%} of the requests"
    if turn.before == turn.after:
        return f"{turn.after} was deployed once more"
    return f"{turn.after} went live" + ("" if turn.before is None else f" in place of {turn.before}")


def _differences(project: Project, model: ModelSettings, turn: _Turn) -> tuple[tuple[Difference, ...], bool]:
    """What is known of it, and whether the two runs could be compared; what can no longer be read says nothing."""
    found: list[Difference] = []
    is_known = False
    if None not in turn.settings and turn.settings[0] != turn.settings[1]:
        found += [Difference(kind="settings", what=one) for one in settings_changes(*turn.settings)]
    if turn.before is not None and turn.before != turn.after:
        state = project.state().model(model.name)
        versions = [state.version(ref.number) for ref in (turn.before, turn.after)]
        try:
            runs = [run_entry(project, version.run) for version in versions]
            libraries = (dict(runs[0].body.get("libraries") or {}), dict(runs[1].body.get("libraries") or {}))
            found += run_differences(run_record(runs[0]), run_record(runs[1]), libraries=libraries)
            is_known = True
        except KairosError:
            pass
        try:
            packages = [open_version(project, v.package, model) for v in versions]
            found += profile_differences(packages[0].profile, packages[1].profile)
        except KairosError:
            pass
    return tuple(sorted(found, key=lambda one: KINDS.index(one.kind))), is_known
