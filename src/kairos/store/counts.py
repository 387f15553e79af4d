"""What two versions did on live requests, as counts that add up: one small file for each process that serves.

A file holds the totals of its process since it started, and is replaced as a whole. So the sum over all files is the
same however many processes counted, in whatever order, and however often one looks; a process that is killed loses what
it counted since its last write.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from kairos.errors import StoreError
from kairos.store.files import make_folder
from kairos.store.locks import is_held
from kairos.values import Json, canonical_json, parse_moment, plain

__all__ = [
    "LOWEST",
    "PARTS",
    "Comparison",
    "CountLog",
    "CountWriter",
    "FailedLoad",
    "Process",
    "Sheet",
    "merged",
    "range_names",
]

_SUFFIX = ".json"
_FORMAT = 1
_KEPT = timedelta(days=90)
"""Files of processes that ended longer ago are removed; a trial and its bake are over by then."""

PARTS = 1_000_000
"""Into so many parts a unit is cut where amounts are added up: whole numbers have one sum, in whatever order."""

LOWEST = ".lowest"
"""How the name of a limit ends that nothing is below; what others limit is not above them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two versions of a model that meet the same requests."""

    model: str
    base: int
    """The version to be beaten: the champion, or in a bake the former champion."""
    test: int
    """The version on trial, or baking."""
    since: datetime
    """When live traffic first reached the test version in this attempt; aware."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What was counted of one comparison at one share."""

    comparison: Comparison
    share: float
    """The part of requests that the test version answers, in [0, 1]."""
    counts: Mapping[str, int]
    """Counters by name; what the names mean is up to whoever counts. Sums of amounts may be negative."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """What was compared with, by name; the same for all processes of a trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedLoad:
    """A version that a server could not load."""

    model: str
    version: int
    package: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One server process, as its file tells."""

    worker: str
    started_at: datetime
    written_at: datetime
    sheets: tuple[Sheet, ...] = ()
    failed_loads: tuple[FailedLoad, ...] = ()
    has_ended: bool = False
    """Whether it said goodbye."""
    is_gone: bool = False
    """Whether nothing holds its file any more; without a goodbye it was killed, or died."""


class CountWriter:
    """The one writer of a file; safe from several threads. Opened for the life of a process.

    Args:
        root: The folder of all files.
        worker: Name of the process.
        now: When it starts.

    Raises:
        StoreError: the folder cannot be written.
    """

    def __init__(self, root: Path, worker: str, *, now: datetime) -> None:
        self._lock = threading.Lock()  # protects the change of the file
        self._started_at = now
        self._is_closed = False
        try:
            make_folder(root)
            _remove_old(root, now)
            self._worker, self._handle = _claim(root, worker)
        except OSError as error:
            raise StoreError("The folder of counts cannot be written.", given=str(error)) from error
        self._path = root / f"{self._worker}{_SUFFIX}"

    def write(
        self,
        sheets: Sequence[Sheet],
        *,
        failed_loads: Sequence[FailedLoad] = (),
        now: datetime,
        has_ended: bool = False,
    ) -> None:
        """Replaces the file by these totals; a reader sees the old ones or the new ones, never a part.

        Raises:
            StoreError: it cannot be written; the old totals stay.
        """
        body = {
            "format": _FORMAT,
            "worker": self._worker,
            "started_at": self._started_at,
            "written_at": now,
            "sheets": [_sheet_plain(sheet) for sheet in sheets],
            "failed_loads": plain(list(failed_loads)),
            "has_ended": has_ended,
        }
        temporary = self._path.with_suffix(".tmp")
        with self._lock:
            if self._is_closed:
                return
            try:
                temporary.write_bytes(canonical_json(body))
                os.replace(temporary, self._path)  # not synced: what a power cut takes is counted as never seen
            except OSError as error:
                raise StoreError("Counts cannot be written.", given=f"{self._path.name}: {error}") from error

    def close(self) -> None:
        """Lets go of the file. What is written later is not taken."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self._handle)


class CountLog:
    """All files of one folder; safe from several threads and processes.

    Args:
        root: The folder, ``.kairos/counts`` in a project; made when something is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[str, tuple[tuple[int, int], Process]] = {}
        """What was read, and the file's time and number then: a file that is not replaced is not read again."""

    def writer(self, worker: str, *, now: datetime) -> CountWriter:
        """A writer with a file of its own; ``worker`` names the process."""
        return CountWriter(self.root, worker, now=now)

    def processes(self) -> tuple[Process, ...]:
        """Every process that has written, sorted by name; a file that cannot be read is left out."""
        return tuple(sorted(self._read(), key=lambda process: process.worker))

    def _read(self) -> Iterator[Process]:
        known, self._known = self._known, {}
        for path in self.root.glob(f"*{_SUFFIX}"):
            with suppress(OSError, ValueError, KeyError, TypeError):  # removed meanwhile, or cut by a lost disk
                # First: who was gone by then has written all that it ever will.
                is_gone = not is_held(path.with_suffix(".lock"))
                told = path.stat()
                face = (told.st_mtime_ns, told.st_ino)
                if path.name in known and known[path.name][0] == face:
                    process = replace(known[path.name][1], is_gone=is_gone)
                else:
                    process = _process(json.loads(path.read_bytes()), is_gone=is_gone)
                self._known[path.name] = (face, process)
                yield process


def range_names(kind: str) -> tuple[str, str]:
    """The names of the two limits that amounts of a kind are kept between, in parts."""
    return f"{kind}{LOWEST}", f"{kind}.highest"


def merged(processes: Sequence[Process], comparison: Comparison) -> dict[float, dict[str, int]]:
    """The sums over processes, by share; the order of the processes makes no difference.

    >>> merged([], Comparison(model="m", base=1, test=2, since=parse_moment("2012-01-01")))
    {}
    """
    total: dict[float, Counter[str]] = {}
    for process in processes:
        for sheet in process.sheets:
            if sheet.comparison == comparison:
                total.setdefault(sheet.share, Counter()).update(sheet.counts)
    return {share: dict(sorted(total[share].items())) for share in sorted(total)}


def _claim(root: Path, worker: str) -> tuple[str, int]:
    """A name that no process has had before, and the lock on it, which ends with the process."""
    for number in range(1, 1 << 30):
        name = f"{worker}-{number}"
        if (root / f"{name}{_SUFFIX}").exists():
            continue
        handle = os.open(root / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return name, handle
        except BlockingIOError:
            os.close(handle)
    raise StoreError("No name for a file of counts is free.", given=worker)


def _remove_old(root: Path, now: datetime) -> None:
    for path in root.glob(f"*{_SUFFIX}"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            written_at = parse_moment(json.loads(path.read_bytes())["written_at"])
            lock = path.with_suffix(".lock")
            if now - written_at > _KEPT and not is_held(lock):
                path.unlink()
                lock.unlink()


def _sheet_plain(sheet: Sheet) -> Json:
    return {**plain(sheet.comparison), "share": sheet.share, "counts": sheet.counts, "limits": sheet.limits}


def _process(body: Json, *, is_gone: bool) -> Process:
    if body["format"] != _FORMAT:
        raise ValueError("another format")
    return Process(
        worker=body["worker"],
        started_at=parse_moment(body["started_at"]),
        written_at=parse_moment(body["written_at"]),
        sheets=tuple(_sheet(each) for each in body["sheets"]),
        failed_loads=tuple(FailedLoad(**each) for each in body["failed_loads"]),
        has_ended=body["has_ended"],
        is_gone=is_gone,
    )


def _sheet(body: Json) -> Sheet:
    return Sheet(
        comparison=Comparison(
            model=body["model"], base=body["base"], test=body["test"], since=parse_moment(body["since"])
        ),
        share=float(body["share"]),
        counts=body["counts"],
        limits=body["limits"],
    )
