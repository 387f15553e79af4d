"""What a server has loaded stays: the garbage collector need not look through it again and again.

Looking through all objects of a server holds up every request for 50 to 100 ms, and writes to every page on which one
lies, so that workers no longer share what they have in common.
"""

from __future__ import annotations

import gc
import sys

__all__ = ["keep"]

_YOUNG = 20_000
"""New objects after which the collector looks among them; those of requests that wait are not worth looking at."""


_TURN_S = 0.001
"""How long a thread may hold the interpreter while another one waits for it: what is done after answers gives way."""


def keep() -> None:
    """Sets aside all objects that there are; those that come later are collected as ever.

    Threads that hold the interpreter give way sooner from now on.
    """
    sys.setswitchinterval(_TURN_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
