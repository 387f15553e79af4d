"""When a run began, as the times of files tell it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from kairos.store.blobs import SYNCED_S

__all__ = ["Began"]

_JUMP_S = 1.0
"""What the two clocks may differ by: more than anybody sets a clock right by little by little."""


@dataclass(frozen=True, slots=True)
class Began:
    """A moment by the machine's clock, and by the one that never jumps."""

    at_s: float = field(default_factory=time.time)
    ticks_s: float = field(default_factory=time.monotonic)

    def since_s(self) -> float:
        """Since when files may have got names that no power cut has to survive yet, in seconds since 1970.

        If the machine's clock jumped meanwhile, their times tell nothing: then it is the beginning of time.
        """
        jumped_s = (time.time() - self.at_s) - (time.monotonic() - self.ticks_s)
        return self.at_s - SYNCED_S if abs(jumped_s) < _JUMP_S else 0.0
