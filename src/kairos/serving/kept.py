"""What a server has loaded stays: the garbage collector need not look through it again and again.

Looking through all objects of a server holds up every request for 50 to 100 ms, and writes to every page on which one
lies, so that workers no longer share what they have in common.
"""

from __future__ import annotations

import gc

__all__ = ["keep"]

_YOUNG = 20_000
"""New objects after which the collector looks among them; those of requests that wait are not worth looking at."""


def keep() -> None:
    """Sets aside all objects that there are; those that come later are collected as ever."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
