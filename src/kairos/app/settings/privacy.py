"""``[model.NAME.privacy]``."""

from __future__ import annotations

from typing import Literal, cast

from kairos.app.settings.values import PrivacySettings
from kairos.app.toml import Reader
from kairos.errors import SettingsError

__all__ = ["read_privacy"]


def read_privacy(reader: Reader) -> PrivacySettings:
    """What may be kept of a request."""
    keep = reader.texts("keep", ()) if reader.has("keep") else None
    privacy = PrivacySettings(
        keep=keep,
        pseudonymise=reader.texts("pseudonymise"),
        entity=cast(
            "Literal['pseudonym', 'drop', 'raw']",
            reader.choice("entity", ("pseudonym", "drop", "raw"), "pseudonym"),
        ),
    )
    both = sorted(set(privacy.pseudonymise) & set(keep or ()))
    if both:
        raise SettingsError(f"{reader.path} names {both[0]!r} in keep and in pseudonymise.", accepted="one of the two")
    reader.done()
    return privacy
