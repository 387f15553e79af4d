"""Reads what clients send: from bytes to rows, entities and ids, or one clear refusal. No model is needed here."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from kairos.errors import InputRefused, UsageError, did_you_mean
from kairos.serving.json_body import LONGEST_NAME, read_json
from kairos.values import Json, parse_moment

__all__ = [
    "ENVELOPE",
    "LARGEST_BODY_BYTES",
    "LONGEST_NAME",
    "MOST_ROWS",
    "WHOLE_NAMES",
    "PredictBody",
    "check_count",
    "envelope_of",
    "read_entities",
    "read_json",
    "read_list",
    "read_lists",
    "read_moment",
    "read_name",
    "read_predict",
    "read_times",
    "refuse",
]

LARGEST_BODY_BYTES = 1 << 20
"""Most bytes of a request."""

MOST_ROWS = 1_000
"""Most rows of one prediction request."""

WHOLE_NAMES = (-(2**63), 2**64 - 1)
"""The least and the largest whole number that may name something."""

ENVELOPE = ("inputs", "entity", "id", "time")
"""The parts of a request in an envelope; of a model that ranks also ``list``."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictBody:
    """One prediction request, before it meets a signature."""

    rows: tuple[Mapping[str, Json], ...]
    entities: tuple[str | None, ...]
    """Whom each row is about; as many as rows."""
    times: tuple[datetime | None, ...]
    """When each row is about, aware UTC; as many as rows."""
    lists: tuple[str | None, ...] | None
    """In which list each row is ranked; ``None``: the model ranks nothing."""
    items: tuple[str | None, ...] | None
    """Which thing of its list each row is; the same."""
    request_id: str | None
    is_batch: bool
    """Whether the answer is a list."""


def envelope_of(list_field: str | None) -> tuple[str, ...]:
    """The parts of a request in an envelope.

    Args:
        list_field: Of a model that ranks, the field that says in which list a row is.
    """
    return ENVELOPE if list_field is None else (*ENVELOPE, "list")


def read_predict(
    body: Json,
    *,
    entity_field: str | None,
    time_field: str | None = None,
    list_field: str | None = None,
    item_field: str | None = None,
    columns: frozenset[str],
) -> PredictBody:
    """Reads one object, a list of objects, or either in an envelope with ``inputs``, ``entity``, ``time`` and ``id``.

    Args:
        body: What ``read_json`` gave.
        entity_field: The field of a row that says whom it is about; it is taken out unless it is also a column.
        time_field: The same for the field that says when it is about.
        list_field: The same for the field that says in which list it is ranked; ``None``: the model ranks nothing.
        item_field: The same for the field that says which thing of its list it is.
        columns: The model's columns; an envelope is not looked for if ``inputs`` is one of them.

    Raises:
        InputRefused: it is none of these; ``facts`` hold ``field`` and ``row``.
    """
    told = _unwrapped(body, columns, envelope_of(list_field))
    inputs, request_id = told["inputs"], told.get("id")
    is_batch = isinstance(inputs, list)
    rows = inputs if isinstance(inputs, list) else [inputs]
    _check_rows(rows)
    if request_id is not None:
        request_id = read_name("id", request_id, None)
    entities = read_entities(told.get("entity"), rows, entity_field, columns=columns)
    times = read_times(told.get("time"), rows, time_field, columns=columns)
    lists, items = read_lists(told.get("list"), rows, list_field, item_field, columns=columns)
    fields = (entity_field, time_field, list_field, item_field)
    keys = {field for field in fields if field is not None and field not in columns}
    if keys:
        rows = [{k: v for k, v in row.items() if k not in keys} if keys & row.keys() else row for row in rows]
    return PredictBody(
        rows=tuple(rows),
        entities=entities,
        times=times,
        lists=lists,
        items=items,
        request_id=request_id,
        is_batch=is_batch,
    )


def _unwrapped(body: Json, columns: Container[str], parts: tuple[str, ...]) -> Mapping[str, Json]:
    """What an envelope holds; of what is in none, ``inputs``."""
    if not isinstance(body, dict) or "inputs" not in body or "inputs" in columns:
        return {"inputs": body}
    for name in body:
        if name not in parts:
            raise refuse(
                f"{name!r} is not a part of a request.",
                field=name,
                accepted=", ".join(parts),
                hint=did_you_mean(name, parts),
            )
    return body


def read_entities(
    given: Json, rows: Sequence[Mapping[str, Json]], field: str | None, *, columns: Container[str]
) -> tuple[str | None, ...]:
    """Whom each row is about: what was ``given`` for all rows or for each, else what a row has in ``field``.

    A row's own word has to be readable even where it is outweighed, unless it is a column, which may hold anything.

    Raises:
        InputRefused: there are not as many as rows, or one is no name.
    """
    told = _one_a_row("entity", given, len(rows), "entities")
    return tuple(_read_each(read_name, "entity", told, rows, field, columns))


def read_times(
    given: Json, rows: Sequence[Mapping[str, Json]], field: str | None, *, columns: Container[str]
) -> tuple[datetime | None, ...]:
    """When each row is about; the same."""
    told = _one_a_row("time", given, len(rows), "times")
    return tuple(_read_each(read_moment, "time", told, rows, field, columns))


def read_lists(
    given: Json,
    rows: Sequence[Mapping[str, Json]],
    list_field: str | None,
    item_field: str | None,
    *,
    columns: Container[str],
) -> tuple[tuple[str | None, ...] | None, tuple[str | None, ...] | None]:
    """In which list each row is ranked, and which thing of it each is; the same. ``None``: the model ranks nothing.

    Raises:
        InputRefused: as ``read_entities``; or two rows of one list are the same thing, and could not be told apart.
    """
    if list_field is None:
        return None, None
    told = _one_a_row("list", given, len(rows), "lists")
    lists = tuple(_read_each(read_name, "list", told, rows, list_field, columns))
    items = tuple(_read_each(read_name, "item", [None] * len(rows), rows, item_field, columns))
    seen: set[tuple[str | None, str]] = set()
    for row, (where, which) in enumerate(zip(lists, items, strict=True)):
        if which is not None and (where, which) in seen:
            what = f"Row {row} is the same thing as a row before it, in the same list."
            raise refuse(what, field=item_field, row=row, given=which[:40], accepted="each item of a list once")
        if which is not None:
            seen.add((where, which))
    return lists, items


def _read_each(
    read: Callable[[str, Json, int | None], T],
    name: str,
    told: Sequence[Json],
    rows: Sequence[Mapping[str, Json]],
    field: str | None,
    columns: Container[str],
) -> Iterator[T | None]:
    is_column = field in columns
    for index, (each, row) in enumerate(zip(told, rows, strict=True)):
        said = None if each is None else read(field or name, each, index)
        own = row.get(field) if field is not None and (said is None or not is_column) else None
        mine = None if own is None or field is None else read(field, own, index)
        yield mine if said is None else said


def check_count(count: int) -> None:
    """Refuses more rows than one request may have; to be asked before anything is made of each.

    Raises:
        InputRefused: there are too many.
    """
    if count > MOST_ROWS:
        what = "There are too many rows in one request."
        raise refuse(what, field=None, given=f"{count} rows", accepted=f"1 to {MOST_ROWS} rows")


def _check_rows(rows: Sequence[Json]) -> None:
    if not rows:
        raise refuse("There is no row to predict.", field=None, accepted=f"1 to {MOST_ROWS} rows")
    check_count(len(rows))
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise refuse(
                f"Row {index} is not an object.",
                field=None,
                row=index,
                given=type(row).__name__,
                accepted='an object such as {"column": 1.5}',
            )


def _one_a_row(name: str, value: Json, count: int, plural: str) -> Sequence[Json]:
    """What an envelope says for all rows or for each."""
    if not isinstance(value, list):
        return [value] * count
    if len(value) != count:
        raise refuse(
            f"There are not as many {plural} as rows.",
            field=name,
            given=f"{len(value)} {plural} for {count} rows",
            accepted="one for all rows, or one for each",
        )
    return value


def read_moment(field: str, value: Json, row: int | None) -> datetime:
    """Text that is a date or time; without a zone it is UTC."""
    try:
        if isinstance(value, str) and len(value) <= LONGEST_NAME:
            return parse_moment(value)
    except UsageError:
        pass
    raise refuse(
        f"{field!r} cannot be read.",
        field=field,
        row=row,
        given=type(value).__name__ if not isinstance(value, str) else repr(value[:40]),
        accepted="an ISO date or time, as in '2012-03-03T14:00Z'",
    )


def read_name(field: str, value: Json, row: int | None) -> str:
    """Text of some length that names something; a whole number counts as its digits."""
    if type(value) is int and WHOLE_NAMES[0] <= value <= WHOLE_NAMES[1]:
        return str(value)
    if type(value) is float and math.isfinite(value) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME:
        return value
    raise refuse(
        f"{field!r} cannot be read.",
        field=field,
        row=row,
        given=type(value).__name__ if not isinstance(value, str) else f"text of {len(value)} characters",
        accepted=f"text of 1 to {LONGEST_NAME} characters, or a whole number",
    )


def read_list(body: Json, name: str, *, most: int, form: str) -> list[Json]:
    """The list in ``{name: [...]}``, whose items are still to be read.

    Args:
        body: What ``read_json`` gave.
        name: The only key, which says what the items are: ``labels``.
        most: Items of one request, at most.
        form: Examples of what is read, for the refusal.

    Raises:
        InputRefused: the body has another form, or too many items.
    """
    items = body.get(name) if isinstance(body, dict) else None
    if not isinstance(items, list) or set(body) != {name}:
        raise refuse(f"{name.capitalize()} are not in the form that is read.", field=name, accepted=form)
    if len(items) > most:
        given = f"{len(items)} {name}"
        raise refuse(f"There are too many {name}.", field=name, given=given, accepted=f"up to {most}")
    return items


def refuse(
    what: str,
    *,
    field: str | None,
    row: int | None = None,
    given: object = None,
    accepted: str | None = None,
    hint: str | None = None,
) -> InputRefused:
    """The refusal of what a client sent, with the field and the row."""
    return InputRefused(what, given=given, accepted=accepted, hint=hint, field=field, row=row)
