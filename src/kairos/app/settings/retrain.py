"""``[model.NAME.retrain]``."""

from __future__ import annotations

from datetime import timedelta

from kairos.app.settings.margins import read_margin
from kairos.app.toml import Reader
from kairos.delivery.retrain.policy import RetrainPolicy
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
        cost=read_margin(reader, "cost", default.cost),
        confidence=reader.number("confidence", default.confidence),
        block=reader.length("block", default.block),
        min_block_rows=reader.whole("min_block_rows", default.min_block_rows),
        max_age=reader.length("max_age", timedelta(0)) if reader.has("max_age") else None,
        first_age=reader.length("first_age", default.first_age),
        max_period=reader.length("max_period", default.max_period),
        growth=reader.number("growth", default.growth),
        min_new_rows=reader.whole("min_new_rows", default.min_new_rows),
        min_new_share=reader.number("min_new_share", default.min_new_share),
        budget=reader.whole("budget", default.budget),
        budget_days=reader.whole("budget_days", default.budget_days),
        hysteresis=reader.number("hysteresis", default.hysteresis),
        cooldown=reader.length("cooldown", default.cooldown),
        max_cooldown=reader.length("max_cooldown", default.max_cooldown),
        retry=reader.length("retry", default.retry),
        refit=reader.flag("refit", default=default.refit),
    )
    reader.done()
    return policy
