"""What a step logged is kept in the store: by its own worker at its end, or, if that was killed, by another process.

What was logged is in files at once, so a process that is killed by the system, by a limit, or together with its run
takes nothing of it along. The library that wrote them reads them; it takes seconds to load, so a process apart does.
"""

from __future__ import annotations

import importlib
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from kairos.pipeline.listening import hearing
from kairos.pipeline.logged import Listener
from kairos.pipeline.ports import Task
from kairos.pipeline.reporting import Reports
from kairos.store import Store
from kairos.values import Digest

__all__ = ["hear_out", "keep", "logged_in", "main"]

_LIBRARYS = "library"
"""The part of a task's log that a library writes."""


def logged_in(task: Task) -> Path | None:
    """The folder that a library logs into while a task runs; ``None``: any."""
    return None if task.log is None else task.log / _LIBRARYS


def keep(
    listener: Listener, reports: Reports, folder: Path, store: Store, *, was_killed: bool = False
) -> tuple[Digest, ...]:
    """Keeps what a step reported, and what it logged into a folder, which may not be there."""
    reported = reports.keep(store)
    if not folder.exists():
        return reported
    module, _, function = listener.partition(":")
    hear = getattr(importlib.import_module(module), function)
    heard: tuple[Digest, ...] = hear(folder, store, was_killed=was_killed)
    return (*reported, *heard)


def hear_out(
    logs: Mapping[str, str], listener: Listener, store: Path, *, patience_s: float
) -> dict[str, tuple[Digest, ...]]:
    """Keeps what steps have logged that will not do so themselves; their logs are removed.

    Args:
        logs: Folders of tasks whose processes were killed, or are about to be, to their steps; some may not be there.
        listener: Keeps it.
        store: Root of the store that it is kept in.
        patience_s: How long that may take; what is not kept by then is lost, which is logged.

    Returns:
        By log, what :func:`keep` gives; without those of steps that logged nothing.
    """
    there = [log for log in logs if Path(log).exists()]
    try:
        heard = {log: Reports.written_down(Path(log)).keep(Store(store)) for log in there}
        with_library = {log: logs[log] for log in there if Path(log, _LIBRARYS).exists()}
        return heard | (_by_another(with_library, listener, store, patience_s) if with_library else {})
    finally:
        for log in there:
            shutil.rmtree(log, ignore_errors=True)


def _by_another(
    logs: Mapping[str, str], listener: Listener, store: Path, patience_s: float
) -> dict[str, tuple[Digest, ...]]:
    words = [sys.executable, "-P", "-W", "ignore", "-m", "kairos.pipeline.hearing_out"]
    try:
        done = subprocess.run(
            [*words, listener, str(store), *logs],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=patience_s,
            start_new_session=True,  # Ctrl-C is for the caller
            check=True,
        )
        told = json.loads(done.stdout.splitlines()[-1])
        return {log: tuple(Digest(digest) for digest in digests) for log, digests in told.items()}
    except (subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1:]
        steps = ", ".join(map(repr, logs.values()))
        logging.getLogger("kairos.pipeline").warning("What step %s logged could not be kept: %s", steps, *said)
        return {}


def main(listener: str, store: str, *logs: str) -> None:
    """Keeps what is in the logs of tasks, and prints the digests as JSON, by log."""
    told = {}
    for log in logs:
        with hearing(Path(log, _LIBRARYS)) as folder:
            reports = Reports.written_down(Path(log))
            told[log] = keep(listener, reports, folder, Store(Path(store)), was_killed=True)
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
