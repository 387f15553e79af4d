"""``[model.NAME.retrain]``."""

from __future__ import annotations

from kairos.app.toml import Reader
from kairos.delivery.retrain import RetrainPolicy
from kairos.errors import SettingsError

__all__ = ["read_retrain"]


def read_retrain(reader: Reader) -> RetrainPolicy:
    """When a new model is worth training."""
    default = RetrainPolicy()
    known = default.on | {"impossible_values", "input_drift", "prediction_drift"}
    on = frozenset(reader.texts("on", tuple(sorted(default.on))))
    if not on <= known:
        raise SettingsError(
            f"{reader.name('on')} names an unknown check.",
            given=", ".join(sorted(on - known)),
            accepted=", ".join(sorted(known)),
        )
    policy = RetrainPolicy(
        on=on,
        max_age=reader.length("max_age", default.max_age),
        cooldown=reader.length("cooldown", default.cooldown),
        max_cooldown=reader.length("max_cooldown", default.max_cooldown),
        retry=reader.length("retry", default.retry),
    )
    reader.done()
    return policy
