"""``[model.NAME.delivery]``."""

from __future__ import annotations

from kairos.app.settings.margins import read_margin, read_share
from kairos.app.toml import Reader
from kairos.delivery.rollout import RolloutPolicy, StageStep
from kairos.errors import SettingsError
from kairos.gates.policy import Margin

__all__ = ["read_delivery"]


def read_delivery(reader: Reader) -> RolloutPolicy:
    """How much proof a challenger owes in production."""
    default = RolloutPolicy()
    stages = reader.texts("stages")
    margin = read_margin(reader, "harm_margin", Margin(kind="relative", value=default.harm_margin))
    if margin.kind != "relative":
        raise SettingsError(f"{reader.name('harm_margin')} is a share of the champion's loss.", accepted="such as '1%'")
    policy = RolloutPolicy(
        stages=tuple(reader.parsed("stages", StageStep.parse, s) for s in stages) or default.stages,
        alpha=read_share(reader, "alpha", default.alpha),
        harm_margin=margin.value,
        min_pairs=reader.whole("min_pairs", default.min_pairs),
        min_canary_requests=reader.whole("min_canary_requests", default.min_canary_requests),
        min_dwell=reader.length("min_dwell", default.min_dwell),
        max_wait=reader.length("max_wait", default.max_wait),
        bake=reader.length("bake", default.bake),
    )
    reader.done()
    return policy
