"""Limits that an owner states herself: ``p99_latency < 50ms``, ``error_rate < 0.1%``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from kairos.errors import SettingsError

__all__ = ["EventRule", "GuardRule", "ValueRule"]

_RULE = re.compile(r"\s*([A-Za-z][A-Za-z0-9_.]*)\s*<\s*(\d+(?:\.\d+)?)\s*(us|ms|s|%)\s*")
_LATENCY = re.compile(r"p(\d{2}(?:\.\d+)?)_latency")
_UNITS_US = {"us": 1.0, "ms": 1e3, "s": 1e6}
_ACCEPTED = "such as 'p99_latency < 50ms', 'error_rate < 0.1%', 'impossible_rate < 1%' or 'timeout_rate < 2%'"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRule:
    """A limit on how often something bad may happen, whatever the champion does."""

    text: str
    """As it was written."""
    kind: str
    """What is counted: ``errors``, ``impossible``, ``timeouts``, or ``over_50000us``."""
    cap: float
    """The largest rate of it, in (0, 1): of ``p99_latency < 50ms`` 1 % may be slower."""
    limit_us: int | None = None
    """For a latency: from which time on an answer is slow, in microseconds."""

    @classmethod
    def parse(cls, text: str) -> GuardRule:
        """Reads a limit.

        >>> GuardRule.parse("p99_latency < 50ms")
        GuardRule(text='p99_latency < 50ms', kind='over_50000us', cap=0.01, limit_us=50000)

        Raises:
            SettingsError: it is none, or leaves nothing or everything.
        """
        match = _RULE.fullmatch(text)
        if match is None:
            raise SettingsError("A guard cannot be read.", given=text, accepted=_ACCEPTED)
        name, number, unit = match[1], float(match[2]), match[3]
        latency = _LATENCY.fullmatch(name)
        if latency is not None and unit != "%":
            limit_us = round(number * _UNITS_US[unit])
            cap = round(1 - float(latency[1]) / 100, 10)
            if limit_us > 0 and 0 < cap < 1:
                return cls(text=text, kind=f"over_{limit_us}us", cap=cap, limit_us=limit_us)
        if name in _KINDS and unit == "%" and 0 < number < 100:
            return cls(text=text, kind=_KINDS[name], cap=number / 100)
        raise SettingsError("A guard cannot be read.", given=text, accepted=_ACCEPTED)


_KINDS = {"error_rate": "errors", "impossible_rate": "impossible", "timeout_rate": "timeouts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """Something that may happen to users and should not: a complaint, a refund. Fewer are better."""

    name: str
    usual: float = 0.0
    """How often it usually happens, as a part of the requests, in [0, 1)."""

    @property
    def kind(self) -> str:
        """What is counted."""
        return f"event:{self.name}"

    @classmethod
    def parse(cls, name: str, usual: object) -> EventRule:
        """Reads a name and a share.

        >>> EventRule.parse("complaint", "2%")
        EventRule(name='complaint', usual=0.02)
        """
        match = _SHARE.fullmatch(usual) if isinstance(usual, str) else None
        if match is None or not float(match[1]) < 100 or not _NAME.fullmatch(name):
            raise SettingsError(
                "An event cannot be read.", given=f"{name} = {usual!r}", accepted="a name and how usual it is, as '2%'"
            )
        return cls(name=name, usual=float(match[1]) / 100)


_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRule:
    """What a request is worth afterwards, told with an event of that name: revenue, clicks, minutes of waiting."""

    name: str
    better: Literal["higher", "lower"]
    range: tuple[float, float] | None = None
    """Between which numbers a value lies, 0 among them, since a request without the event is worth 0; what lies outside
    counts as the nearer end. ``None``: there are no such numbers."""
    margin: float | None = None
    """By how much a request may be worth less before the challenger goes live, in the unit of the values, above 0;
    ``None``: values take a challenger back, and hold none up."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SettingsError("A value has no name.", given=self.name, accepted="a letter, then letters and digits")
        if self.better not in ("higher", "lower"):
            raise SettingsError("Which values are better?", given=self.better, accepted="'higher' or 'lower'")
        low, high = (0.0, 1.0) if self.range is None else self.range
        if not (-math.inf < low <= 0 <= high < math.inf and low < high):
            accepted = "two numbers with 0 between them, or at an end: a request without the event is worth 0"
            raise SettingsError("A range of values cannot be used.", given=self.range, accepted=accepted)
        if self.margin is not None and not 0 < self.margin < math.inf:
            raise SettingsError("A margin of values is out of range.", given=self.margin, accepted="a number above 0")

    @property
    def kind(self) -> str:
        """What is counted; the name among the guards."""
        return f"value:{self.name}"

    @property
    def reach(self) -> float | None:
        """Length of the range."""
        return None if self.range is None else self.range[1] - self.range[0]
