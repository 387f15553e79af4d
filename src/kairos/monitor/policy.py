"""What the owner of a model tolerates, and how often she accepts to be woken for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from kairos.errors import SettingsError
from kairos.values import duration_text

__all__ = ["MonitorPolicy", "Unlabelled"]

Unlabelled = Literal["exclude", "negative", "missing"]
"""``exclude``: as if it were not there, and the share is told; ``negative``: its label is 0, as where only conversions
are reported; ``missing``: its label may be anything, so nothing is proven that the worst of them could undo."""

_NOW = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorPolicy:
    """Thresholds and error rates of all checks of one model."""

    alpha: float = 0.05
    """Chance of a false finding: ever (impossible values, bias) or per look (drift), in (0, 1)."""
    violation_cap: float = 0.001
    """Tolerated share of answers outside the output's range."""
    missing_tolerance: float = 0.02
    """Tolerated rise of the share of rows that lack an input, over that of training."""
    drift_info: float = 0.10
    """Population stability index that is worth a line."""
    drift_warn: float = 0.25
    """Population stability index that is worth a look."""
    drift_window: timedelta = timedelta(days=7)
    """The most recent stretch compared with the training data."""
    drift_window_max: timedelta = timedelta(days=28)
    """How far the stretch may grow back, in steps of ``drift_window``, when it holds too few rows."""
    bias_tolerance: float = 0.05
    """Tolerated prediction bias, as a share of the mean label."""
    quality_tolerance: float = 0.10
    """Tolerated rise of the mean loss over its reference, as a share."""
    false_alarm_days: float = 180.0
    """Quality: on average at least this many days with labels pass before a false alarm."""
    matures_after: timedelta | None = timedelta(days=1)
    """A day counts once this long has passed since its end; ``None``: learnt from how labels arrive."""
    matures_fallback: timedelta = timedelta(days=1)
    """The same while it is to be learnt and too little is known."""
    early_after: timedelta = timedelta(days=2)
    """Quality is estimated before the labels where these take at least this long."""
    early_rows: int = 200
    """Fewer predictions that wait for labels are not worth an estimate."""
    unlabelled: Unlabelled = "exclude"
    """What a row counts as that is mature and has no label."""
    label_tolerance: timedelta = timedelta(0)
    """How far the time of a label by entity may be from that of the prediction it is about."""
    min_day_rows: int = 5
    """A day with fewer labelled rows waits and joins the next."""

    def __post_init__(self) -> None:
        shares = {
            "alpha": self.alpha,
            "violation_cap": self.violation_cap,
            "missing_tolerance": self.missing_tolerance,
        }
        for name, share in shares.items():
            if not 0 < share < 1:
                raise SettingsError(f"The monitor's {name} is no share.", given=share, accepted="above 0 and below 1")
        positive = {
            "drift_info": self.drift_info,
            "bias_tolerance": self.bias_tolerance,
        }
        for name, size in positive.items():
            if not size > 0:
                raise SettingsError(f"The monitor's {name} is too small.", given=size, accepted="above 0")
        if not self.drift_info <= self.drift_warn:
            raise SettingsError(
                "The monitor's drift thresholds are out of order.",
                given=f"drift_info {self.drift_info}, drift_warn {self.drift_warn}",
                accepted="drift_info <= drift_warn",
            )
        if not timedelta(days=1) <= self.drift_window <= self.drift_window_max:
            raise SettingsError(
                "The monitor's drift_window is shorter than a day, or longer than its drift_window_max.",
                given=f"drift_window {duration_text(self.drift_window)}, "
                f"drift_window_max {duration_text(self.drift_window_max)}",
            )
        if not self.quality_tolerance >= 0 or min(self.matures_after or _NOW, self.matures_fallback) < _NOW:
            raise SettingsError("The monitor's quality_tolerance or matures_after is negative.", accepted="0 or more")
        if min(self.label_tolerance, self.early_after) < _NOW:
            raise SettingsError("The monitor's label_tolerance or early_after is negative.", accepted="0 or more")
        if not self.false_alarm_days > 1 or min(self.min_day_rows, self.early_rows) < 1:
            raise SettingsError(
                "The monitor needs false_alarm_days above 1, and min_day_rows and early_rows of at least 1."
            )
