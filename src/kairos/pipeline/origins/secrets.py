"""Credentials: filled in from the environment where a call is made, and taken out of every text that leaves it.

Taken out is what this process filled in, what the environment holds under names of secrets or as passwords of
addresses, and, whoever wrote it, what stands where credentials do: before the @ of an address, in its query, in a
header.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

from kairos.errors import GraphError, KairosError, UsageError
from kairos.values import without_secrets

__all__ = [
    "check_place",
    "check_values",
    "filled",
    "filled_values",
    "note_environment",
    "redacted",
    "without_secrets_in",
]

E = TypeVar("E", bound=KairosError)

_NAME = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_SECRET = re.compile(
    r"pass(word|wd|phrase)|^pass$|pwd|token|secret|^key$|(api|access|account|private|shared)[_-]?key|^sig$|signature"
    r"|^auth$|oauth|authori[sz]ation|credential|cookie",
    re.IGNORECASE,
)
_WAYS = ("anon", "cloud", "google_default", "cache")
"""What gcsfs calls ways to find a token, where others have one."""
_HIDDEN = "***"
_SHORTEST, _SHORTEST_PASSWORD, _SHORTEST_PART = 8, 4, 6
"""Letters of what is taken for a secret: of a variable that is called so, of an address's password, and of a part of
one, as a client tells that took the rest for something else."""
_ENVIRONMENT = re.compile(rf"{_SECRET.pattern}|connection_?string", re.IGNORECASE)
_NO_SECRET = re.compile(r"^(OLD)?PWD$|TOKENIZER", re.IGNORECASE)
_PLACES = (
    re.compile(r"(://[^\s:/@'\"]*:)(?!\$|\*\*\*)[^\s@/'\"]+(?=@)"),
    re.compile(
        r"([?&][\w.-]*(?:pass(?:word|wd)|pwd|token|secret|signature|sig|api_?key|credential)[\w.-]*=)(?!\$)[^&\s'\"<>]+",
        re.IGNORECASE,
    ),
    re.compile(r"(\b(?:bearer|basic|token) )(?=[^\s'\"]*\d)[\w.~+/=-]{8,}", re.IGNORECASE),
)
"""Where credentials stand in a text, whoever wrote it; the first group is kept."""
_seen: set[str] = set()
"""All secrets that this process filled in."""


def check_place(what: str, place: str) -> None:
    """Refuses a password, or a query's key, that is written out instead of named.

    Raises:
        GraphError: not an error whose traceback would show the line.
    """
    if any(not _NAME.search(secret) for secret in _secrets_of(place)):
        raise GraphError(
            f"{what} has a password in its code.",
            given=without_secrets(place),
            accepted="the name of a variable of the environment, as in 'postgresql://ann:$PASSWORD@host/db'",
        )


def check_values(what: str, values: Mapping[str, Any]) -> None:
    """Refuses headers and params that are called as secrets are, and are written out."""
    for name, value in values.items():
        if _SECRET.search(name) and value not in _WAYS and not _NAME.search(str(value)):
            raise GraphError(
                f"{what} has the value of {name!r} in its code.",
                accepted="the name of a variable of the environment, as in 'Bearer $TOKEN'",
            )


def filled(place: str) -> str:
    """A place with the values of the variables that it names.

    Raises:
        UsageError: the environment has no such variable.
    """
    # What is filled in may itself be a whole address, so secrets are looked for before and after.
    found = [_filled(secret) for secret in _secrets_of(place)]
    whole = _filled(place)
    for secret in (*found, *_secrets_of(whole)):
        _note_password(secret)
    return whole


def filled_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Headers or params with variables filled in; every value that names one is a secret."""
    done: dict[str, Any] = {}
    for name, value in values.items():
        done[name] = value
        if isinstance(value, str) and _NAME.search(value):
            done[name] = _filled(value)
            for part in (done[name], *(_filled(match[0]) for match in _NAME.finditer(value))):
                _note(part)
    return done


def note_environment() -> None:
    """Counts as secrets what the environment holds as such, for code that reads it by itself.

    That is what has the name of a secret, and the password of an address or a connection string. Short values are left
    out: they are flags, and would be taken out of every word that they are part of; so are paths of files.
    """
    for name, value in os.environ.items():
        if "://" in value or "=" in value:
            for secret in _secrets_of(value) + _pairs(value):
                if len(secret) >= _SHORTEST_PASSWORD:
                    _note_password(secret)
        is_called_so = any(_ENVIRONMENT.search(part) for part in name.split("__")) and not _NO_SECRET.search(name)
        if is_called_so and len(value) >= _SHORTEST and not os.path.exists(value):
            _note_password(value)


def redacted(text: str) -> str:
    """A text without any secret that this process knows, and without what stands where credentials do."""
    for secret in sorted(_seen, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    for place in _PLACES:
        text = place.sub(rf"\g<1>{_HIDDEN}", text)
    return text


def without_secrets_in(error: E) -> E:
    """The same error with a text that may be shown and kept."""
    note_environment()

    def clean(value: Any) -> Any:
        if isinstance(value, str) or redacted(repr(value)) == repr(value):
            return redacted(value) if isinstance(value, str) else value
        return redacted(repr(value))

    def clean_fact(value: Any) -> Any:  # other values are for the program, and are not shown
        return clean(value) if isinstance(value, str | tuple | list | dict | set | BaseException) else value

    return type(error)(
        redacted(error.what),
        given=clean(error.given),
        accepted=clean(error.accepted),
        hint=clean(error.hint),
        **{name: clean_fact(value) for name, value in error.facts.items()},
    )


def _secrets_of(place: str) -> list[str]:
    """Password and secret values of the query, as they are written."""
    try:
        parts = urlsplit(place)
    except ValueError:  # a bracket that is no address
        return []
    # From the text: urlsplit's own attribute ends a password at its first '/' or '?'.
    head = place.partition("://")[2]
    user, at, _ = head.rpartition("@")
    found = [user.partition(":")[2]] if at and ":" in user else []
    for pair in parts.query.split("&"):
        name, equals, value = pair.partition("=")
        if equals and value and _SECRET.search(name):
            found.append(value)
    return [secret for secret in found if secret]


def _pairs(text: str) -> list[str]:
    """Secret values of a connection string: ``host=a password=b``, ``AccountName=a;AccountKey=b``."""
    found = [pair.partition("=")[::2] for pair in re.split(r"[;\s]", text)]
    return [value.strip("'\"") for name, value in found if value and _SECRET.search(name)]


def _note_password(secret: str) -> None:
    """Notes it with its parts: an address whose password has a / or @ in it is cut there by whoever reads it."""
    _note(secret)
    parts = re.split(r"[/@:?#&%]+", secret)
    for part in parts if len(parts) > 1 else ():
        if len(part) >= _SHORTEST_PART:
            _note(part)


def _note(secret: str) -> None:
    for form in (secret, unquote(secret), unquote_plus(secret), quote(secret, safe=""), quote_plus(secret)):
        if form:
            _seen.add(form)
            _seen.add(repr(form)[1:-1])


def _filled(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in os.environ:
            raise UsageError(
                f"The environment has no {name}, which a source's origin names.", hint=f"Type: export {name}=..."
            )
        return os.environ[name]

    return _NAME.sub(value, text)
