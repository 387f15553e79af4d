"""The names of losses, for whoever reads settings: computing a loss needs numpy, naming one does not."""

from __future__ import annotations

import math

from kairos.errors import SettingsError, did_you_mean

__all__ = ["LOSS_NAMES", "check_loss_name", "pinball_quantile"]

LOSS_NAMES = ("absolute_error", "squared_error", "log_loss", "zero_one")
"""Beside ``pinball:QUANTILE``."""
_PINBALL = "pinball:"


def pinball_quantile(name: str) -> float | None:
    """The quantile that a pinball loss is named after, such as ``pinball:0.9``; ``None`` for another loss.

    Raises:
        SettingsError: what follows the colon is no share.
    """
    if not name.startswith(_PINBALL):
        return None
    text = name.removeprefix(_PINBALL)
    try:
        quantile = float(text)
    except ValueError:
        quantile = math.nan
    if not 0.0 < quantile < 1.0:
        raise SettingsError("A pinball loss needs a quantile.", given=name, accepted="such as pinball:0.9")
    return quantile


def check_loss_name(name: str) -> str:
    """The name, if there is such a loss; an unknown one is an error that names the nearest.

    Raises:
        SettingsError: there is none.
    """
    if pinball_quantile(name) is None and name not in LOSS_NAMES:
        accepted = ", ".join([*LOSS_NAMES, "pinball:QUANTILE"])
        raise SettingsError(
            "There is no loss of that name.", given=name, accepted=accepted, hint=did_you_mean(name, LOSS_NAMES)
        )
    return name
