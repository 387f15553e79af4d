"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import signal

from hypothesis import settings

# How long one example takes says how busy the machine is; a test that hangs is stopped by its timeout.
settings.register_profile("kairos", deadline=None)
settings.load_profile("kairos")

# Commands that tests type leave the experiment record to later ones: telling it takes MLflow seconds, and nothing may
# go on when their folders are removed. Tests of the record say "wait".
os.environ.setdefault("KAIROS_RECORD", "later")

# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start and stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Lets the collector look at what tests make, and seldom: what was imported stays, and is a million objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
