"""What a project asks of a challenger before it may replace the champion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from kairos.errors import SettingsError
from kairos.values import Json, plain, unplain

__all__ = ["GatePolicy", "Margin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How much worse still counts as "not worse": a share of the baseline's mean loss, or an amount in its unit."""

    kind: Literal["relative", "absolute"] = "relative"
    value: float = 0.01

    def __post_init__(self) -> None:
        if self.kind not in ("relative", "absolute") or not (math.isfinite(self.value) and self.value >= 0.0):
            raise SettingsError(
                "A margin cannot be used.",
                given=f"{self.kind} {self.value!r}",
                accepted="a share such as 1%, or an amount in the loss's unit; 0 or more",
            )

    @classmethod
    def parse(cls, text: str | float) -> Margin:
        """Reads ``"1%"`` as a share of the baseline's loss and ``0.5`` or ``"0.5"`` as an amount.

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

    def resolve(self, baseline_loss: float) -> float:
        """The margin in the loss's unit."""
        return self.value * abs(baseline_loss) if self.kind == "relative" else self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """What is asked of a challenger. Losses: lower is better."""

    loss: str
    """Name of the per-row loss, one of ``kairos.gates.losses.LOSSES``."""
    alpha: float = 0.05
    """Chance of each kind of false proof, in (0, 0.5)."""
    margin: Margin = Margin()
    """How much worse still counts as "not worse", overall and on each slice."""
    require: Literal["superior", "non_inferior"] = "superior"
    """``superior`` for a change by choice, ``non_inferior`` for a scheduled refresh."""
    min_rows: int = 100
    """Below this many rows the verdict is ``hold``."""
    slices: tuple[str, ...] = ()
    """Columns on whose every level the challenger must not be proven worse by more than the margin."""
    floor: float | None = None
    """The largest mean loss that is acceptable, whoever the challenger is compared with; ``None`` for no such limit."""

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 0.5:
            raise SettingsError("A gate's alpha is out of range.", given=self.alpha, accepted="a number in (0, 0.5)")
        if self.require not in ("superior", "non_inferior"):
            raise SettingsError(
                "A gate asks for something unknown.", given=self.require, accepted="superior, non_inferior"
            )
        if self.min_rows < 2:
            raise SettingsError("A gate needs at least two rows.", given=self.min_rows, accepted="2 or more")
        if self.floor is not None and not math.isfinite(self.floor):
            raise SettingsError(
                "A gate's floor is not a number.", given=self.floor, accepted="a finite number, or none"
            )

    def plain(self) -> Json:
        """The policy as JSON holds it."""
        return plain(self)

    @classmethod
    def from_plain(cls, value: Json) -> GatePolicy:
        """Undoes ``plain``."""
        fields = unplain(value)
        return cls(**{**fields, "margin": Margin(**fields["margin"]), "slices": tuple(fields["slices"])})
