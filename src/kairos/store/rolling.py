"""Rolls the prediction log beside a server, in processes of their own: who serves loads no table engine.

``python -m kairos.store.rolling FOLDER`` rolls once.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kairos.errors import KairosError, StoreError
from kairos.store.spool import SpoolState, spools

__all__ = ["rolling", "waiting_bytes"]

_log = logging.getLogger("kairos.store")

_NICE = 10
"""A roll leaves the processor to those who serve."""


@contextmanager
def rolling(root: Path, *, every_s: float = 3600.0, most_bytes: int = 4 << 20, look_s: float = 10.0) -> Iterator[None]:
    """Rolls the log of that folder until the block ends; a roll that has begun is waited for.

    A roll that fails is logged, once for each reason, and tried again at the next look.

    Args:
        root: Folder of the log.
        every_s: The longest time between two rolls.
        most_bytes: A roll begins when this much waits in the spools; 4 MiB are about twenty thousand rows.
        look_s: Time between two looks at how much waits.
    """
    stop = threading.Event()

    def run() -> None:
        waited_s, told = 0.0, ""
        while not stop.wait(look_s):
            waited_s += look_s
            try:
                if waited_s >= every_s or waiting_bytes(root) >= most_bytes:
                    _roll(root)
                    waited_s, told = 0.0, ""
            except (StoreError, OSError) as error:
                if str(error) != told:
                    _log.error("The prediction log cannot be rolled: %s", error)
                told = str(error)

    thread = threading.Thread(target=run, name="kairos-roll", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def waiting_bytes(root: Path) -> int:
    """How much waits in the spools of a log.

    Raises:
        StoreError: its state cannot be read.
    """
    offsets = SpoolState.read(root).offsets
    total = 0
    for path in spools(root):
        with suppress(FileNotFoundError):  # removed by a roll in another process
            total += path.stat().st_size - offsets.get(path.name, 0)
    return total


def _roll(root: Path) -> None:
    """Rolls in another process, out of reach of a Ctrl-C that is meant for this one."""
    words = [sys.executable, "-P", "-m", __name__, str(root)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise StoreError(lines[-1] if lines else "The roll ended without a word.", given=f"code {done.returncode}")


def _main() -> int:
    from kairos.store.spooled import SpooledLog  # it loads Polars

    os.nice(_NICE)
    try:
        SpooledLog(Path(sys.argv[1])).roll()
    except (KairosError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
