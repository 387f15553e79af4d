"""What a monitor finds: one value, with its interval, threshold, window and a sentence for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from kairos.errors import UsageError
from kairos.values import Json, Window, parse_moment, plain, unplain

__all__ = ["LEVELS", "Check", "Finding", "Level", "worst_level"]

Check = Literal[
    "impossible_values",
    "missing_input",
    "input_drift",
    "drift_severity",
    "prediction_drift",
    "prediction_bias",
    "quality",
    "estimated_quality",
    "unmatched_labels",
    "unusable_labels",
    "request_split",
]
"""What was looked at."""

Level = Literal["info", "warn", "alarm"]
"""``info`` is worth a line, ``warn`` worth a look, ``alarm`` is proven harm; inputs alone never alarm."""

LEVELS: tuple[Level, ...] = get_args(Level)
"""From mild to severe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something a monitor found out about one version over one window."""

    check: Check
    level: Level
    column: str | None
    """The input concerned; ``None`` if it is the prediction or the model as a whole."""
    value: float
    """The estimate, in the unit of ``threshold``."""
    lower: float | None
    """The truth is above this (level in the sentence); ``None`` if not bounded on that side."""
    upper: float | None
    """The truth is below this; ``None`` if not bounded on that side."""
    threshold: float
    """What the policy tolerates."""
    window: Window
    rows: int
    """Predictions that the finding rests on."""
    sentence: str
    version: int
    is_seasonal: bool = False
    """Whether it was much like this a year ago."""

    def plain(self) -> dict[str, Json]:
        """The finding as JSON can hold it; the ledger's fact ``finding``."""
        return dict(plain(self))

    @classmethod
    def from_plain(cls, value: Mapping[str, Json]) -> Finding:
        """Reads back what ``plain`` wrote; fields that this release does not know are refused."""
        fields: dict[str, Any] = unplain(dict(value))
        try:
            start, _, end = str(fields.pop("window")).partition("..")
            return cls(window=Window(parse_moment(start), parse_moment(end)), **fields)
        except (KeyError, TypeError) as error:
            raise UsageError(
                "A finding cannot be read.", given=sorted(value), accepted=", ".join(cls.__slots__)
            ) from error


def worst_level(findings: tuple[Finding, ...]) -> Level | None:
    """The most severe level among the findings, or ``None`` if there are none."""
    return max((f.level for f in findings), key=LEVELS.index, default=None)
