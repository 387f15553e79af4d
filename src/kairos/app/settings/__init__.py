"""``kairos.toml``, read once into values that never change; everything wrong in it is named."""

from __future__ import annotations

from kairos.app.settings.read import load_settings, read_settings
from kairos.app.settings.values import ModelSettings, PrivacySettings, Settings

__all__ = ["ModelSettings", "PrivacySettings", "Settings", "load_settings", "read_settings"]
