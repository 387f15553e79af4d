"""Whether a run of another machine is alive, told without believing any machine's clock.

A run writes its file once a second. How old the file is, is asked of the file system that holds it, which stamps a file
written now alike; where it looks old, it is looked at once more after two beats, since that clock may have jumped, or
be that of either machine after all.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Literal

__all__ = ["BEAT_S", "LOOK_AGAIN_S", "life_of"]

BEAT_S = 1.0
"""How often a run writes its file."""
LOOK_AGAIN_S = 2.5 * BEAT_S
_DEAD_AFTER_S = 10.0
"""Without a beat."""
_LONG_DEAD_AFTER_S = 3600.0
"""No second look is worth its time any more."""
_seen: dict[Path, tuple[int, float]] = {}
"""When a file was written, by its file system, and when that was first seen here, by ``time.monotonic``."""


def life_of(file: Path) -> Literal["alive", "dead", "doubtful"]:
    """What can be told of the run that writes this file; ``doubtful`` is settled by a look after ``LOOK_AGAIN_S``.

    Raises:
        FileNotFoundError: it has ended.
    """
    written_ns = file.stat().st_mtime_ns
    now_s = time.monotonic()
    before = _seen.get(file)
    age_s = (_now_ns(file.parent) - written_ns) / 1e9
    if before is None or before[0] != written_ns:
        _seen[file] = written_ns, now_s
    if abs(age_s) < _DEAD_AFTER_S or (before is not None and before[0] != written_ns):
        return "alive"
    if age_s > _LONG_DEAD_AFTER_S or (before is not None and now_s - before[1] >= LOOK_AGAIN_S):
        return "dead"
    return "doubtful"


def _now_ns(folder: Path) -> int:
    """The time by the clock of a folder's file system; by this machine's where nothing may be written there."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b".")
            probe.flush()
            os.fsync(probe.fileno())
            return os.fstat(probe.fileno()).st_mtime_ns
    except OSError:
        return time.time_ns()
