"""Late truths from a file, each about a prediction id or about an entity and a time."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from kairos.app.label_values import Row, ValueColumns, several_targets
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.truths import live_truths
from kairos.errors import NotFound, UsageError, did_you_mean
from kairos.models.truths import AnyTruths
from kairos.privacy import CapturePolicy, load_or_make_key
from kairos.store.frames import entity_label_frame
from kairos.store.label_rows import Said, said_rows, said_text
from kairos.store.matching import match
from kairos.store.records import EntityLabel, Label
from kairos.values import parse_moment

__all__ = ["LabelsTaken", "entity_policy", "take_labels"]


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
    them (the model's entity, its time and its target). Of a model that has no entity, the time is enough. Of several
    targets each has a column in place of ``value``, or some have; an empty cell is not known yet.

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
            if "prediction_id" in header:
                truths = _truths_by_model(project, model)
                every = [each for found in truths.values() for each in found]
                columns = ValueColumns.find(header, several=several_targets(every))
                if columns is None:
                    raise _no_labels(path, header, "prediction_id and value, or for several targets a column each")
                lines = [_line(path, reader.line_num, row, columns, every) for row in reader]
                _refuse_improper(project, path, lines, truths)
                return _keep_by_id(project, lines)
            form = _Form.of(project, path, header, model)
            lines_by_entity = [form.label(path, reader.line_num, row) for row in reader]
            return _keep_by_entity(project, form, [label for line in lines_by_entity for label in line])
    except FileNotFoundError:
        raise NotFound("There is no such file.", given=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path.name} is not text in UTF-8.") from None


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
    columns: ValueColumns
    policy: CapturePolicy
    truths: Sequence[AnyTruths]
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
        time, truths = _column(header, "time", model.time), live_truths(project, model)
        several = several_targets(truths) or ([model.targets] if model.targets else [])
        columns = ValueColumns.find(header, own=model.target, several=several)
        if time is None or columns is None or (entity is None and model.entity is not None):
            mine = "entity, time and value" if model.entity is not None else "time and value"
            raise _no_labels(path, header, f"prediction_id and value, or with {mine}")
        if model.rank_within is not None:
            raise UsageError(
                f"The labels in {path.name} name no predictions, and {model.name!r} ranks several rows at one time.",
                given=", ".join(header),
                accepted="prediction_id and value",
            )
        if entity is not None and model.privacy.entity == "drop":
            raise UsageError(
                f"The labels in {path.name} name entities, and those of {model.name!r} are not kept.",
                accepted="prediction_id and value",
                hint=f'Set model.{model.name}.privacy.entity = "pseudonym".',
            )
        policy, now = entity_policy(project, model), project.clock.now()
        return cls(model=model, entity=entity, time=time, columns=columns, policy=policy, truths=truths, now=now)

    def label(self, path: Path, line: int, row: Row) -> list[EntityLabel]:
        name = None if self.entity is None else _text(path, line, row, self.entity)
        text = _text(path, line, row, self.time)
        try:
            about = parse_moment(text)
        except UsageError as error:
            raise UsageError(f"Line {line} of {path.name} has no time.", given=text, accepted=error.accepted) from None
        return [
            EntityLabel(
                model=self.model.name,
                key=self.policy.apply({}, name).key,
                about=about,
                at=self.now,
                within_s=self.model.monitor.label_tolerance.total_seconds(),
                **said._asdict(),
            )
            for said in said_rows(self._value(path, line, row))
        ]

    def _value(self, path: Path, line: int, row: Row) -> Said:
        value = self.columns.read(path, line, row, self.truths)
        if not _is_proper(self.truths, value):
            raise _improper(path, line, value, self.model, self.truths)
        return value


class _Line(NamedTuple):
    """What a line says of a prediction."""

    number: int
    prediction_id: str
    said: Said


def _truths_by_model(project: Project, name: str | None) -> dict[str, list[AnyTruths]]:
    """Of the model that is named, or of all."""
    models = project.settings.models.values() if name is None else [project.settings.model(name)]
    return {model.name: live_truths(project, model) for model in models}


def _refuse_improper(
    project: Project, path: Path, lines: Sequence[_Line], truths: Mapping[str, Sequence[AnyTruths]]
) -> None:
    """Refuses what the loss of the prediction's model does not take; an id that is in no log is nobody's."""
    for model, own in truths.items():
        bad = {line.prediction_id: line for line in lines if not _is_proper(own, line.said)}
        known = project.predictions.known_ids(bad, model=model) if bad else set()
        for name, line in bad.items():
            if name in known:
                raise _improper(path, line.number, line.said, project.settings.model(model), own, about=name)


def _is_proper(truths: Sequence[AnyTruths], value: Said) -> bool:
    """Whether it can be true, as one of the versions that answer has it."""
    return any(each.takes(value) for each in truths)


def _improper(
    path: Path, line: int, value: Said, model: ModelSettings, truths: Sequence[AnyTruths], *, about: str | None = None
) -> UsageError:
    of = "" if about is None else f" the prediction {about!r} of"
    return UsageError(
        f"Line {line} of {path.name} has a value that{of} the model {model.name!r} cannot be judged by.",
        given=said_text(value),
        accepted=", or ".join(dict.fromkeys(each.plain() for each in truths)),
    )


def _keep_by_id(project: Project, lines: Sequence[_Line]) -> LabelsTaken:
    now, log = project.clock.now(), project.predictions
    given = [(line.prediction_id, said) for line in lines for said in said_rows(line.said)]
    latest = {(name, said.target): said for name, said in given}
    names = {name for name, _ in latest}
    known = log.labels().filter(pl.col("prediction_id").is_in(list(names)))
    rows = known.select("prediction_id", "target", "value", "text").rows()
    values = {(name, target): _alike(value, text) for name, target, value, text in rows}
    new = [
        Label(prediction_id=name, at=now, **said._asdict())
        for (name, target), said in latest.items()
        if values.get((name, target)) != _alike(said.value, said.text)
    ]
    if new:
        with closing(log.writer(f"labels-{os.getpid()}")) as writer:
            writer.append_labels(new)
    fresh = len({label.prediction_id for label in new})
    return LabelsTaken(labels=len(names), new=fresh, joined=len(log.known_ids(names)))


def _keep_by_entity(project: Project, form: _Form, labels: list[EntityLabel]) -> LabelsTaken:
    latest = {(label.key, label.about, label.target): label for label in labels}
    log = project.predictions
    known = log.entity_labels(form.model.name).select("key", "about", "target", "value", "text").rows()
    values = {(key, about, target): _alike(value, text) for key, about, target, value, text in known}
    new = [label for name, label in latest.items() if values.get(name) != _alike(label.value, label.text)]
    if new:
        with closing(log.writer(f"labels-{os.getpid()}")) as writer:
            writer.append_entity_labels(new)
    one_each = list({(label.key, label.about): label for label in latest.values()}.values())
    given = entity_label_frame(one_each)
    found = match(log.asked(form.model.name, given), given)
    return LabelsTaken(
        labels=len(one_each),
        new=len({(label.key, label.about) for label in new}),
        joined=len(one_each) - len(found.ambiguous) - len(found.unmatched),
        ambiguous=len(found.ambiguous),
    )


def _alike(value: float, text: str | None) -> float | str:
    """What is equal if two labels say the same; NaN, which stands for a name, is equal to nothing."""
    return value if text is None else text


def _column(header: Sequence[str], name: str, own: str | None) -> str | None:
    """The column of that name, or of the name that the settings have for it."""
    return next((column for column in (name, own) if column in header), None)


def _line(path: Path, number: int, row: Row, columns: ValueColumns, truths: Sequence[AnyTruths]) -> _Line:
    prediction_id = row["prediction_id"]
    if prediction_id is None or not prediction_id.strip():  # ``None``: the line is shorter than the header
        raise UsageError(
            f"Line {number} of {path.name} names no prediction.", given=prediction_id, accepted="a prediction_id"
        )
    return _Line(number, prediction_id, columns.read(path, number, row, truths))


def _no_labels(path: Path, header: Sequence[str], accepted: str) -> UsageError:
    return UsageError(
        f"{path.name} has no labels.",
        given=", ".join(header) or "an empty file",
        accepted=f"a header with {accepted}",
        hint=did_you_mean(header[0], ["prediction_id", "entity", "time", "value"]) if header else None,
    )


def _text(path: Path, line: int, row: Row, column: str) -> str:
    text = row[column]
    if text is None or not text.strip():
        raise UsageError(f"Line {line} of {path.name} has no {column}.", given=text, accepted=f"a value in {column!r}")
    return text
