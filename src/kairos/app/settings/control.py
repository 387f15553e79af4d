"""``[control]`` for all models, and ``[model.NAME.control]`` for one."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from kairos.app.toml import Reader
from kairos.delivery.control import ControlPolicy
from kairos.delivery.freezes import FreezeWindow
from kairos.delivery.stages import Stage
from kairos.errors import SettingsError, UsageError

__all__ = ["read_control"]


def read_control(reader: Reader, default: ControlPolicy) -> ControlPolicy:
    """Who may change what is live, and when; a key that is left out is as in ``default``."""
    freeze = default.freeze
    if reader.has("freeze"):
        freeze = tuple(reader.parsed("freeze", _window, text) for text in reader.texts("freeze"))
    stage = reader.choice("approve_before", ("shadow", "canary", "live"), default.approve_before)
    within = reader.optional_length("rehearsed_within")
    try:
        policy = replace(
            default,
            approvals=reader.whole("approvals", default.approvals),
            approve_before=cast("Stage", stage),
            override_approvals=reader.flag("override_approvals", default=default.override_approvals),
            freeze=freeze,
            rehearsed_within=default.rehearsed_within if within is None else within,
            way_back=reader.length("way_back", default.way_back),
        )
    except UsageError as error:
        raise SettingsError(f"{reader.path}: {error.what}", given=error.given, accepted=error.accepted) from error
    reader.done()
    return policy


def _window(text: str) -> FreezeWindow:
    return FreezeWindow(text=text)
