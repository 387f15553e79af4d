"""What is appended to spools and rolled into Parquet by day: the writing half of the prediction log."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from kairos.errors import StoreError
from kairos.store.batch import Predictions
from kairos.store.durable import open_writer
from kairos.store.frames import (
    ENTITY_LABEL_SCHEMA,
    LABEL_SCHEMA,
    PREDICTION_SCHEMA,
    entity_label_frame,
    label_frame,
    prediction_frame,
)
from kairos.store.journal import read_journal
from kairos.store.partitions import Shelf, write_partitions
from kairos.store.payloads import decode_together
from kairos.store.records import EntityLabel, Label, Prediction, Record
from kairos.store.spool import PredictionWriter, SpoolDamage, SpoolState, remove_if_finished, split_name, spools

__all__ = ["SpooledLog"]

T = TypeVar("T")

_TRIES = 5
_MOST_RECORDS = 20_000
"""About how many records a roll holds in memory at once: some 2 KB each, or less by column."""


class SpooledLog:
    """Takes records into spools and rolls them; safe from several threads and processes.

    Args:
        root: Folder of the log; made when something is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.RLock()  # protects what has been read and is kept in memory
        self._shelves: dict[str, Shelf] = {}
        self._labels = Shelf(root / "labels", LABEL_SCHEMA)
        self._by_entity = Shelf(root / "entity_labels", ENTITY_LABEL_SCHEMA)
        self._tails: dict[str, tuple[int, int, list[Record]]] = {}

    def writer(self, worker: str, *, is_durable: bool = False, is_patient: bool = False) -> PredictionWriter:
        """A writer with a spool of its own; ``worker`` names the process that writes.

        Args:
            worker: Letters, digits, ``_``, ``.`` and ``-``.
            is_durable: Whether appends can be waited for until they survive a power cut.
            is_patient: Whether to begin where nothing can be written; appends then raise until something can.

        Raises:
            StoreError: nothing can be written.
        """
        return open_writer(self.root, worker, is_durable=is_durable, is_patient=is_patient)

    def roll(self) -> int:
        """Moves whole records from the spools into Parquet and returns how many.

        What is much is rolled in parts, each a roll of its own, so memory does not grow with what waits. A crash
        anywhere neither loses nor doubles a record. What cannot be read of a spool, bytes or records, is
        skipped, kept, and named by ``damages``.
        """
        if not (self.root / "spool").is_dir():
            return 0
        with self._one_at_a_time():
            state, rolled = SpoolState.read(self.root), 0
            offsets, damages, records = dict(state.offsets), list(state.damages), list[Record | Predictions]()
            waiting = 0
            for path in spools(self.root):
                for end, found in _read_spool(path, offsets.get(path.name, 0), damages):
                    offsets[path.name] = end
                    records += [found] if isinstance(found, Predictions) else found
                    waiting += len(found)
                    if waiting >= _MOST_RECORDS:
                        state, rolled = self._finish(state, offsets, damages, records), rolled + waiting
                        records.clear()
                        waiting = 0
            if records or len(damages) > len(state.damages):
                state, rolled = self._finish(state, offsets, damages, records), rolled + waiting
            self._remove_finished(state)
            return rolled

    def prune(self, before: datetime) -> int:
        """Rolls, then removes the days of predictions and labels that ended by ``before``; returns how many.

        A spool that is still open keeps its bytes until it is closed or full, and is then removed by the next roll.
        """
        self.roll()
        limit = before.astimezone(UTC).date()
        with self._lock, self._one_at_a_time():
            shelves = [self._labels, self._by_entity, *(self._shelf(model) for model in self._models())]
            removed = sum(shelf.remove_days(lambda day: day < limit) for shelf in shelves)
            if removed:
                state = SpoolState.read(self.root)
                replace(state, prune=state.prune + 1).write(self.root)
            return removed

    def damages(self) -> tuple[SpoolDamage, ...]:
        """Every stretch of a spool that could not be read, as far as the log has been rolled."""
        return SpoolState.read(self.root).damages

    def _finish(
        self,
        state: SpoolState,
        offsets: dict[str, int],
        damages: list[SpoolDamage],
        records: list[Record | Predictions],
    ) -> SpoolState:
        """Makes a roll of these records true and gives the state after it."""
        self._write(state.roll + 1, records)
        state = replace(state, roll=state.roll + 1, offsets=dict(offsets), damages=tuple(damages))
        state.write(self.root)
        return state

    def _write(self, roll: int, records: list[Record | Predictions]) -> None:
        labels = [row for row in records if isinstance(row, Label)]
        write_partitions(self.root / "labels", roll, label_frame(labels))
        by_entity = [row for row in records if isinstance(row, EntityLabel)]
        write_partitions(self.root / "entity_labels", roll, entity_label_frame(by_entity))
        by_model: dict[str, list[Prediction | Predictions]] = {}
        for row in records:
            if isinstance(row, Prediction | Predictions):
                by_model.setdefault(row.model, []).append(row)
        for model, rows in by_model.items():
            frame = prediction_frame(rows).sort("at", "id", "version")
            write_partitions(self.root / "rows" / model, roll, frame)

    def _remove_finished(self, state: SpoolState) -> None:
        here = {path.name: path for path in spools(self.root)}
        gone = state.offsets.keys() - here.keys()  # removed by a roll that was cut before it could say so
        kept = {damage.spool for damage in state.damages}
        for name, path in here.items():
            if name not in kept and remove_if_finished(path, state.offsets.get(name, 0)):
                gone.add(name)
        if gone:
            used = dict(state.used)
            for worker, number in map(split_name, gone):
                used[worker] = max(used.get(worker, 0), number)
            offsets = {name: offset for name, offset in state.offsets.items() if name not in gone}
            replace(state, offsets=offsets, used=used).write(self.root)

    def _tail(self, state: SpoolState) -> list[Record]:
        """Records not rolled yet; what was read before is not read again."""
        tails: dict[str, tuple[int, int, list[Record]]] = {}
        for path in spools(self.root):
            start = state.offsets.get(path.name, 0)
            known_start, end, records = self._tails.get(path.name, (-1, 0, []))
            if known_start != start:
                end, records = start, []
            frames = list(_read_spool(path, end, []))
            tails[path.name] = (start, frames[-1][0], records + [record for _, more in frames for record in more])
        self._tails = tails
        return [record for _, _, records in tails.values() for record in records]

    def _consistent(self, gather: Callable[[SpoolState], T]) -> T:
        """Reads everything as of one state; starts again if a roll or a prune came in between, then keeps them out."""
        with self._lock:
            for _ in range(_TRIES):
                state = SpoolState.read(self.root)
                try:
                    result = gather(state)
                except FileNotFoundError:
                    for shelf in (self._labels, self._by_entity):
                        shelf.forget()
                    for shelf in self._shelves.values():
                        shelf.forget()
                    continue
                now = SpoolState.read(self.root)
                if (now.roll, now.prune) == (state.roll, state.prune):
                    return result
            with self._one_at_a_time():
                return gather(SpoolState.read(self.root))

    def _shelf(self, model: str) -> Shelf:
        return self._shelves.setdefault(model, Shelf(self.root / "rows" / model, PREDICTION_SCHEMA))

    def _models(self) -> list[str]:
        return sorted(folder.name for folder in (self.root / "rows").glob("*"))

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.root / "roll.lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _read_spool(
    path: Path, start: int, damages: list[SpoolDamage]
) -> Iterator[tuple[int, Sequence[Record] | Predictions]]:
    """The records of each frame from ``start`` on, each with where it ends; damage is added to ``damages`` first."""
    end = start

    def note(first: int, last: int) -> None:
        nonlocal end
        damages.append(SpoolDamage(spool=path.name, start=first, end=last))
        end = last

    for frame_end, payload in read_journal(path, start=start, on_damage=note):
        records: Sequence[Record] | Predictions = ()
        try:
            records = decode_together(payload)
        except StoreError:  # one frame that nobody can read must not hide all that came after it
            note(end, frame_end)
        end = frame_end
        yield end, records
    yield end, ()  # behind damage at the end of the file
