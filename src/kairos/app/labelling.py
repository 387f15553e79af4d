"""Late truths from a file, each about a prediction id or about an entity and a time."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.truths import live_truths
from kairos.errors import NotFound, UsageError, did_you_mean
from kairos.models.truths import Truths
from kairos.monitor.delays import learn_maturity
from kairos.monitor.maturity import Maturity
from kairos.privacy import CapturePolicy, load_or_make_key
from kairos.store.frames import entity_label_frame
from kairos.store.matching import match
from kairos.store.records import EntityLabel, Label
from kairos.values import parse_moment

__all__ = ["Arrivals", "LabelsTaken", "arrivals_of", "entity_policy", "take_labels"]

_Row = dict[str, str | None]
_RECENT = timedelta(days=28)
_BY_ID = frozenset({"prediction_id", "value"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsTaken:
    """What became of the labels of a file, of which the last of each prediction, or entity and time, counts."""

    labels: int
    new: int
    """Of them, not known before, or known with another value."""
    joined: int
    """Of them, about predictions in the log."""
    ambiguous: int = 0
    """Of them, near predictions of more than one time, and so joined to none."""

    @property
    def unmatched(self) -> int:
        """About no prediction that is in the log by now; they join when it comes."""
        return self.labels - self.joined - self.ambiguous


def take_labels(project: Project, path: Path, *, model: str | None = None) -> LabelsTaken:
    """Reads labels from a CSV file with a header and keeps all that is new in it, or nothing.

    The header has ``prediction_id`` and ``value``; or ``entity``, ``time`` and ``value``, or what the settings call
    them (the model's entity, its time and its target). Of a model that has no entity, the time is enough.

    A file may grow and be taken again and again: a label that is known already, with the same value, is not written
    once more, and so keeps the moment at which it became known.

    Args:
        project: Whose.
        path: The file.
        model: Which model labels by entity and time are about; ``None``: the only one there is.

    Raises:
        NotFound: there is no such file, or no such model.
        UsageError: a column is missing, a line names no prediction or no time, or a value is not a finite number or
            cannot be true by the model's loss; the line is named.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = tuple(reader.fieldnames or ())
            if set(header) >= _BY_ID:
                now = project.clock.now()
                lines = [(reader.line_num, _label(path, reader.line_num, row, now)) for row in reader]
                _refuse_improper(project, path, lines)
                return _keep_by_id(project, [label for _, label in lines])
            form = _Form.of(project, path, header, model)
            return _keep_by_entity(project, form, [form.label(path, reader.line_num, row) for row in reader])
    except FileNotFoundError:
        raise NotFound("There is no such file.", given=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path.name} is not text in UTF-8.") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """How the labels of one model arrive."""

    maturity: Maturity
    joined: int
    """Labels by entity and time of the last four weeks that are about predictions in the log."""
    ambiguous: int
    unmatched: int


def arrivals_of(project: Project, model: ModelSettings) -> Arrivals:
    """How late labels are, as the log shows it now, and what became of those by entity and time."""
    now, log = project.clock.now(), project.predictions
    found = log.matches(model.name, since=now - _RECENT, until=now)
    given = log.entity_labels(model.name, since=now - _RECENT, until=now)
    return Arrivals(
        maturity=learn_maturity(log, model.name, model.monitor, now=now),
        joined=len(given) - len(found.ambiguous) - len(found.unmatched),
        ambiguous=len(found.ambiguous),
        unmatched=len(found.unmatched),
    )


def entity_policy(project: Project, model: ModelSettings) -> CapturePolicy:
    """What the prediction log keeps of an entity of this model."""
    key = load_or_make_key(project.home / "capture.key")
    return CapturePolicy(keep=frozenset(), entity=model.privacy.entity, key=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """Where the lines of a file have what a label by entity and time needs."""

    model: ModelSettings
    entity: str | None
    """``None``: requests of this model name no entity."""
    time: str
    value: str
    policy: CapturePolicy
    truths: Sequence[Truths]
    now: datetime

    @classmethod
    def of(cls, project: Project, path: Path, header: Sequence[str], name: str | None) -> _Form:
        known = project.settings.models
        if name is None and len(known) != 1:
            raise UsageError(
                f"Which model the labels in {path.name} are about is not said.",
                given=", ".join(header) or "an empty file",
                accepted=f"a header with prediction_id and value, or --model with one of {', '.join(sorted(known))}",
            )
        model = project.settings.model(name or next(iter(known)))
        entity = _column(header, "entity", model.entity)
        time, value = _column(header, "time", model.time), _column(header, "value", model.target)
        if time is None or value is None or (entity is None and model.entity is not None):
            raise UsageError(
                f"{path.name} has no labels.",
                given=", ".join(header) or "an empty file",
                accepted="a header with prediction_id and value, or with "
                + ("entity, time and value" if model.entity is not None else "time and value"),
                hint=did_you_mean(header[0], ["prediction_id", "entity", "time", "value"]) if header else None,
            )
        if entity is not None and model.privacy.entity == "drop":
            raise UsageError(
                f"The labels in {path.name} name entities, and those of {model.name!r} are not kept.",
                accepted="prediction_id and value",
                hint=f'Set model.{model.name}.privacy.entity = "pseudonym".',
            )
        policy, now = entity_policy(project, model), project.clock.now()
        truths = live_truths(project, model)
        return cls(model=model, entity=entity, time=time, value=value, policy=policy, truths=truths, now=now)

    def label(self, path: Path, line: int, row: _Row) -> EntityLabel:
        name = None if self.entity is None else _text(path, line, row, self.entity)
        text = _text(path, line, row, self.time)
        try:
            about = parse_moment(text)
        except UsageError as error:
            raise UsageError(f"Line {line} of {path.name} has no time.", given=text, accepted=error.accepted) from None
        return EntityLabel(
            model=self.model.name,
            key=self.policy.apply({}, name).key,
            about=about,
            value=self._value(path, line, row),
            at=self.now,
            within_s=self.model.monitor.label_tolerance.total_seconds(),
        )

    def _value(self, path: Path, line: int, row: _Row) -> float:
        value = _number(path, line, row[self.value])
        if not _is_proper(self.truths, value):
            raise _improper(path, line, value, self.model, self.truths)
        return value


def _refuse_improper(project: Project, path: Path, lines: Sequence[tuple[int, Label]]) -> None:
    """Refuses a value that the loss of the prediction's model does not take; an id that is in no log is nobody's."""
    for model in project.settings.models.values():
        truths = live_truths(project, model)
        bad = {label.prediction_id: (line, label) for line, label in lines if not _is_proper(truths, label.value)}
        known = project.predictions.known_ids(bad, model=model.name) if bad else set()
        for name, (line, label) in bad.items():
            if name in known:
                raise _improper(path, line, label.value, model, truths, about=name)


def _is_proper(truths: Sequence[Truths], value: float) -> bool:
    """Whether it can be true, as one of the versions that answer has it."""
    return any(each.takes(value) for each in truths)


def _improper(
    path: Path, line: int, value: float, model: ModelSettings, truths: Sequence[Truths], *, about: str | None = None
) -> UsageError:
    of = "" if about is None else f" the prediction {about!r} of"
    return UsageError(
        f"Line {line} of {path.name} has a value that{of} the model {model.name!r} cannot be judged by.",
        given=f"{value:g}",
        accepted=", or ".join(dict.fromkeys(each.plain() for each in truths)),
    )


def _keep_by_id(project: Project, labels: list[Label]) -> LabelsTaken:
    latest = {label.prediction_id: label for label in labels}
    log = project.predictions
    known = log.labels().filter(pl.col("prediction_id").is_in(list(latest)))
    values = dict(zip(known["prediction_id"].to_list(), known["value"].to_list(), strict=True))
    new = [label for label in latest.values() if values.get(label.prediction_id) != label.value]
    if new:
        with closing(log.writer(f"labels-{os.getpid()}")) as writer:
            writer.append_labels(new)
    return LabelsTaken(labels=len(latest), new=len(new), joined=len(log.known_ids(latest)))


def _keep_by_entity(project: Project, form: _Form, labels: list[EntityLabel]) -> LabelsTaken:
    latest = {(label.key, label.about): label for label in labels}
    log = project.predictions
    known = log.entity_labels(form.model.name).select("key", "about", "value").rows()
    values = {(key, about): value for key, about, value in known}
    new = [label for name, label in latest.items() if values.get(name) != label.value]
    if new:
        with closing(log.writer(f"labels-{os.getpid()}")) as writer:
            writer.append_entity_labels(new)
    given = entity_label_frame(list(latest.values()))
    found = match(log.asked(form.model.name, given), given)
    joined = len(latest) - len(found.ambiguous) - len(found.unmatched)
    return LabelsTaken(labels=len(latest), new=len(new), joined=joined, ambiguous=len(found.ambiguous))


def _column(header: Sequence[str], name: str, own: str | None) -> str | None:
    """The column of that name, or of the name that the settings have for it."""
    return next((column for column in (name, own) if column in header), None)


def _label(path: Path, line: int, row: _Row, now: datetime) -> Label:
    prediction_id = row["prediction_id"]
    if prediction_id is None or not prediction_id.strip():  # ``None``: the line is shorter than the header
        raise UsageError(
            f"Line {line} of {path.name} names no prediction.", given=prediction_id, accepted="a prediction_id"
        )
    return Label(prediction_id=prediction_id, value=_number(path, line, row["value"]), at=now)


def _text(path: Path, line: int, row: _Row, column: str) -> str:
    text = row[column]
    if text is None or not text.strip():
        raise UsageError(f"Line {line} of {path.name} has no {column}.", given=text, accepted=f"a value in {column!r}")
    return text


def _number(path: Path, line: int, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"Line {line} of {path.name} has no value.", given=text, accepted="a finite number")
    return value
