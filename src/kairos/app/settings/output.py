"""``[model.NAME.output]``."""

from __future__ import annotations

import math
from typing import cast

from kairos.app.toml import Reader
from kairos.errors import SettingsError, UsageError
from kairos.serving.guard import GuardAction, OutputGuard

__all__ = ["read_output"]


def read_output(reader: Reader) -> OutputGuard:
    """What may leave the server."""
    ends, own = reader.numbers("range"), reader.table("ranges")
    lower, upper = _range(reader.name("range"), ends)
    each = tuple((name, *_range(own.name(name), own.numbers(name))) for name in own.names())
    usual = "flag" if ends is None and not each else "clip"
    action = reader.choice("on_violation", ("clip", "flag", "fallback", "refuse"), usual)
    reader.done()
    try:
        return OutputGuard(lower=lower, upper=upper, on_violation=cast("GuardAction", action), each=each)
    except UsageError as error:
        raise SettingsError(f"{reader.name('range')}: {error.what}", given=error.given) from error


def _range(name: str, ends: tuple[float, ...] | None) -> tuple[float | None, float | None]:
    if ends is None:
        return None, None
    if len(ends) != 2:
        raise SettingsError(f"{name} needs two ends.", given=list(ends), accepted="[lowest, highest]")
    lower, upper = ends
    return None if math.isinf(lower) else lower, None if math.isinf(upper) else upper
