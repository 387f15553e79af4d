"""Opening the project that a command is about."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kairos.app.place import find_root
from kairos.app.project import Project
from kairos.errors import KairosError, SettingsError, StoreError

if TYPE_CHECKING:
    from kairos.app.beside import Probe
    from kairos.app.recording import Record

__all__ = ["open_project", "recorded"]


_WRITES = frozenset(
    {
        "running:run",
        "tuning:tune",
        "importing:sacred",
        "rebuilding:rebuild",
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
    writes = writes or getattr(args, "fetch", False) or getattr(args, "rebuild", False)
    if writes and getattr(args, "home", None) is None and not _may_write(project):
        raise StoreError(
            "This command writes, and the project's folder may only be read by you; nothing was done.",
            given=str(project.root),
            accepted="a folder that you may write to; status, live, models, why, explain and ledger log read alone",
        )
    return project


def _may_write(project: Project) -> bool:
    """Whether facts can be added, and artifacts beside them."""
    from kairos.ledger.sqlite import may_write  # 10 ms, for who writes

    cache = project.dvc
    return may_write(project.home / "ledger.db") and may_write((cache if cache.exists() else project.root) / "any")


class _Recorded:
    """An experiment record that may not be needed."""

    def __init__(self, project: Project, *, waits: bool) -> None:
        self._project = project
        self.waits = waits
        self.is_needed = False
        self.record: Record | None = None
        self._is_tried = False

    def open(self) -> None:
        """Gets the record ready, once; that it cannot be had is told.

        Raises:
            SettingsError: its address cannot be used.
        """
        self.is_needed = True
        if self._is_tried or not self.waits:
            return
        self._is_tried = True
        from kairos.app.recording import Record

        try:
            self.record = Record(self._project)
        except SettingsError:
            raise
        except (KairosError, OSError) as error:
            _note(error)


@contextmanager
def recorded(project: Project, *, unless_reused: bool = False) -> Iterator[_Recorded]:
    """Brings the experiment record up to the ledger at the end; its failure is told, and undoes nothing.

    A process beside this one does it, for which nobody waits. With ``KAIROS_RECORD=wait`` this one does, for a machine
    that is gone after the command: the recorder gets ready meanwhile, which takes it seconds. With
    ``KAIROS_RECORD=later`` none does, for one command of many: as if the block raises, the next command tells the
    record.

    Args:
        project: Whose.
        unless_reused: Wait until the block opens the record. If it never does, as nothing new came of it, the next
            command that needs the record tells it; a run in which nothing changed so takes no seconds.

    Raises:
        SettingsError: the address of the record cannot be used; raised before the block.
    """
    way = os.environ.get("KAIROS_RECORD")
    recorded = _Recorded(project, waits=way == "wait")
    if way == "later":
        _check_address(project)
        yield recorded
        return
    if not recorded.waits:
        with _followed(project, recorded, unless_reused=unless_reused):
            yield recorded
        return
    if not unless_reused or project.settings.tracking is not None:
        recorded.open()
    try:
        yield recorded
    except BaseException:
        if recorded.record is not None:
            recorded.record.abandon()
        raise
    if recorded.record is not None:
        try:
            recorded.record.close()
        except (KairosError, OSError) as error:
            _note(error)
        _name_refused(project)


@contextmanager
def _followed(project: Project, recorded: _Recorded, *, unless_reused: bool) -> Iterator[None]:
    probe: Probe | None = None
    if project.settings.tracking is not None:
        from kairos.app.beside import Probe

        _check_address(project)
        probe = Probe(project.settings.tracking)
    yield
    if unless_reused and not recorded.is_needed:
        return
    from kairos.app.beside import lag, start

    trouble = (probe and probe.trouble) or lag(project)
    start(project)
    _name_refused(project)
    if trouble is not None:
        print(f"note: the experiment record lags behind the ledger, and is told later: {trouble}", file=sys.stderr)


def _check_address(project: Project) -> None:
    if project.settings.tracking is not None:
        from kairos.app.beside import check_address

        check_address(project)


def _name_refused(project: Project) -> None:
    from kairos.app.set_aside import notes_of_refused

    for note in notes_of_refused(project):
        print(f"note: {note}", file=sys.stderr)


def _note(error: Exception) -> None:
    print(f"note: the experiment record lags behind the ledger: {error}", file=sys.stderr)
