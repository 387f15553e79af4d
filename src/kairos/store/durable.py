"""A writer whose appends can be waited for until they survive a power cut: *group commit*.

One thread syncs the journal, once for all that was appended while it synced last. Who appends never waits for the
disk; who has to know waits for the ``Commit`` that an append gives.

After a sync that failed the kernel may have thrown away what it could not write, and a second sync may say that all is
well. So that journal is never trusted again: what waits for it fails, and the writer goes on in a new one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kairos.errors import StoreError
from kairos.store.batch import Predictions
from kairos.store.journal import JournalWriter
from kairos.store.payloads import encode
from kairos.store.records import EntityLabel, Label, Record
from kairos.store.spool import LARGEST_SPOOL_BYTES, RETRY_BYTES, RETRY_S, Commit, PredictionWriter

__all__ = ["DurableWriter", "open_writer"]

_log = logging.getLogger("kairos.store")

_PROBE = b"l\x90"
"""A payload that holds no label: what is appended to find out whether the disk takes anything."""


class DurableWriter(PredictionWriter):
    """Appends to a spool of its own; safe from several threads.

    ``append`` gives a commit, which ends without an error once the rows survive a power cut. Labels are on the disk
    when their append returns.
    """

    is_durable = True

    def __init__(self, root: Path, worker: str, *, is_patient: bool = False) -> None:
        super().__init__(root, worker, is_patient=is_patient)
        self._open = Commit()
        """Of what was appended since the last sync began."""
        self._is_dirty = False
        """Whether anything was."""
        self._is_lost = self._journal is None
        """Whether there is no journal that can be trusted: a sync of the last one has failed, or there was none."""
        self._is_closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kairos-commit", daemon=True)
        self._thread.start()

    def append_labels(self, labels: Sequence[Label]) -> None:
        """Appends labels and waits until they are on the disk; raises what ``PredictionWriter`` does."""
        self._wait(self._append(labels))

    def append_entity_labels(self, labels: Sequence[EntityLabel]) -> None:
        """Appends labels and waits until they are on the disk; raises what ``PredictionWriter`` does."""
        self._wait(self._append(labels))

    def close(self) -> None:
        """Commits what waits, then syncs and closes the spool; it can then be removed once it is rolled."""
        with self._lock:
            self._is_closing = True
        self._wake.set()
        self._thread.join()
        super().close()

    def _append(self, records: Sequence[Record] | Predictions) -> Commit | None:
        if not len(records):
            return None
        payload = encode(records)
        with self._lock:
            if self._is_lost or self._is_closing:
                raise StoreError(
                    "The prediction log takes nothing at the moment.", given=self.trouble or "it is closed"
                )
            self._write(payload)
            self._is_dirty = True
            commit = self._open
        self._wake.set()
        return commit

    def _wait(self, commit: Commit | None) -> None:
        if commit is None:
            return
        failure = commit.exception()
        if failure is not None:
            raise StoreError("Labels may not be on the disk.", given=str(failure)) from failure

    def _run(self) -> None:
        is_open = True
        while is_open:
            has_work = self._wake.wait(RETRY_S)
            self._wake.clear()
            is_open = not self._is_closing  # looked at before the last commit
            if self.trouble is not None and not has_work:
                self._mend()
            self._commit()

    def _commit(self) -> None:
        """Syncs what was appended, and tells those who wait for it."""
        with self._lock:
            if not self._is_dirty:
                return
            commit, journal = self._next_commit(), self._journal
        assert journal is not None  # something was appended to it
        try:
            journal.sync()
        except StoreError as error:
            self._lose(commit, error)
            return
        commit.set_result(None)
        if self._size_bytes > max(LARGEST_SPOOL_BYTES, self._retry_bytes):
            self._go_on()

    def _next_commit(self) -> Commit:
        """Begins another commit and gives the one that was open; the lock is held."""
        former, self._open, self._is_dirty = self._open, Commit(), False
        return former

    def _lose(self, commit: Commit, error: StoreError) -> None:
        """Gives the journal up, with all that was appended to it since the last good sync."""
        with self._lock:
            late = self._next_commit()
            self._is_lost, self.trouble = True, str(error)
        _log.error("The prediction log could not be synced; it goes on in a new spool: %s", error)
        for each in (commit, late):
            each.set_exception(error)
        self._mend()

    def _mend(self) -> None:
        """Finds out whether the log can be written again; after a sync that failed, in a new journal."""
        try:
            if not self._is_lost:
                with self._lock:
                    self._write(_PROBE)
                    self._is_dirty = True
                return
            following = self._proven()
        except StoreError as error:
            self.trouble = str(error)
            return
        with self._lock:
            former, self._journal = self._journal, following
            self._size_bytes = self._retry_bytes = 0
            self._is_lost, self.trouble = False, None
        if former is not None:
            with suppress(StoreError):  # it is not trusted, whatever this says
                former.close()

    def _proven(self) -> JournalWriter:
        """A new journal that takes something and can be synced."""
        found = self._next_journal()
        try:
            found.append([_PROBE])
            found.sync()
        except StoreError:
            with suppress(OSError):
                found.path.unlink()
            with suppress(StoreError):
                found.close()
            raise
        return found

    def _go_on(self) -> None:
        """Changes to a new spool; here, in the thread of the commits, because it waits for the disk."""
        try:
            following = self._next_journal()
        except StoreError as error:
            self._retry_bytes = self._size_bytes + RETRY_BYTES
            _log.warning("The change to a new spool did not go well; predictions are still taken: %s", error)
            return
        with self._lock:
            former, self._journal = self._journal, following
            self._size_bytes = self._retry_bytes = 0
            rest = self._next_commit()  # appended since the sync, to the former
        assert former is not None
        try:
            former.close()
        except StoreError as error:
            rest.set_exception(error)
            return
        rest.set_result(None)


def open_writer(root: Path, worker: str, *, is_durable: bool, is_patient: bool) -> PredictionWriter:
    """A writer with a spool of its own in the log of that folder.

    Args:
        root: Folder of the log.
        worker: Names the process that writes: letters, digits, ``_``, ``.`` and ``-``.
        is_durable: Whether appends can be waited for until they survive a power cut.
        is_patient: Whether to begin where nothing can be written; appends then raise until something can.

    Raises:
        StoreError: nothing can be written.
    """
    return (DurableWriter if is_durable else PredictionWriter)(root, worker, is_patient=is_patient)
