"""The values that every room speaks in: windows, digests, intervals, verdicts, and JSON with one form only."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, NewType, cast

from kairos.errors import UsageError

__all__ = [
    "MODEL_NAMES",
    "Digest",
    "Distance",
    "Interval",
    "Json",
    "PValue",
    "Verdict",
    "VersionRef",
    "Window",
    "canonical_json",
    "duration_text",
    "is_model_name",
    "length_words",
    "parse_duration",
    "parse_moment",
    "plain",
    "size_text",
    "unplain",
    "without_secrets",
]

Json = Any
"""A value that JSON can hold; ``plain`` makes one and ``canonical_json`` writes it."""

Digest = NewType("Digest", str)
"""The name of bytes: 32 lower-case hexadecimal digits (MD5, DVC's layout); a folder's name ends in ``.dir``."""

PValue = NewType("PValue", float)
"""A probability under the null hypothesis, in [0, 1]; smaller is stronger evidence."""

Distance = NewType("Distance", float)
"""How far apart two distributions are, 0 or more; larger is further."""

Verdict = Literal["pass", "fail", "hold"]
"""``hold`` means "not enough evidence": never a pass, never a zero."""

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|m|h|d|w)\s*$")
_MODEL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")  # also a folder, a part of a URL, a name in MLflow
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")  # int() and isdigit() take other alphabets' digits too

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)?(?:.*@)?([^?#]*)", re.DOTALL)  # a password may hold / ? # and @


def parse_duration(text: str) -> timedelta:
    """Reads a length of time such as ``"90s"``, ``"15m"``, ``"1h"``, ``"7d"`` or ``"2w"``.

    >>> parse_duration("7d").days
    7
    """
    match = _DURATION.match(text)
    if match is None:
        raise UsageError(
            "A length of time cannot be read.", given=text, accepted="a number and s, m, h, d or w, as in '7d'"
        )
    try:
        return timedelta(seconds=float(match[1]) * _UNITS_S[match[2]])
    except OverflowError:
        raise UsageError("A length of time is longer than time is.", given=text, accepted="up to 999999999d") from None


def size_text(size_bytes: int) -> str:
    """Writes a number of bytes for people.

    >>> size_text(231_342), size_text(10)
    ('0.2313 MB', '10 bytes')
    """
    return f"{size_bytes / 1e6:,.4g} MB" if size_bytes >= 1000 else f"{size_bytes} byte{'s' * (size_bytes != 1)}"


def duration_text(length: timedelta) -> str:
    """Writes a length of time in its largest whole unit.

    >>> duration_text(timedelta(hours=48))
    '2d'
    """
    seconds = length.total_seconds()
    for unit in ("d", "h", "m"):
        if seconds >= _UNITS_S[unit] and seconds % _UNITS_S[unit] == 0:
            return f"{int(seconds // _UNITS_S[unit])}{unit}"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def length_words(length: timedelta) -> str:
    """A length of time as a person says it: its two largest units, and no fraction.

    >>> length_words(timedelta(minutes=72)), length_words(timedelta(days=1)), length_words(timedelta(seconds=3))
    ('1 hour 12 minutes', '1 day', 'less than a minute')
    """
    minutes = int(length.total_seconds() // 60)
    counts = (("day", minutes // 1440), ("hour", minutes // 60 % 24), ("minute", minutes % 60))
    told = [f"{count} {unit}{'' if count == 1 else 's'}" for unit, count in counts]
    first = next((i for i, (_, count) in enumerate(counts) if count), None)
    if first is None:
        return "less than a minute"
    return " ".join(told[i] for i in range(first, min(first + 2, 3)) if counts[i][1])


def parse_moment(text: str) -> datetime:
    """Reads an ISO date or time; a time without a zone is UTC.

    >>> parse_moment("2012-03-03").isoformat()
    '2012-03-03T00:00:00+00:00'
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: the year 1, east of Greenwich
        raise UsageError(
            "A moment cannot be read.",
            given=text,
            accepted="an ISO date or time, as in '2012-03-03' or '2012-03-03T14:00Z'",
        ) from None


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A stretch of time, ``start`` included and ``end`` not; both aware UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise UsageError(
                "A window needs aware times.", given=f"{self.start} .. {self.end}", accepted="datetimes with tzinfo"
            )
        if self.end < self.start:
            raise UsageError(
                "A window ends before it starts.", given=f"{self.start} .. {self.end}", accepted="start <= end"
            )

    @classmethod
    def parse(cls, text: str) -> Window:
        """Reads ``START..END``. A bare date as the end includes that day; a time as the end does not include itself.

        >>> Window.parse("2011-01-01..2011-01-31").days
        31.0
        """
        left, dots, right = text.partition("..")
        if not dots:
            raise UsageError(
                "A window cannot be read.", given=text, accepted="START..END, as in '2011-01-01..2011-06-30'"
            )
        end = parse_moment(right)
        if _is_bare_date(right):
            try:
                end += timedelta(days=1)
            except OverflowError:
                raise UsageError("A window ends after the last day there is.", given=text) from None
        start = parse_moment(left)
        if end < start:
            raise UsageError(
                "A window ends before it starts.", given=text, accepted="START..END, the earlier one first"
            )
        return cls(start, end)

    @property
    def days(self) -> float:
        """Length in days."""
        return (self.end - self.start).total_seconds() / 86400

    def split(self, every: timedelta) -> Iterator[Window]:
        """Cuts the window at multiples of ``every`` since Monday 1970-01-05 UTC; the first and last may be shorter."""
        origin = datetime(1970, 1, 5, tzinfo=UTC)
        at = self.start
        while at < self.end:
            try:
                edge = origin + ((at - origin) // every + 1) * every
            except OverflowError:  # beyond the last day there is
                edge = self.end
            yield Window(at, min(edge, self.end))
            at = edge

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def __str__(self) -> str:
        return f"{_moment_text(self.start)}..{_moment_text(self.end)}"


def _is_bare_date(text: str) -> bool:
    try:
        date.fromisoformat(text.strip())
    except ValueError:
        return False
    return True


def _moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def without_secrets(address: str) -> str:
    """An address as it may be shown: without user, password, query and fragment, each of which may hold a secret.

    >>> without_secrets("https://ann:s3cret@mlflow.example:5000/team?token=1")
    'https://mlflow.example:5000/team'
    """
    scheme, rest = cast("re.Match[str]", _ADDRESS.match(address)).groups(default="")
    return scheme + rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its uncertainty, in ``unit``; an infinite bound means "not known on that side"."""

    estimate: float
    lower: float
    upper: float
    level: float
    """Coverage in (0, 1), for instance 0.95."""
    unit: str = ""


MODEL_NAMES = "letters from A to Z, digits, _ and -, at most 100, and no - at the start"
"""What ``is_model_name`` accepts, for messages."""


@lru_cache(maxsize=1024)
def is_model_name(name: str) -> bool:
    """Whether a model may be called so: such a name can be a folder, a part of a URL, and a name in MLflow.

    >>> is_model_name("bike-demand"), is_model_name("a/b")
    (True, False)
    """
    return _MODEL_NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, order=True)
class VersionRef:
    """A model and the number of one of its versions: ``demand@3``.

    Raises:
        UsageError: no model may be called so, or the number is not 1 or more; so a reference that can be written down
            can be read back.
    """

    model: str
    number: int

    def __post_init__(self) -> None:
        if not is_model_name(self.model):
            raise UsageError("A model cannot be called so.", given=repr(self.model), accepted=MODEL_NAMES)
        if self.number < 1:
            raise UsageError("Versions are numbered from 1.", given=self.number)

    @classmethod
    def parse(cls, text: str) -> VersionRef:
        """Reads ``MODEL@NUMBER``.

        >>> VersionRef.parse("demand@3")
        VersionRef(model='demand', number=3)
        """
        model, at, number = text.partition("@")
        if not at or not is_model_name(model) or not _NUMBER.fullmatch(number):
            raise UsageError("A version cannot be read.", given=repr(text), accepted="MODEL@NUMBER, as in 'demand@3'")
        return cls(model, int(number))

    def __str__(self) -> str:
        return f"{self.model}@{self.number}"


def plain(value: object) -> Json:
    """Turns values into what JSON can hold: dataclasses become objects, times ISO text, NaN and infinity tagged.

    Raises:
        UsageError: the value has no plain form (a function, an open file, ...).
    """
    kind = type(value)  # most values are plain already, and of these types themselves
    if kind is dict:
        return {key if type(key) is str else _key(key): plain(item) for key, item in value.items()}  # type: ignore[attr-defined]
    if kind is list:
        return [plain(item) for item in value]  # type: ignore[attr-defined]
    if kind is int or value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, datetime):
        return _moment_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, (Window, VersionRef)):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_key(k): plain(v) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    if isinstance(value, Sequence):
        return [plain(v) for v in value]
    item = getattr(value, "item", None)  # a numpy scalar
    if callable(item) and getattr(value, "ndim", 1) == 0:
        return plain(item())
    to_list = getattr(value, "tolist", None)  # a numpy array
    if callable(to_list):
        return plain(to_list())
    raise UsageError(f"A {type(value).__name__} has no JSON form.", given=value)


def unplain(value: Json) -> Json:
    """Undoes the tags that ``plain`` writes for NaN and infinity; everything else comes back as JSON gives it."""
    if isinstance(value, dict):
        if value.keys() == {"$float"}:
            return float(value["$float"])
        return {k: unplain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [unplain(v) for v in value]
    return value


def canonical_json(value: object) -> bytes:
    """Writes a value as JSON in its one form: sorted keys, no blanks, UTF-8. Equal values give equal bytes.

    >>> canonical_json({"b": 1, "a": float("nan")})
    b'{"a":{"$float":"nan"},"b":1}'
    """
    return _CANONICAL.encode(plain(value)).encode()


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise UsageError("A JSON object needs text as keys.", given=key)
    return key
