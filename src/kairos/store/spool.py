"""Where predictions and labels land first: one journal for each worker, ``spool/<worker>-<number>.journal``.

``state.json`` says how much of each journal has been rolled into partitions. It is the one place where a roll becomes
true: partitions of a roll that it does not name are ignored, and written again by the next one.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from kairos.errors import StoreError, UsageError
from kairos.store.batch import Predictions
from kairos.store.files import write_atomically
from kairos.store.journal import JournalWriter, read_journal
from kairos.store.payloads import encode
from kairos.store.records import EntityLabel, Label, Prediction, Record
from kairos.values import canonical_json

__all__ = [
    "LARGEST_SPOOL_BYTES",
    "RETRY_BYTES",
    "RETRY_S",
    "Commit",
    "PredictionWriter",
    "SpoolDamage",
    "SpoolState",
    "remove_if_finished",
    "split_name",
    "spools",
]

_log = logging.getLogger("kairos.store")

LARGEST_SPOOL_BYTES = 32 << 20
RETRY_BYTES = 1 << 20
"""How much more goes into a spool that is full before its follower is tried again."""
RETRY_S = 1.0
"""How often a log that cannot be written at all is tried again."""

_WORKER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")
_SUFFIX = ".journal"

Commit = Future[None]
"""Ends once what was appended survives a power cut, or with the ``StoreError`` that says why it may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolDamage:
    """Bytes of a spool that could not be read, or hold no records; the file is kept."""

    spool: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolState:
    """How far the spools have been rolled."""

    roll: int = 0
    """Number of the last finished roll."""
    prune: int = 0
    """Number of times old partitions were removed."""
    offsets: dict[str, int] = field(default_factory=dict)
    """Bytes rolled, by spool."""
    used: dict[str, int] = field(default_factory=dict)
    """Highest number whose spool has been removed, by worker; numbers are never used again."""
    damages: tuple[SpoolDamage, ...] = ()

    @classmethod
    def read(cls, root: Path) -> SpoolState:
        """Reads the state; a log that was never rolled has the first state."""
        try:
            data = (root / "state.json").read_bytes()
        except FileNotFoundError:
            return cls()
        try:
            plain = json.loads(data)
            if plain.pop("format") != 1:
                raise StoreError("The prediction log was written by a newer release.", accepted="format 1")
            damages = tuple(SpoolDamage(**damage) for damage in plain.pop("damages"))
            return cls(**plain, damages=damages)
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError("The prediction log's state.json cannot be read.", given=str(error)) from error

    def write(self, root: Path) -> None:
        """Makes this the state, at once and for good."""
        fields = {"roll": self.roll, "prune": self.prune, "offsets": self.offsets, "used": self.used}
        write_atomically(root / "state.json", canonical_json({"format": 1, **fields, "damages": self.damages}))


class PredictionWriter:
    """Appends to a spool of its own; safe from several threads. What ``append`` returned from survives ``kill -9``.

    Args:
        root: Folder of the log.
        worker: Names the process.
        is_patient: Whether to begin where no spool can be opened; appends then raise ``StoreError`` until one can.

    Raises:
        StoreError: no spool can be opened.
    """

    is_durable = False
    """Whether ``append`` gives a commit to wait for."""

    def __init__(self, root: Path, worker: str, *, is_patient: bool = False) -> None:
        if _WORKER.fullmatch(worker) is None:
            raise UsageError(
                "A worker's name cannot be the name of a file.", given=worker, accepted="A-Z a-z 0-9 _ . -"
            )
        self._root = root
        self._worker = worker
        self._lock = threading.Lock()  # protects the change to the next journal
        self._size_bytes = 0
        self._retry_bytes = 0  # below this size the change is not tried again
        self.trouble: str | None = None
        """Why the last append kept nothing; ``None``: it went well."""
        self._retry_s = 0.0  # before this moment no first spool is tried again
        self._changing: threading.Thread | None = None
        self._journal: JournalWriter | None = None
        try:
            self._journal = self._next_journal()
        except StoreError as error:
            if not is_patient:
                raise
            self.trouble = str(error)

    def append(self, predictions: Sequence[Prediction] | Predictions) -> Commit | None:
        """Appends predictions: all or, after an error or a crash, none.

        Returns:
            Of a durable writer, the commit that says when they survive a power cut.

        Raises:
            StoreError: the disk is full, or the writer is closed.
        """
        return self._append(predictions)

    def append_labels(self, labels: Sequence[Label]) -> None:
        """Appends labels: all or, after an error or a crash, none.

        Raises:
            StoreError: the disk is full, or the writer is closed.
        """
        self._append(labels)

    def append_entity_labels(self, labels: Sequence[EntityLabel]) -> None:
        """Appends labels by entity and time: all or, after an error or a crash, none.

        Raises:
            StoreError: the disk is full, or the writer is closed.
        """
        self._append(labels)

    def close(self) -> None:
        """Syncs and closes the spool; it can then be removed once it is rolled."""
        if (changing := self._changing) is not None:
            changing.join()
        with self._lock:
            if self._journal is not None:
                self._journal.close()

    def _append(self, records: Sequence[Record] | Predictions) -> Commit | None:
        if not len(records):
            return None
        payload = encode(records)  # one frame for all of them: no reader and no crash ever sees a part
        with self._lock:
            if self._journal is None:
                self._begin()
            elif self._is_full(self._journal):
                self._changing = threading.Thread(target=self._change, args=(self._journal,), name="kairos-spool")
                self._changing.start()
            self._write(payload)
        return None

    def _is_full(self, journal: JournalWriter) -> bool:
        """Whether it is time to change to the next spool, and nobody is at it."""
        limit = max(LARGEST_SPOOL_BYTES, self._retry_bytes)
        return self._size_bytes > limit and self._changing is None and not journal.closed

    def _begin(self) -> None:
        """Opens the first spool, which could not be had before; tried once a second."""
        if monotonic() < self._retry_s:
            raise StoreError("The prediction log takes nothing at the moment.", given=self.trouble)
        self._retry_s = monotonic() + RETRY_S
        try:
            self._journal = self._next_journal()
        except StoreError as error:
            self.trouble = str(error)
            raise

    def _write(self, payload: bytes) -> None:
        """Appends a frame to the journal; the lock is held."""
        assert self._journal is not None
        try:
            self._size_bytes = self._journal.append([payload])
        except StoreError as error:
            self.trouble = str(error)
            raise
        self.trouble = None

    def _change(self, former: JournalWriter) -> None:
        """Goes on in a new spool; if none can be had, in the one that is open.

        In a thread of its own, because it waits for the disk; what is appended meanwhile goes to the former one.
        """
        try:
            following = self._next_journal()
            with self._lock:
                self._journal, self._changing = following, None
                self._size_bytes = self._retry_bytes = 0
            former.close()
        except StoreError as error:
            with self._lock:
                if self._journal is former:
                    self._retry_bytes = self._size_bytes + RETRY_BYTES
                self._changing = None
            _log.warning("The change to a new spool did not go well; predictions are still taken: %s", error)

    def _next_journal(self) -> JournalWriter:
        try:
            here = [path.name for path in spools(self._root)]
            state = SpoolState.read(self._root)  # after looking: a spool that had gone by then is named in the state
        except OSError as error:
            raise StoreError("The prediction log's folder cannot be read.", given=str(error)) from error
        names = map(split_name, [*here, *state.offsets])
        taken = [number for worker, number in names if worker == self._worker]
        first = max([state.used.get(self._worker, 0), *taken]) + 1
        for number in range(first, first + 100):
            try:
                return JournalWriter(self._root / "spool" / f"{self._worker}-{number}{_SUFFIX}")
            except StoreError as error:
                if not error.facts.get("is_held"):  # a full disk, which a hundred more files would not mend
                    raise
                continue  # another writer of the same name took the number, or a roll was looking at it
        raise StoreError("No new spool can be opened.", given=f"worker {self._worker!r}, numbers from {first}")


def spools(root: Path) -> list[Path]:
    """Every spool of the log, sorted by worker and number."""
    return sorted((root / "spool").glob(f"*{_SUFFIX}"), key=lambda path: split_name(path.name))


def split_name(name: str) -> tuple[str, int]:
    """The worker and number in a spool's name; what is not named as one has number 0."""
    worker, _, number = name.removesuffix(_SUFFIX).rpartition("-")
    return worker, int(number) if number.isdigit() else 0


def remove_if_finished(path: Path, rolled: int) -> bool:
    """Removes a spool whose writer is gone and whose frames are all rolled; ``rolled`` is how many bytes were."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if next(read_journal(path, start=rolled), None) is not None:
            return False
        path.unlink()
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
