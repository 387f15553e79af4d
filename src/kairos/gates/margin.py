"""How much worse still counts as not worse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from kairos.errors import SettingsError
from kairos.values import Json, unplain

__all__ = ["Margin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How much worse still counts as "not worse": a share of the champion's value, or an amount in its unit."""

    kind: Literal["relative", "absolute"] = "relative"
    value: float = 0.01

    def __post_init__(self) -> None:
        if self.kind not in ("relative", "absolute") or not (math.isfinite(self.value) and self.value >= 0.0):
            raise SettingsError(
                "A margin cannot be used.",
                given=f"{self.kind} {self.value!r}",
                accepted="a share such as 1%, or an amount in the metric's unit; 0 or more",
            )

    @classmethod
    def parse(cls, text: str | float) -> Margin:
        """Reads ``"1%"`` as a share of the champion's value and ``0.5`` or ``"0.5"`` as an amount.

        >>> Margin.parse("1%")
        Margin(kind='relative', value=0.01)
        """
        word = str(text).strip()
        try:
            if word.endswith("%"):
                return cls(kind="relative", value=float(word[:-1]) / 100)
            return cls(kind="absolute", value=float(word))
        except ValueError as error:
            if isinstance(error, SettingsError):
                raise
            raise SettingsError(
                "A margin cannot be read.", given=word, accepted="'1%' or an amount such as 0.5"
            ) from None

    @classmethod
    def from_plain(cls, value: Json) -> Margin:
        """Undoes ``kairos.values.plain``."""
        return cls(**unplain(value))

    def resolve(self, value: float) -> float:
        """The margin in the metric's unit, where the champion has this value."""
        return self.value * abs(value) if self.kind == "relative" else self.value

    def __str__(self) -> str:
        return f"{100 * self.value:.4g} %" if self.kind == "relative" else f"{self.value:.4g}"
