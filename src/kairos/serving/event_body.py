"""Reads what happened to users: events that clients send, each about a prediction id, or about an entity of a model.

An event may tell what the request was worth: ``value``, where the project names such values.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from kairos.errors import did_you_mean
from kairos.serving.body import read_list, read_name, refuse
from kairos.values import Json

__all__ = ["MOST_EVENTS", "MOST_VALUE", "EventBody", "read_events"]

MOST_EVENTS = 10_000
"""Most events of one request."""

MOST_VALUE = 1e12
"""A value is not further from 0: sums of squares stay exact numbers of reasonable length."""

_BY_ENTITY = ("model", "entity", "name")
_EVENTS = (
    '{"events": [{"prediction_id": "p...", "name": "complaint"}]} or '
    '{"events": [{"model": "demand", "entity": "station-31", "name": "complaint"}]}, '
    'and "value": 12.5 where the event has one'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBody:
    """One event."""

    name: str
    prediction_id: str | None = None
    """``None``: it is about an entity of a model."""
    model: str = ""
    entity: str = ""
    value: float | None = None
    """What the request was worth; ``None``: the event tells of none."""


def read_events(body: Json, *, known: Collection[str], valued: Collection[str] = ()) -> list[EventBody]:
    """Reads ``{"events": [...]}``; all of it or nothing.

    Args:
        body: What ``read_json`` gave.
        known: Names of events that are counted.
        valued: Names of events that tell a value; of those that are not in ``known`` as well, it has to be there.

    Raises:
        InputRefused: an event is malformed, or nobody counts such; ``facts`` hold ``field`` and ``row``.
    """
    events = read_list(body, "events", most=MOST_EVENTS, form=_EVENTS)
    return [_event(row, event, known, valued) for row, event in enumerate(events)]


def _event(row: int, event: Json, known: Collection[str], valued: Collection[str]) -> EventBody:
    fields = ("prediction_id", "name") if isinstance(event, dict) and "entity" not in event else _BY_ENTITY
    if not isinstance(event, dict) or set(event) - {"value"} != set(fields):
        raise refuse(f"Event {row} is not in the form that is read.", field=None, row=row, accepted=_EVENTS)
    name = read_name("name", event["name"], row)
    if name not in known and name not in valued:
        names = {*known, *valued}
        accepted = ", ".join(sorted(names)) or "none: model.NAME.delivery.events and .values name them"
        raise refuse(
            f"Event {row} is none that is counted.",
            field="name",
            row=row,
            accepted=accepted,
            hint=did_you_mean(name, names),
        )
    value = _value(row, name, event.get("value"), known, valued)
    if fields is not _BY_ENTITY:
        return EventBody(name=name, prediction_id=read_name("prediction_id", event["prediction_id"], row), value=value)
    model, entity = (read_name(field, event[field], row) for field in ("model", "entity"))
    return EventBody(name=name, model=model, entity=entity, value=value)


def _value(row: int, name: str, value: Json, known: Collection[str], valued: Collection[str]) -> float | None:
    """The value of an event of that name; ``None`` where it tells of none and need not."""
    if value is None and (name in known or name not in valued):
        return None
    if name not in valued:
        accepted = ", ".join(sorted(valued)) or "none: model.NAME.delivery.values names them"
        raise refuse(f"Event {row} has a value that is not read.", field="value", row=row, accepted=accepted)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MOST_VALUE:
        accepted = f"a number of at most {MOST_VALUE:g} in size"
        raise refuse(f"Event {row} has no value that can be read.", field="value", row=row, accepted=accepted)
    return float(value)
