"""``[model.NAME.monitor]``."""

from __future__ import annotations

from datetime import timedelta

from kairos.app.toml import Reader
from kairos.monitor.policy import MonitorPolicy

__all__ = ["read_monitor"]


def read_monitor(reader: Reader, label_delay: timedelta) -> MonitorPolicy:
    """What the owner of a model tolerates."""
    default = MonitorPolicy()
    policy = MonitorPolicy(
        alpha=reader.number("alpha", default.alpha),
        violation_cap=reader.number("violation_cap", default.violation_cap),
        drift_info=reader.number("drift_info", default.drift_info),
        drift_warn=reader.number("drift_warn", default.drift_warn),
        drift_window=reader.length("drift_window", default.drift_window),
        drift_window_max=reader.length("drift_window_max", default.drift_window_max),
        bias_tolerance=reader.number("bias_tolerance", default.bias_tolerance),
        quality_tolerance=reader.number("quality_tolerance", default.quality_tolerance),
        false_alarm_days=reader.number("false_alarm_days", default.false_alarm_days),
        matures_after=reader.length("matures_after", label_delay),
        min_day_rows=reader.whole("min_day_rows", default.min_day_rows),
    )
    reader.done()
    return policy
