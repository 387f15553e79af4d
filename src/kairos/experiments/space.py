"""What a search may try: for each param a range, in a form that does not depend on who searches.

A space is a value: it is written into the study's fact, and the study's name depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from kairos.pipeline.typed import typed
from kairos.values import Json, canonical_json

__all__ = ["Choices", "Number", "Params", "Range", "Space", "same"]

Params: TypeAlias = Mapping[str, Any]
"""``STEP.PARAM`` to its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """Numbers from ``low`` to ``high``, both included."""

    low: float
    high: float
    is_whole: bool
    log: bool = False
    """Whether a factor counts alike everywhere."""
    step: float | None = None
    """Between values that are tried; ``None``: any, of whole numbers 1."""

    @property
    def count(self) -> int | None:
        """How many values there are; ``None``: no end of them."""
        step = 1 if self.step is None and self.is_whole else self.step
        return None if step is None else math.floor((self.high - self.low) / step + 1e-9) + 1

    def value(self, place: int) -> Any:
        """The value at a place of those that can be counted."""
        if self.is_whole:
            return int(self.low) + place * int(self.step or 1)
        assert self.step is not None  # or they could not be counted
        return round(self.low + place * self.step, 12)

    def place(self, value: object) -> int | None:
        """Where a value is among those in steps; ``None``: it is none of them.

        >>> Number(low=0.2, high=1.0, is_whole=False, step=0.2).place(0.6000000000000001)
        2
        """
        count, step = self.count, self.step or 1
        if count is None or isinstance(value, bool) or not isinstance(value, int | float):
            return None
        place = round((value - self.low) / step)
        is_near = abs((value - self.low) / step - place) < 1e-9
        return place if is_near and 0 <= place < count else None

    def at(self, share: float) -> Any:
        """The value that lies so far from ``low`` to ``high``, for a share in [0, 1); each has its equal part.

        >>> Number(low=1, high=4, is_whole=True).at(0.5), Number(low=1, high=4, is_whole=False, log=True).at(0.5)
        (3, 2.0)
        """
        count = self.count
        if count is not None and not self.log:
            return self.value(int(share * count))
        pad = 0.5 if self.is_whole else 0.0
        low, high = (math.log(end) if self.log else end for end in (self.low - pad, self.high + pad))
        found = low + share * (high - low)
        value = math.exp(found) if self.log else found
        return (
            min(max(round(value), int(self.low)), int(self.high))
            if self.is_whole
            else min(max(value, self.low), self.high)
        )

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        return {"low": self.low, "high": self.high, "whole": self.is_whole, "log": self.log, "step": self.step}

    def __str__(self) -> str:
        kind = "whole, " if self.is_whole else ""
        how = "by factors" if self.log else f"in steps of {self.step:g}" if self.step else ""
        return f"{self.low:g} to {self.high:g}" + (f" ({kind}{how})".replace(", )", ")") if kind or how else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Some values of any type that a param can have, in no order."""

    values: tuple[Any, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.values)

    def value(self, place: int) -> Any:
        """One of them."""
        return self.values[place]

    def at(self, share: float) -> Any:
        """The value that lies so far in them, for a share in [0, 1)."""
        return self.values[int(share * len(self.values))]

    def place(self, value: object) -> int | None:
        """Where a value is; ``None``: it is none of them. ``1`` is not ``True``."""
        return next((place for place, each in enumerate(self.values) if same(each, value)), None)

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        return {"choices": [typed(value) for value in self.values]}

    def __str__(self) -> str:
        return " or ".join(str(value) for value in self.values)


Range: TypeAlias = Number | Choices


@dataclass(frozen=True, slots=True)
class Space:
    """A range for each param that is searched, by ``STEP.PARAM``."""

    ranges: Mapping[str, Range]

    @property
    def count(self) -> int | None:
        """How many combinations there are; ``None``: no end of them."""
        counts = [each.count for each in self.ranges.values()]
        return None if None in counts else math.prod(count for count in counts if count is not None)

    def point(self, number: int) -> dict[str, Any]:
        """One of the combinations that can be counted, from 0 on; the last param changes first.

        >>> depth, fast = Number(low=1, high=3, is_whole=True), Choices(values=(False, True))
        >>> Space({"fit.depth": depth, "fit.fast": fast}).point(3)
        {'fit.depth': 2, 'fit.fast': True}
        """
        places = dict[str, int]()
        for name, each in reversed([*self.ranges.items()]):
            count = each.count
            assert count is not None  # or they could not be counted
            number, places[name] = divmod(number, count)
        return {name: each.value(places[name]) for name, each in self.ranges.items()}

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        return {name: each.plain() for name, each in self.ranges.items()}


def same(one: object, other: object) -> bool:
    """Whether two values of params are the same, of the same types.

    >>> same(1, 1.0), same((1, 2), [1, 2]), same(0.1, 0.1)
    (False, False, True)
    """
    return canonical_json(typed(one)) == canonical_json(typed(other))
