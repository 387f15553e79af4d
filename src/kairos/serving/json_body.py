"""Reads JSON that anybody may have sent: no field twice, no deep nesting, nothing that is not Unicode."""

from __future__ import annotations

import json

from kairos.errors import UsageError
from kairos.values import Json

__all__ = ["LONGEST_NAME", "MOST_LEVELS", "read_json"]

LONGEST_NAME = 200
"""Most characters of what names something: an entity, a request, a field that is refused."""

MOST_LEVELS = 20
"""Most lists and objects inside one another; a request that fits a model has three."""

_TOO_DEEP = f"it is nested too deeply, in more than {MOST_LEVELS} lists and objects"


def read_json(data: bytes) -> Json:
    """Reads JSON in UTF-8, and ``NaN`` and ``Infinity`` with it: a column can then be named in the refusal.

    Raises:
        UsageError: it is not JSON, names a field twice, is nested too deeply, or holds text that is not Unicode.
    """
    try:
        text = data.decode()
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair cannot be written down
    except UnicodeEncodeError:
        raise _not_json("it holds text that is not Unicode") from None
    except UnicodeDecodeError as error:
        raise _not_json(f"it is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg} at character {error.pos}") from None
    except UsageError:
        raise
    except RecursionError:
        raise _not_json(_TOO_DEEP) from None
    except ValueError:  # int() refuses to read thousands of digits
        raise _not_json("it holds a number that is too long") from None
    if _is_deeper(value, MOST_LEVELS):
        raise _not_json(_TOO_DEEP)
    return value


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object whose fields have one value each: of two, nobody could say which was meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set[str]()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        shown = twice[:LONGEST_NAME]
        raise UsageError(f"The field {shown!r} is there more than once.", accepted="each field once", field=twice)
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _is_deeper(value: Json, levels: int) -> bool:
    layer: list[Json] = [[value]]
    for _ in range(levels + 1):
        layer = [
            inner
            for outer in layer
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not layer:
            return False
    return True


def _not_json(why: str) -> UsageError:
    return UsageError("The request is not JSON.", given=why, accepted='JSON such as {"column": 1.5}')
