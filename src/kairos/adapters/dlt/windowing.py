"""The window of a run as the range of a resource's cursor, in the form that the cursor has."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import dlt
import polars as pl
from dlt.extract import DltResource, Incremental
from dlt.extract.incremental import IncrementalResourceWrapper
from dlt.extract.incremental.context import TimeIntervalContext

from kairos.adapters.dlt.asking import arguments_of
from kairos.errors import DataRefused, UsageError
from kairos.pipeline.origins.origin import zone_of
from kairos.pipeline.origins.resources import Dlt
from kairos.values import Window

__all__ = ["HINTS", "interval", "within"]

_BOUNDED = "_kairos_bounds"
"""Attribute of a bounded cursor with the resource's own."""
HINTS: dict[str | None, Any] = {
    "text": pl.String,
    "bigint": pl.Int64,
    "double": pl.Float64,
    "decimal": pl.Float64,
    "bool": pl.Boolean,
    "json": pl.String,
    "binary": pl.Binary,
}
"""dlt's types that its items have as they come; times may still be text there."""


def within(resource: DltResource, origin: Dlt, window: Window, *, must_have: bool = True) -> None:
    """Lets a resource give the items of the window and no others, and keep no state.

    Args:
        resource: This reader's own.
        origin: As declared.
        window: Half open: an item at its end belongs to the next.
        must_have: Whether a resource without a cursor is refused.

    Raises:
        UsageError: the resource has no cursor that the window could bound.
    """
    found = _incremental_of(resource)
    cursor = origin.cursor if must_have else None
    if found is not None and cursor is not None and found.cursor_path != cursor:
        raise UsageError(
            f"The resource {resource.name!r} of dlt has another cursor.", given=cursor, accepted=found.cursor_path
        )
    cursor = cursor or (None if found is None else found.cursor_path)
    if cursor is None:
        if not must_have:
            return
        raise UsageError(
            f"The resource {resource.name!r} of dlt has no cursor, so the rows of a window cannot be told.",
            accepted="a resource with dlt.sources.incremental(...)",
            hint="Write Dlt(..., cursor='COLUMN WITH TIMES').",
        )
    start, end, latest = _range(origin, found, window)
    missing = "raise" if must_have else "include"
    if found is not None and found.on_cursor_value_missing == "exclude":
        missing = "exclude"
    bounded = dlt.sources.incremental(
        cursor,
        initial_value=start,
        end_value=end,  # with it dlt neither reads nor writes a state
        last_value_func=latest,
        primary_key=(),
        row_order=None if found is None else found.row_order,
        on_cursor_value_missing=missing,  # a row that has no time would be in every window
        allow_external_schedulers=False,
        range_start="closed",
        range_end="open",
    )
    setattr(bounded, _BOUNDED, found)
    resource.apply_hints(incremental=bounded)


def interval(window: Window) -> TimeIntervalContext:
    """The window as ``dlt.current.interval()`` tells it to a resource's own code."""
    return TimeIntervalContext((window.start, window.end), allow_external_schedulers=False)


def _incremental_of(resource: DltResource) -> Incremental[Any] | None:
    """The resource's own, from its hints, what its function was given, or its function's default."""
    held = resource.incremental
    if isinstance(held, IncrementalResourceWrapper):
        held = held.incremental
    if held is not None:
        return getattr(held, _BOUNDED, held)  # this window's predecessor was set in the same resource
    given = list(arguments_of(resource).values())
    function = getattr(resource, "__wrapped__", None)  # as it was before its arguments were bound
    if callable(function):
        given += [each.default for each in inspect.signature(function).parameters.values()]
    return next((each for each in given if isinstance(each, Incremental) and each.cursor_path), None)


def _range(origin: Dlt, found: Incremental[Any] | None, window: Window) -> tuple[Any, Any, Any]:
    """Start and end as the cursor has them, and what tells the later of two."""
    if found is not None and found.last_value_func is not max:
        raise UsageError(
            "A resource of dlt has a cursor that does not grow with time.",
            given=f"last_value_func={getattr(found.last_value_func, '__name__', found.last_value_func)}",
            accepted="max",
        )
    initial = None if found is None else found.initial_value
    times = origin.times or _times_of(found)
    start, end = (_as(times, initial, moment, origin) for moment in (window.start, window.end))
    return start, end, _latest_in(origin.zone) if isinstance(start, str) else max


def _times_of(found: Incremental[Any] | None) -> str:
    """How the cursor keeps times: by its annotation or its initial value; else text, as JSON has it."""
    kind = Any if found is None else found.get_incremental_value_type()
    if not isinstance(kind, type):
        return "text"
    if issubclass(kind, datetime):
        initial = None if found is None else found.initial_value
        return "naive" if isinstance(initial, datetime) and initial.tzinfo is None else "aware"
    if issubclass(kind, date):
        return "date"
    return "epoch" if issubclass(kind, int | float) else "text"


def _as(times: str, initial: Any, moment: datetime, origin: Dlt) -> Any:
    """A moment in the cursor's form."""
    if times == "aware":
        return moment.astimezone(UTC)
    if times == "epoch":
        seconds = moment.timestamp()
        return int(seconds) if seconds.is_integer() else seconds
    if times == "text":
        return _as_text(initial if isinstance(initial, str) else "", moment, origin)
    local = moment.astimezone(zone_of(origin.zone)).replace(tzinfo=None)
    return _as_day(local) if times == "date" else local


def _as_text(like: str, moment: datetime, origin: Dlt) -> str:
    """ISO 8601 in the form of another such text: a day, without a zone, with an offset, or with ``Z``."""
    local = moment.astimezone(zone_of(origin.zone)).replace(tzinfo=None)
    if len(like) == len("2011-01-03"):
        return _as_day(local).isoformat()
    separator = " " if like[10:11] == " " else "T"
    if like and datetime.fromisoformat(like).tzinfo is None:
        return local.isoformat(sep=separator)
    text = moment.astimezone(UTC).isoformat(sep=separator)
    return text if like.endswith("+00:00") else text.replace("+00:00", "Z")


def _as_day(local: datetime) -> date:
    if local.time() != local.time().min:
        raise UsageError(
            "A window begins or ends within a day, and the cursor of a resource of dlt is a date.",
            given=local.isoformat(sep=" "),
            accepted="windows of whole days",
        )
    return local.date()


def _latest_in(zone: str) -> Callable[[Iterable[str]], str]:
    """What gives the text that is the latest moment: '05:00:00.5Z' is before '05:00:00Z' as text only."""

    def latest(values: Iterable[str]) -> str:
        return max(values, key=partial(_moment, zone=zone))

    return latest


def _moment(text: str, *, zone: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise DataRefused(
            "The cursor of a resource of dlt is no time.",
            given=repr(text)[:100],
            accepted="ISO 8601, such as '2011-01-03T05:00:00Z'",
            hint="Turn it into one: resource.add_map(...), or say times='epoch'.",
        ) from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone_of(zone))).astimezone(UTC)
