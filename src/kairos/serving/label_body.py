"""Reads late truths that clients send: each about a prediction id, about an entity and a time, or an item of a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kairos.errors import did_you_mean
from kairos.models.truths import AnyTruths
from kairos.serving.body import read_list, read_moment, read_name, refuse
from kairos.store.label_rows import Said, said_text
from kairos.values import Json

__all__ = ["MOST_LABELS", "LabelBody", "read_labels", "refuse_untrue"]

MOST_LABELS = 10_000
"""Most labels of one request."""

_LONGEST_NAME = 1_000
_BY_ID = ("prediction_id", "value")
_BY_ENTITY = ("model", "entity", "time", "value")
_BY_ITEM = ("model", "entity", "time", "item", "value")
_BY_LIST = ("model", "list", "item", "value")
_LABELS = (
    '{"labels": [{"prediction_id": "p...", "value": 12.5}]} or '
    '{"labels": [{"model": "demand", "entity": "station-31", "time": "2012-03-03T14:00Z", "value": 12.5}]}; of a model '
    'that ranks also "item" beside these, or {"labels": [{"model": "flats", "list": "s-7", "item": "f-3", "value": 1}]}'
)
_VALUE = 'a finite number; of a class with a name its name; of several targets {"TARGET": a finite number, ...}'


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelBody:
    """One label, before anybody asked what it is about."""

    value: Said
    """Of several targets some, or all; by name."""
    prediction_id: str | None = None
    """``None``: it is about a model, an entity and a time."""
    model: str = ""
    entity: str | None = None
    """``None``: requests of the model name no entity."""
    time: datetime | None = None
    """``None``: it names a list."""
    list: str | None = None
    """Of a model that ranks; ``None``: it names a time."""
    item: str | None = None
    """Of a model that ranks which thing of the list, or of what was asked at that time."""


def read_labels(body: Json) -> list[LabelBody]:
    """Reads ``{"labels": [...]}``; all of it or nothing.

    Raises:
        InputRefused: a label is malformed; ``facts`` hold ``field`` and ``row``.
    """
    labels = read_list(body, "labels", most=MOST_LABELS, form=_LABELS)
    return [_label(row, label) for row, label in enumerate(labels)]


def refuse_untrue(labels: Sequence[LabelBody], truths: Mapping[str, Sequence[AnyTruths]], *, is_all: bool) -> None:
    """Refuses values that the models they are about can never be judged by.

    A prediction's id does not say which model it is of: its label is refused if no model takes the value.

    Args:
        labels: Of one request.
        truths: By model, those of each version in memory; a version that is on trial may know a class more.
        is_all: Whether these are all models that there are.

    Raises:
        InputRefused: a value cannot be true; ``facts`` hold ``field`` and ``row``.
    """
    for row, label in enumerate(labels):
        if label.prediction_id is not None and not is_all:
            continue
        about = [label.model] if label.prediction_id is None else list(truths)
        known = [each for model in about for each in truths.get(model, ())]
        if known and not any(each.takes(label.value) for each in known):
            who = f"the model {about[0]!r} can never" if len(about) == 1 else "no live model can"
            raise refuse(
                f"Label {row} has a value that {who} be judged by.",
                field="value",
                row=row,
                given=said_text(label.value),
                accepted=", or ".join(dict.fromkeys(each.plain() for each in known)),
            )


def _label(row: int, label: Json) -> LabelBody:
    if not isinstance(label, dict):
        raise refuse(f"Label {row} is not an object.", field=None, row=row, accepted=_LABELS)
    known = _form_of(label)
    for name in known:
        if name not in label and name != "entity":
            raise refuse(f"Label {row} lacks {name!r}.", field=name, row=row, accepted=_LABELS)
    for name in label:
        if name not in known:
            hint = did_you_mean(name, known)
            raise refuse(f"Label {row} has an unknown {name!r}.", field=name, row=row, accepted=_LABELS, hint=hint)
    value = _value(row, label["value"])
    if known is _BY_ID:
        return LabelBody(value=value, prediction_id=read_name("prediction_id", label["prediction_id"], row))
    said = {
        name: read_name(name, label[name], row) for name in ("entity", "list", "item") if label.get(name) is not None
    }
    return LabelBody(
        value=value,
        model=read_name("model", label["model"], row),
        time=read_moment("time", label["time"], row) if "time" in known else None,
        **said,
    )


def _form_of(label: Mapping[str, Json]) -> tuple[str, ...]:
    """The fields that a label should have, by those that it has."""
    if "prediction_id" in label:
        return _BY_ID
    if "list" in label:
        return _BY_LIST
    if "item" in label:
        return _BY_ITEM
    return _BY_ENTITY if "time" in label or "entity" in label else _BY_ID


def _value(row: int, value: Json) -> Said:
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME:
        return value
    if isinstance(value, dict) and value:
        return {name: _number(row, each, f"{name!r} of label") for name, each in value.items()}
    return _number(row, value, "The value of label")


def _number(row: int, value: Json, what: str) -> float:
    if type(value) in (int, float) and -1e300 <= value <= 1e300:  # NaN fails every comparison
        return float(value)
    raise refuse(
        f"{what} {row} is not a finite number.",
        field="value",
        row=row,
        given=str(value)[:40] if isinstance(value, float) else type(value).__name__,
        accepted=_VALUE,
    )
