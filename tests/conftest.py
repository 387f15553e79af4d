"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# How long one example takes says how busy the machine is; a test that hangs is stopped by its timeout.
settings.register_profile("kairos", deadline=None)
settings.load_profile("kairos")
