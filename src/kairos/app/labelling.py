"""Late truths from a file, each about a prediction id, about an entity and a time, or about an item of a list."""

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

from kairos.app.label_form import LabelForm, improper, is_proper, no_labels
from kairos.app.label_values import Row, ValueColumns, several_targets
from kairos.app.project import Project
from kairos.app.truths import live_truths
from kairos.errors import NotFound, UsageError
from kairos.models.truths import AnyTruths
from kairos.store.frames import entity_label_frame
from kairos.store.label_rows import Said, said_rows
from kairos.store.matching import match
from kairos.store.records import EntityLabel, Label

__all__ = ["LabelsTaken", "take_labels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsTaken:
    """What became of the labels of a file, of which the last about each prediction, or whatever it names, counts."""

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
    targets each has a column in place of ``value``, or some have; an empty cell is not known yet. Of a model that ranks
    it has ``list``, ``item`` and ``value``, or ``item`` beside entity and time.

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
                    raise no_labels(path, header, "prediction_id and value, or for several targets a column each")
                lines = [_line(path, reader.line_num, row, columns, every) for row in reader]
                _refuse_improper(project, path, lines, truths)
                return _keep_by_id(project, lines)
            form = LabelForm.of(project, path, header, model)
            lines_by_entity = [form.label(path, reader.line_num, row) for row in reader]
            return _keep_by_entity(project, form, [label for line in lines_by_entity for label in line])
    except FileNotFoundError:
        raise NotFound("There is no such file.", given=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path.name} is not text in UTF-8.") from None


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
        bad = {line.prediction_id: line for line in lines if not is_proper(own, line.said)}
        known = project.predictions.known_ids(bad, model=model) if bad else set()
        for name, line in bad.items():
            if name in known:
                raise improper(path, line.number, line.said, project.settings.model(model), own, about=name)


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


def _keep_by_entity(project: Project, form: LabelForm, labels: list[EntityLabel]) -> LabelsTaken:
    latest = {(_about(label), label.target): label for label in labels}
    log = project.predictions
    told = ("key", "about", "list_key", "item_key", "target", "value", "text")
    known = log.entity_labels(form.model.name).select(told).rows()
    values = {(tuple(about), target): _alike(value, text) for *about, target, value, text in known}
    new = [label for name, label in latest.items() if values.get(name) != _alike(label.value, label.text)]
    if new:
        with closing(log.writer(f"labels-{os.getpid()}")) as writer:
            writer.append_entity_labels(new)
    one_each = list({_about(label): label for label in latest.values()}.values())
    given = entity_label_frame(one_each)
    found = match(log.asked(form.model.name, given), given)
    return LabelsTaken(
        labels=len(one_each),
        new=len({_about(label) for label in new}),
        joined=len(one_each) - len(found.ambiguous) - len(found.unmatched),
        ambiguous=len(found.ambiguous),
    )


def _about(label: EntityLabel) -> tuple[str | datetime | None, ...]:
    """What a label names."""
    return label.key, label.about, label.list_key, label.item_key


def _alike(value: float, text: str | None) -> float | str:
    """What is equal if two labels say the same; NaN, which stands for a name, is equal to nothing."""
    return value if text is None else text


def _line(path: Path, number: int, row: Row, columns: ValueColumns, truths: Sequence[AnyTruths]) -> _Line:
    prediction_id = row["prediction_id"]
    if prediction_id is None or not prediction_id.strip():  # ``None``: the line is shorter than the header
        raise UsageError(
            f"Line {number} of {path.name} names no prediction.", given=prediction_id, accepted="a prediction_id"
        )
    return _Line(number, prediction_id, columns.read(path, number, row, truths))
