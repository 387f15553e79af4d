"""``[model.NAME.monitor]``."""

from __future__ import annotations

from datetime import timedelta
from typing import cast, get_args

from kairos.app.toml import Reader
from kairos.monitor.policy import MonitorPolicy, Unlabelled
from kairos.values import parse_duration

__all__ = ["read_monitor"]


def read_monitor(reader: Reader, label_delay: timedelta | None) -> MonitorPolicy:
    """What the owner of a model tolerates.

    Args:
        reader: Of the table.
        label_delay: How late the truth is, as the project says; ``None``: it does not say.
    """
    default = MonitorPolicy()
    fallback = default.matures_fallback if label_delay is None else label_delay
    matures_after = _matures_after(reader, label_delay)
    policy = MonitorPolicy(
        alpha=reader.number("alpha", default.alpha),
        violation_cap=reader.number("violation_cap", default.violation_cap),
        missing_tolerance=reader.number("missing_tolerance", default.missing_tolerance),
        drift_info=reader.number("drift_info", default.drift_info),
        drift_warn=reader.number("drift_warn", default.drift_warn),
        drift_window=reader.length("drift_window", default.drift_window),
        drift_window_max=reader.length("drift_window_max", default.drift_window_max),
        bias_tolerance=reader.number("bias_tolerance", default.bias_tolerance),
        quality_tolerance=reader.number("quality_tolerance", default.quality_tolerance),
        false_alarm_days=reader.number("false_alarm_days", default.false_alarm_days),
        matures_after=matures_after,
        matures_fallback=fallback,
        early_after=reader.length("early_after", default.early_after),
        early_rows=reader.whole("early_rows", default.early_rows),
        unlabelled=cast("Unlabelled", reader.choice("unlabelled", get_args(Unlabelled), default.unlabelled)),
        label_tolerance=reader.length("label_tolerance", default.label_tolerance),
        min_day_rows=reader.whole("min_day_rows", default.min_day_rows),
    )
    reader.done()
    return policy


def _matures_after(reader: Reader, label_delay: timedelta | None) -> timedelta | None:
    """``None`` is to learn it: where ``"auto"`` is written, and where nobody says anything."""
    text = reader.optional_text("matures_after")
    if text is None:
        return label_delay
    return None if text == "auto" else reader.parsed("matures_after", parse_duration, text)
