"""JSON that keeps Python's types: a tuple is not a list, ``1`` is not ``1.0``, ``True`` or ``"1"``.

Used for params (they enter fingerprints) and for the ``json`` artifacts. Plain JSON values are written as they are;
the others become an object with one key that starts with ``$``.
"""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta

from kairos.errors import UsageError
from kairos.values import Json, canonical_json

__all__ = ["ACCEPTED", "typed", "untyped"]

ACCEPTED = "None, bool, int, float, str, list, tuple, set, dict with text keys, date, datetime, timedelta"


def typed(value: object) -> Json:
    """Turns a value into tagged JSON; equal results mean equal values of equal types.

    >>> typed({"lags": (1, 24), "none": None})
    {'lags': {'$tuple': [1, 24]}, 'none': None}

    Raises:
        UsageError: the value is not made of the accepted types.
    """
    if value is None or isinstance(value, bool):
        return value
    if type(value) is str:
        return _text(value)
    if type(value) is int:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, datetime):
        return {"$datetime": value.isoformat()}
    if isinstance(value, date):
        return {"$date": value.isoformat()}
    if isinstance(value, timedelta):
        return {"$timedelta": [value.days, value.seconds, value.microseconds]}
    if type(value) is list:
        return [typed(item) for item in value]
    if type(value) is tuple:
        return {"$tuple": [typed(item) for item in value]}
    if isinstance(value, (set, frozenset)):
        tag = "$set" if isinstance(value, set) else "$frozenset"
        return {tag: sorted((typed(item) for item in value), key=canonical_json)}
    if type(value) is dict:
        return _object(value)
    item = getattr(value, "item", None)  # a numpy scalar becomes a Python number
    if callable(item) and getattr(value, "ndim", 1) == 0:
        return typed(item())
    raise UsageError(f"A {type(value).__name__} cannot be written as typed JSON.", given=value, accepted=ACCEPTED)


def untyped(value: Json) -> object:
    """Undoes ``typed``.

    >>> untyped({"$tuple": [1, 24]})
    (1, 24)
    """
    if isinstance(value, list):
        return [untyped(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (tag, inner), *_ = value.items()
        if tag.startswith("$"):
            return _from_tag(tag, inner)
    return {key: untyped(item) for key, item in value.items()}


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(
            "A text holds half of a surrogate pair.", given=value, accepted="text that UTF-8 can hold"
        ) from None
    return value


def _object(value: dict[object, object]) -> Json:
    for key in value:
        if type(key) is not str:
            raise UsageError("An object needs text as keys.", given=key, accepted="text")
        _text(key)
    if any(str(key).startswith("$") for key in value):
        return {"$dict": [[key, typed(item)] for key, item in value.items()]}
    return {str(key): typed(item) for key, item in value.items()}


def _from_tag(tag: str, inner: Json) -> object:
    match tag:
        case "$float":
            return float(inner)
        case "$datetime":
            return datetime.fromisoformat(inner)
        case "$date":
            return date.fromisoformat(inner)
        case "$timedelta":
            return timedelta(*inner)
        case "$tuple":
            return tuple(untyped(item) for item in inner)
        case "$set":
            return {untyped(item) for item in inner}
        case "$frozenset":
            return frozenset(untyped(item) for item in inner)
        case "$dict":
            return {key: untyped(item) for key, item in inner}
        case _:
            raise UsageError("Typed JSON holds a tag that is not known.", given=tag)
