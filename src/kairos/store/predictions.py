"""The prediction log: every served answer and every late label, from append-only spools into Parquet by day."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import polars as pl

from kairos.errors import StoreError
from kairos.store.journal import read_journal
from kairos.store.partitions import Shelf, files_with_id, read_files, stack, write_partitions
from kairos.store.records import (
    LABEL_SCHEMA,
    PREDICTION_SCHEMA,
    Label,
    Prediction,
    decode,
    label_frame,
    prediction_frame,
    predictions_of,
)
from kairos.store.spool import PredictionWriter, SpoolDamage, SpoolState, remove_if_finished, split_name, spools
from kairos.values import Window

__all__ = ["Label", "Prediction", "PredictionLog", "PredictionWriter", "SpoolDamage"]

T = TypeVar("T")
_log = logging.getLogger("kairos.store")

_TRIES = 5
_EARLY = timedelta(days=1)
"""By how much a label may be ahead of its prediction, for the clocks of others."""
_MOST_RECORDS = 20_000
"""About how many records a roll holds in memory at once: some 2 KB each."""


class PredictionLog:
    """Writes and reads the log below one folder; safe from several threads and processes.

    Args:
        root: Folder of the log, ``.kairos/predictions`` in a project; made when something is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.RLock()  # protects what has been read and is kept in memory
        self._shelves: dict[str, Shelf] = {}
        self._labels = Shelf(root / "labels", LABEL_SCHEMA)
        self._tails: dict[str, tuple[int, int, list[Prediction | Label]]] = {}

    def writer(self, worker: str) -> PredictionWriter:
        """A writer with a spool of its own; ``worker`` names the process that writes."""
        return PredictionWriter(self.root, worker)

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
            offsets, damages, records = dict(state.offsets), list(state.damages), list[Prediction | Label]()
            for path in spools(self.root):
                for end, found in _read_spool(path, offsets.get(path.name, 0), damages):
                    offsets[path.name] = end
                    records += found
                    if len(records) >= _MOST_RECORDS:
                        state, rolled = self._finish(state, offsets, damages, records), rolled + len(records)
                        records.clear()
            if records or len(damages) > len(state.damages):
                state, rolled = self._finish(state, offsets, damages, records), rolled + len(records)
            self._remove_finished(state)
            return rolled

    @contextmanager
    def rolling(self, *, every_s: float = 3600.0, most_bytes: int = 4 << 20, look_s: float = 10.0) -> Iterator[None]:
        """Rolls in a thread of its own until the block ends, for a process that serves and does nothing else.

        A roll that fails is logged, once for each reason, and tried again at the next look.

        Args:
            every_s: The longest time between two rolls.
            most_bytes: A roll begins when this much waits in the spools; 4 MiB are about ten thousand rows.
            look_s: Time between two looks at how much waits.
        """
        stop = threading.Event()
        thread = threading.Thread(
            target=self._keep_rolling, args=(stop, every_s, most_bytes, look_s), name="kairos-roll", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def predictions(self, model: str, window: Window, *, versions: Collection[int] | None = None) -> pl.DataFrame:
        """Predictions of a model in a window, rolled or not, sorted by time, id and version.

        Args:
            model: The model's name; one that has no predictions gives an empty table.
            window: Which ``at`` to give.
            versions: Which versions to give; all of them if ``None``.
        """

        def gather(state: SpoolState) -> pl.DataFrame:
            shelf = self._shelf(model)
            parts = shelf.rows(window.start, window.end, roll=state.roll, edition=(state.roll, state.prune))
            tail = [row for row in self._tail(state) if isinstance(row, Prediction) and row.model == model]
            wanted = pl.col("at").is_between(window.start, window.end, closed="left")
            if versions is not None:
                wanted &= pl.col("version").is_in(sorted(versions))
            return stack([part.filter(wanted) for part in [*parts, prediction_frame(tail)]], PREDICTION_SCHEMA)

        rows = self._consistent(gather)
        inputs = sorted(set(rows.columns) - set(PREDICTION_SCHEMA))  # in whatever order the files named them
        return rows.select(*PREDICTION_SCHEMA, *inputs).sort("at", "id", "version")

    def labels(self, *, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        """The latest label of each prediction among those that arrived in a stretch, sorted by arrival and id.

        Of labels with equal ``at`` the one appended later wins (in the order of the spools if several workers wrote).

        Args:
            since: First moment of the stretch; only the months from then on are read. ``None``: from the first label.
            until: Last moment of the stretch; ``None``: no end.
        """
        rows = self._label_rows(since, until)
        if since is not None:
            rows = rows.filter(pl.col("at") >= since)
        return _latest(rows, "at").sort("at", "prediction_id")

    def labelled(self, model: str, window: Window, *, as_of: datetime, within: timedelta | None = None) -> pl.DataFrame:
        """Predictions of a window with the latest label that had arrived in time: columns ``label`` and ``label_at``.

        Args:
            model: The model's name.
            window: Which predictions to give.
            as_of: Labels that arrived later are not looked at.
            within: How long after the end of the prediction's UTC day a label is still taken; later ones change
                nothing, so what is known of that day stays as it is. ``None``: for ever.
        """
        truths = self._label_rows(window.start - _EARLY, as_of).rename({"value": "label", "at": "label_at"})
        rows = self.predictions(model, window)
        if within is not None:
            in_time = pl.col("at").dt.truncate("1d") + timedelta(days=1) + within
            last = rows.select("id", in_time=in_time).unique("id", keep="last", maintain_order=True)
            truths = truths.join(last, left_on="prediction_id", right_on="id", maintain_order="left")
            truths = truths.filter(pl.col("label_at") <= pl.col("in_time")).drop("in_time")
        truths = _latest(truths, "label_at")
        return rows.join(truths, left_on="id", right_on="prediction_id", how="inner", maintain_order="left")

    def arrivals(self, model: str, window: Window, *, as_of: datetime) -> pl.DataFrame:
        """One row for each request of a window, labelled or not: when its first label came, and what the latest says.

        Args:
            model: The model's name.
            window: Which requests to give.
            as_of: Labels that arrived later are not looked at.

        Returns:
            Columns ``id``, ``at``, ``output`` (of the version that answered, or else of the one with the lowest
            number), ``label_at`` and ``label``; the last two are null where no label has come. Sorted by time and id.
        """
        requests = self.predictions(model, window).select("id", "at", "version", "answered", "output")
        requests = requests.sort("answered", descending=True, maintain_order=True)
        requests = requests.unique("id", keep="first", maintain_order=True).sort("at", "id")
        truths = self._label_rows(window.start - _EARLY, as_of)
        first = truths.group_by("prediction_id", maintain_order=True).agg(label_at=pl.col("at").min())
        latest = _latest(truths, "at").select("prediction_id", label="value")
        known = first.join(latest, on="prediction_id", maintain_order="left")
        joined = requests.join(known, left_on="id", right_on="prediction_id", how="left", maintain_order="left")
        return joined.select("id", "at", "output", "label_at", "label")

    def find(self, prediction_id: str) -> list[Prediction]:
        """Every row of that id, sorted by time and version; empty if the log holds none."""

        def gather(state: SpoolState) -> list[Prediction]:
            found = [row for row in self._tail(state) if isinstance(row, Prediction) and row.id == prediction_id]
            files = [file for model in self._models() for file in self._shelf(model).files()]
            for file in files_with_id([file for file in files if int(file.stem) <= state.roll], prediction_id):
                found += predictions_of(read_files([file], PREDICTION_SCHEMA).filter(pl.col("id") == prediction_id))
            return sorted(found, key=lambda row: (row.at, row.version))

        return self._consistent(gather)

    def prune(self, before: datetime) -> int:
        """Rolls, then removes the days of predictions and labels that ended by ``before``; returns how many.

        A spool that is still open keeps its bytes until it is closed or full, and is then removed by the next roll.
        """
        self.roll()
        limit = before.astimezone(UTC).date()
        with self._lock, self._one_at_a_time():
            shelves = [self._labels, *(self._shelf(model) for model in self._models())]
            removed = sum(shelf.remove_days(lambda day: day < limit) for shelf in shelves)
            if removed:
                state = SpoolState.read(self.root)
                replace(state, prune=state.prune + 1).write(self.root)
            return removed

    def damages(self) -> tuple[SpoolDamage, ...]:
        """Every stretch of a spool that could not be read, as far as the log has been rolled."""
        return SpoolState.read(self.root).damages

    def _keep_rolling(self, stop: threading.Event, every_s: float, most_bytes: int, look_s: float) -> None:
        waited_s, told = 0.0, ""
        while not stop.wait(look_s):
            waited_s += look_s
            try:
                if waited_s >= every_s or self._waiting_bytes() >= most_bytes:
                    self.roll()
                    waited_s, told = 0.0, ""
            except (StoreError, OSError) as error:
                if str(error) != told:
                    _log.error("The prediction log cannot be rolled: %s", error)
                told = str(error)

    def _waiting_bytes(self) -> int:
        offsets = SpoolState.read(self.root).offsets
        total = 0
        for path in spools(self.root):
            with suppress(FileNotFoundError):  # removed by a roll in another process
                total += path.stat().st_size - offsets.get(path.name, 0)
        return total

    def _finish(
        self,
        state: SpoolState,
        offsets: dict[str, int],
        damages: list[SpoolDamage],
        records: list[Prediction | Label],
    ) -> SpoolState:
        """Makes a roll of these records true and gives the state after it."""
        self._write(state.roll + 1, records)
        state = replace(state, roll=state.roll + 1, offsets=dict(offsets), damages=tuple(damages))
        state.write(self.root)
        return state

    def _write(self, roll: int, records: list[Prediction | Label]) -> None:
        labels = [row for row in records if isinstance(row, Label)]
        write_partitions(self.root / "labels", roll, label_frame(labels))
        by_model: dict[str, list[Prediction]] = {}
        for row in records:
            if isinstance(row, Prediction):
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

    def _label_rows(self, since: datetime | None, until: datetime | None) -> pl.DataFrame:
        """Every label that arrived by ``until``, and at least those since ``since``, in the order of appending."""

        def gather(state: SpoolState) -> pl.DataFrame:
            parts = self._labels.rows(since, until, roll=state.roll, edition=(state.roll, state.prune))
            tail = label_frame([row for row in self._tail(state) if isinstance(row, Label)])
            return stack([*parts, tail], LABEL_SCHEMA)

        rows = self._consistent(gather)
        return rows if until is None else rows.filter(pl.col("at") <= until)

    def _tail(self, state: SpoolState) -> list[Prediction | Label]:
        """Records not rolled yet; what was read before is not read again."""
        tails: dict[str, tuple[int, int, list[Prediction | Label]]] = {}
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
                    self._labels.forget()
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


def _latest(labels: pl.DataFrame, at: str) -> pl.DataFrame:
    """Of the labels of one prediction the one with the latest ``at``, of equal ones the one appended later."""
    return labels.sort(at, maintain_order=True).unique("prediction_id", keep="last", maintain_order=True)


def _read_spool(
    path: Path, start: int, damages: list[SpoolDamage]
) -> Iterator[tuple[int, Sequence[Prediction | Label]]]:
    """The records of each frame from ``start`` on, each with where it ends; damage is added to ``damages`` first."""
    end = start

    def note(first: int, last: int) -> None:
        nonlocal end
        damages.append(SpoolDamage(spool=path.name, start=first, end=last))
        end = last

    for frame_end, payload in read_journal(path, start=start, on_damage=note):
        records: Sequence[Prediction | Label] = ()
        try:
            records = decode(payload)
        except StoreError:  # one frame that nobody can read must not hide all that came after it
            note(end, frame_end)
        end = frame_end
        yield end, records
    yield end, ()  # behind damage at the end of the file
