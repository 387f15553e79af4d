"""Brings the experiment record up to the ledger beside the commands, so that none of them waits for it.

The ledger is the queue: a fact is on the disk before anybody learns of it, and what the record lacks is told from
there, in order, once. A command that wrote facts starts a process that tells them and ends; where one is at it
already, that one tells the new ones, too. What cannot be told, because a server is down, is told after the next
command.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kairos.app.beside import LOCK, TROUBLE
from kairos.app.project import Project
from kairos.app.recording import Record
from kairos.errors import KairosError
from kairos.store.files import write_atomically

__all__ = ["follow", "main"]

_TRIES = 5
"""A look at whether the lock is held is in its way for a moment."""


def follow(project: Project) -> None:
    """Tells the record what it lacks; returns when it is there, or when another process is at it.

    Raises:
        KairosError: some of it could not be told; it is told the next time.
    """
    while Record.is_behind(project):
        with _alone(project.home) as is_alone:
            if not is_alone:
                return
            try:
                with Record(project):
                    pass
            except (KairosError, OSError) as error:
                if isinstance(error, KairosError) and error.facts.get("another"):
                    continue  # with the first fact
                write_atomically(project.home / TROUBLE, json.dumps({"trouble": str(error)}).encode())
                raise
            (project.home / TROUBLE).unlink(missing_ok=True)


def main(root: str, home: str) -> int:
    """Tells the record of a project; 1 if some of it could not be told."""
    with Project(Path(root), home=Path(home), may_make_ledger=False) as project:
        try:
            follow(project)
        except (KairosError, OSError):
            return 1
    return 0


@contextmanager
def _alone(home: Path) -> Iterator[bool]:
    """Whether this process is the only one that tells; it is as long as the block lasts."""
    lock = os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _is_taken(lock)
    finally:
        os.close(lock)


def _is_taken(lock: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
