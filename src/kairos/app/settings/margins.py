"""Shares and margins, read alike wherever they stand."""

from __future__ import annotations

from kairos.app.toml import Reader
from kairos.errors import SettingsError
from kairos.gates.policy import Margin

__all__ = ["read_margin", "read_share"]


def read_margin(reader: Reader, key: str, default: Margin) -> Margin:
    """A share such as ``1%`` or an amount."""
    value = reader.raw(key, None)
    return default if value is None else reader.parsed(key, Margin.parse, value)


def read_share(reader: Reader, key: str, default: float) -> float:
    """A number above 0 and below 1."""
    value = reader.number(key, default)
    if not 0 < value < 1:
        raise SettingsError(f"{reader.name(key)} is no share.", given=value, accepted="above 0 and below 1")
    return value
