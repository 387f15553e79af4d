"""``[model.NAME.card]``: what people say of a model that no run can know."""

from __future__ import annotations

from dataclasses import dataclass

from kairos.app.toml import Reader

__all__ = ["CardSettings", "read_card"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSettings:
    """Texts for a model's card."""

    use: str | None = None
    """What it is meant for."""
    not_for: str | None = None
    """What it is not meant for."""
    limits: tuple[str, ...] = ()
    """What people know that it does badly."""
    data: str | None = None
    """Where the data come from."""
    licence: str | None = None
    """Of the data."""
    contact: str | None = None
    """Who answers questions."""


def read_card(reader: Reader) -> CardSettings:
    """Reads ``[model.NAME.card]``."""
    found = CardSettings(
        use=reader.optional_text("use"),
        not_for=reader.optional_text("not_for"),
        limits=reader.texts("limits"),
        data=reader.optional_text("data"),
        licence=reader.optional_text("licence"),
        contact=reader.optional_text("contact"),
    )
    reader.done()
    return found
