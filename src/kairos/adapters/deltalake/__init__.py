"""Rows of Delta Lake tables, pinned to a version, through delta-rs and Polars."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import deltalake
import polars as pl

from kairos.errors import AdapterError
from kairos.pipeline.origins.declared import Delta, zone_of
from kairos.pipeline.origins.reading import within
from kairos.pipeline.origins.secrets import filled, filled_values
from kairos.pipeline.ports import Mark
from kairos.values import Json, Window, canonical_json

__all__ = ["open_reader"]


def open_reader(origin: Delta, root: Path) -> DeltaReader:
    """Reads a table below the project's folder, or at an address."""
    place = filled(origin.place)
    return DeltaReader(origin, place if "://" in place else str(root / place), root)


class DeltaReader:
    """Asks one table."""

    def __init__(self, origin: Delta, place: str, root: Path) -> None:
        self._origin = origin
        self._place = place
        self._options = filled_values(origin.options) or None
        self._patience = origin.patience(root)

    def marks(self, windows: Sequence[Window]) -> list[Mark | None]:
        """The data files that may hold rows of each window, by the minima and maxima in the table's log."""
        return self._patience.call(lambda: self._marks(windows))

    def batches(self, window: Window, pin: Json) -> Iterator[pl.DataFrame]:
        """Rows at the version."""
        origin = self._origin
        self._patience.pace()
        with _named():
            frame = pl.scan_delta(self._place, version=pin, storage_options=self._options)
            yield from within(frame, time=origin.time, zone=origin.zone, window=window, of=Path(self._place).name)

    def _marks(self, windows: Sequence[Window]) -> list[Mark | None]:
        with _named():
            table = deltalake.DeltaTable(self._place, storage_options=self._options)
            version = table.version()
            files = pl.DataFrame(table.get_add_actions(flatten=True)).to_dicts()
        return [
            Mark(text=_told([file for file in files if self._may_hold(file, window)]), pin=version)
            for window in windows
        ]

    def _may_hold(self, file: dict[str, Any], window: Window) -> bool:
        low, high = (self._moment(file.get(f"{edge}.{self._origin.time}")) for edge in ("min", "max"))
        if low is None or high is None:  # no statistics: any file may
            return True
        return low < window.end and high >= window.start

    def _moment(self, value: Any) -> datetime | None:
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return None
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=zone_of(self._origin.zone)) if value.tzinfo is None else value


def _told(files: Sequence[dict[str, Any]]) -> str:
    facts = sorted([str(file["path"]), int(file["size_bytes"]), str(file["modification_time"])] for file in files)
    return f"{len(files)} files {hashlib.sha256(canonical_json(facts)).hexdigest()[:32]}"


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except deltalake.exceptions.TableNotFoundError as error:
        raise AdapterError("There is no Delta table at a source's place.", given=str(error)) from None
    except (deltalake.exceptions.DeltaError, OSError) as error:
        raise AdapterError("A Delta table did not answer a source.", given=str(error), passing=True) from None
