"""Settings of this room's tests."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("disk", deadline=None)  # a sync to a busy disk may take its time
settings.load_profile("disk")
