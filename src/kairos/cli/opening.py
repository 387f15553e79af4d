"""Opening the project that a command is about."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from kairos.app.place import find_root
from kairos.app.project import Project
from kairos.errors import KairosError, SettingsError

__all__ = ["open_project", "recorded"]


def open_project(args: Namespace) -> Project:
    """The project around the folder that the command names."""
    return Project(find_root(args.folder))


@contextmanager
def recorded(project: Project) -> Iterator[None]:
    """Brings the experiment record up to the ledger at the end; its failure is told, and undoes nothing.

    The recorder gets ready meanwhile, which takes it seconds. If the block raises, the next command tells the record.

    Raises:
        SettingsError: the address of the record cannot be used; raised before the block.
    """
    from kairos.app.recording import Record

    record: Record | None = None
    try:
        record = Record(project)
    except SettingsError:
        raise
    except (KairosError, OSError) as error:
        _note(error)
    try:
        yield
    except BaseException:
        if record is not None:
            record.abandon()
        raise
    if record is not None:
        try:
            record.close()
        except (KairosError, OSError) as error:
            _note(error)


def _note(error: Exception) -> None:
    print(f"note: the experiment record lags behind the ledger: {error}", file=sys.stderr)
