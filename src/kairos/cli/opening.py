"""Opening the project that a command is about."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from kairos.app.place import find_root
from kairos.app.project import Project
from kairos.errors import KairosError, SettingsError, StoreError
from kairos.ledger.sqlite import may_write

__all__ = ["open_project", "recorded"]


_WRITES = frozenset(
    {
        "running:run",
        "delivering:gate",
        "delivering:deploy",
        "delivering:rollback",
        "governing:approve",
        "governing:freeze",
        "governing:unfreeze",
        "serving:serve",
        "serving:up",
        "serving:watch",
        "comparing:compare",
        "tracking:add",
        "tracking:checkout",
        "remoting:pull",
        "remoting:add",
        "collecting:gc",
    }
)
"""Commands that write facts, predictions or artifacts; the others read."""


def open_project(args: Namespace) -> Project:
    """The project around the folder that the command names.

    Raises:
        StoreError: the command writes, and the folder may only be read; nothing was done.
    """
    project = Project(find_root(args.folder))
    writes = args.execute in _WRITES or getattr(args, "file", None) is not None  # labels from a file
    writes = writes or getattr(args, "fetch", False)
    if writes and getattr(args, "home", None) is None and not _may_write(project):
        raise StoreError(
            "This command writes, and the project's folder may only be read by you; nothing was done.",
            given=str(project.root),
            accepted="a folder that you may write to; status, live, models, why, explain and ledger log read alone",
        )
    return project


def _may_write(project: Project) -> bool:
    """Whether facts can be added, and artifacts beside them."""
    cache = project.root / ".dvc"
    return may_write(project.home / "ledger.db") and may_write((cache if cache.exists() else project.root) / "any")


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
