"""The names of losses, for whoever reads settings: computing a loss needs numpy, naming one does not."""

from __future__ import annotations

import math

from kairos.errors import SettingsError, did_you_mean

__all__ = [
    "CHANCE_LOSSES",
    "LOSS_NAMES",
    "check_loss_name",
    "is_of_order",
    "ndcg_places",
    "pinball_quantile",
    "pinball_quantiles",
]

LOSS_NAMES = ("absolute_error", "squared_error", "log_loss", "zero_one", "brier")
"""Beside ``pinball:QUANTILE``, and those of an order."""

CHANCE_LOSSES = frozenset({"log_loss", "brier"})
"""Those that judge chances."""

_PINBALL = "pinball:"
_NDCG, _PAIRWISE = "ndcg:", "pairwise_error"


def is_of_order(name: str) -> bool:
    """Whether a loss judges the order of lists, and not single rows."""
    return name == _PAIRWISE or name.startswith(_NDCG)


def ndcg_places(name: str) -> int | None:
    """How many places count, of a loss such as ``ndcg:10``; ``None`` for another loss.

    Raises:
        SettingsError: what follows the colon is no number of places.
    """
    if not name.startswith(_NDCG):
        return None
    text = name.removeprefix(_NDCG)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1000):
        raise SettingsError("An NDCG needs a number of places.", given=name, accepted="such as ndcg:10, up to 1000")
    return int(text)


def pinball_quantile(name: str) -> float | None:
    """The only quantile that a pinball loss is named after, such as ``pinball:0.9``; ``None`` for another loss.

    Raises:
        SettingsError: what follows the colon is no share.
    """
    found = pinball_quantiles(name)
    return found[0] if len(found) == 1 else None


def pinball_quantiles(name: str) -> tuple[float, ...]:
    """The quantiles that a pinball loss is named after, one or several, ascending; none of another loss.

    >>> pinball_quantiles("pinball:0.1,0.5,0.9"), pinball_quantiles("zero_one")
    ((0.1, 0.5, 0.9), ())

    Raises:
        SettingsError: what follows the colon is no share, or shares do not ascend.
    """
    if not name.startswith(_PINBALL):
        return ()
    try:
        found = tuple(float(text) for text in name.removeprefix(_PINBALL).split(","))
    except ValueError:
        found = (math.nan,)
    if not all(0.0 < each < 1.0 for each in found) or list(found) != sorted(set(found)):
        accepted = "such as pinball:0.9, or ascending ones such as pinball:0.1,0.5,0.9"
        raise SettingsError("A pinball loss needs a quantile.", given=name, accepted=accepted)
    return found


def check_loss_name(name: str) -> str:
    """The name, if there is such a loss; an unknown one is an error that names the nearest.

    Raises:
        SettingsError: there is none.
    """
    if not pinball_quantiles(name) and ndcg_places(name) is None and name not in (*LOSS_NAMES, _PAIRWISE):
        accepted = ", ".join([*LOSS_NAMES, "pinball:QUANTILE", "ndcg:PLACES", _PAIRWISE])
        hint = did_you_mean(name, [*LOSS_NAMES, _PAIRWISE])
        raise SettingsError("There is no loss of that name.", given=name, accepted=accepted, hint=hint)
    return name
