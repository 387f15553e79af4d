"""What a gate looked at, one line each: met, harmful, open, or only told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Concern", "Line", "State"]

Concern = Literal[
    "usable", "checks", "cost", "enough", "metric", "floor", "slice", "protected", "bias", "groups", "note"
]
State = Literal["ok", "harm", "open", "told"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that was looked at."""

    concern: Concern
    about: str
    """Which metric, slice, check or group; empty if there is but one."""
    state: State
    """``harm``: proven bad. ``open``: not proven good. ``told``: asks for nothing."""
    sentence: str
    needed_rows: int | None = None
    """Of what is ``open``: rows still missing, if what is seen stays so; ``None`` if rows do not help."""
    result: str = ""
    """What was found, in a word or two: ``better``, ``not worse``, ``worse``."""
