"""Opening the project that a command is about."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from kairos.app.place import find_root
from kairos.app.project import Project
from kairos.errors import AdapterError

__all__ = ["open_project", "recorded"]


def open_project(args: Namespace) -> Project:
    """The project around the folder that the command names."""
    return Project(find_root(args.folder))


@contextmanager
def recorded(project: Project) -> Iterator[None]:
    """Brings the experiment record up to the ledger at the end; its failure is told, and undoes nothing."""
    from kairos.app.recording import Record

    yield
    if not Record.is_behind(project):
        return
    try:
        with Record(project) as record:
            record.follow()
    except AdapterError as error:
        print(f"note: the experiment record lags behind the ledger: {error}", file=sys.stderr)
