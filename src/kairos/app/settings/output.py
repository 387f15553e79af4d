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
    ends = reader.numbers("range")
    if ends is not None and len(ends) != 2:
        raise SettingsError(f"{reader.name('range')} needs two ends.", given=list(ends), accepted="[lowest, highest]")
    action = reader.choice("on_violation", ("clip", "flag", "fallback", "refuse"), "flag" if ends is None else "clip")
    reader.done()
    lower, upper = ends if ends is not None else (-math.inf, math.inf)
    try:
        return OutputGuard(
            lower=None if math.isinf(lower) else lower,
            upper=None if math.isinf(upper) else upper,
            on_violation=cast("GuardAction", action),
        )
    except UsageError as error:
        raise SettingsError(f"{reader.name('range')}: {error.what}", given=list(ends or ())) from error
