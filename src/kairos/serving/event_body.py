"""Reads what happened to users: events that clients send, each about a prediction id, or about an entity of a model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from kairos.errors import did_you_mean
from kairos.serving.body import read_list, read_name, refuse
from kairos.values import Json

__all__ = ["MOST_EVENTS", "EventBody", "read_events"]

MOST_EVENTS = 10_000
"""Most events of one request."""

_BY_ENTITY = ("model", "entity", "name")
_EVENTS = (
    '{"events": [{"prediction_id": "p...", "name": "complaint"}]} or '
    '{"events": [{"model": "demand", "entity": "station-31", "name": "complaint"}]}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBody:
    """One event."""

    name: str
    prediction_id: str | None = None
    """``None``: it is about an entity of a model."""
    model: str = ""
    entity: str = ""


def read_events(body: Json, *, known: Collection[str]) -> list[EventBody]:
    """Reads ``{"events": [...]}``; all of it or nothing.

    Args:
        body: What ``read_json`` gave.
        known: Names of events that are counted.

    Raises:
        InputRefused: an event is malformed, or nobody counts such; ``facts`` hold ``field`` and ``row``.
    """
    events = read_list(body, "events", most=MOST_EVENTS, form=_EVENTS)
    return [_event(row, event, known) for row, event in enumerate(events)]


def _event(row: int, event: Json, known: Collection[str]) -> EventBody:
    fields = ("prediction_id", "name") if isinstance(event, dict) and "entity" not in event else _BY_ENTITY
    if not isinstance(event, dict) or set(event) != set(fields):
        raise refuse(f"Event {row} is not in the form that is read.", field=None, row=row, accepted=_EVENTS)
    name = read_name("name", event["name"], row)
    if name not in known:
        accepted = ", ".join(sorted(known)) or "none: model.NAME.delivery.events names them"
        raise refuse(
            f"Event {row} is none that is counted.",
            field="name",
            row=row,
            accepted=accepted,
            hint=did_you_mean(name, known),
        )
    if fields is not _BY_ENTITY:
        return EventBody(name=name, prediction_id=read_name("prediction_id", event["prediction_id"], row))
    return EventBody(
        name=name, model=read_name("model", event["model"], row), entity=read_name("entity", event["entity"], row)
    )
