"""Which computation gave which artifacts, in one SQLite file that several processes may use at once."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kairos.disk import MAKE_ROOM, is_full, reading
from kairos.errors import PipelineError
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.fingerprint import Fingerprint
from kairos.store.claims import Claims
from kairos.values import Digest, Json, canonical_json, parse_moment

__all__ = ["Known", "StepCache"]

_PATIENCE_S = 30.0
_NOTES = 8
"""So many of each kind are kept."""

_OF_THE_MACHINE = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
)
"""Errors that another file would not mend."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL UNIQUE,
    place TEXT NOT NULL,
    parts TEXT NOT NULL,
    outputs TEXT NOT NULL,
    pulled_at TEXT
);
CREATE INDEX IF NOT EXISTS by_place ON results (place, number);
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS logs (fingerprint TEXT PRIMARY KEY, digests TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What a computation gave."""

    outputs: tuple[Artifact, ...]
    pulled_at: datetime | None
    """When a source began to pull it; a source's data may have changed since. ``None`` if nobody wrote that down."""


class StepCache:
    """Remembers results by fingerprint. Losing the file loses no result, only the knowledge that there is one.

    Safe from several threads and processes: each call is one transaction of SQLite.

    Args:
        path: The file; made, with its folder, when it is not there.
        is_for_reading: Whether it is of use where a full disk lets nobody write.

    Raises:
        PipelineError: the file is damaged, or the disk is full; so from every method.
    """

    def __init__(self, path: Path, *, is_for_reading: bool = False) -> None:
        self._path = path
        self._connection: sqlite3.Connection
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._damage_named():
            try:
                self._open()
            except sqlite3.OperationalError as error:
                if not (is_for_reading and is_full(error, path)):
                    raise
                self._connection.close()
                self._connection = reading(path, _PATIENCE_S)

    def _open(self) -> None:
        self._connection = sqlite3.connect(
            self._path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
        )
        self._use_wal()
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)
        self._add_pulled_at()

    def get(self, digest: str) -> Known | None:
        """The result of the computation with this fingerprint, or ``None``."""
        row = self._first("SELECT outputs, pulled_at FROM results WHERE fingerprint = ?", digest)
        if row is None:
            return None
        outputs, pulled_at = row
        return Known(
            outputs=tuple(Artifact.from_plain(each) for each in json.loads(outputs)),
            pulled_at=None if pulled_at is None else parse_moment(pulled_at),
        )

    def put(
        self, place: str, made: Fingerprint, outputs: Sequence[Artifact], *, pulled_at: datetime | None = None
    ) -> None:
        """Remembers a result; artifacts must be in the store already.

        Args:
            place: The step, or one partition of it; the last fingerprint of a place explains a change.
            made: The computation.
            outputs: What it gave.
            pulled_at: For a source: when the pull began.
        """
        row = (
            made.digest,
            place,
            canonical_json(made.plain()).decode(),
            canonical_json([output.plain() for output in outputs]).decode(),
            None if pulled_at is None else pulled_at.isoformat(),
        )
        query = "INSERT OR REPLACE INTO results (fingerprint, place, parts, outputs, pulled_at) VALUES (?, ?, ?, ?, ?)"
        with self._damage_named():
            self._connection.execute(query, row)

    def last(self, place: str) -> Fingerprint | None:
        """The fingerprint that was put last for this place, or ``None``."""
        row = self._first("SELECT parts FROM results WHERE place = ? ORDER BY number DESC LIMIT 1", place)
        return None if row is None else Fingerprint.from_plain(json.loads(row[0]))

    def newest(self) -> Iterator[tuple[str, tuple[Artifact, ...]]]:
        """The place and the artifacts of the result that was put last for each place."""
        query = "SELECT place, outputs FROM results WHERE number IN (SELECT MAX(number) FROM results GROUP BY place)"
        with self._damage_named():
            rows = self._connection.execute(query).fetchall()
        for place, outputs in rows:
            yield place, tuple(Artifact.from_plain(each) for each in json.loads(outputs))

    def parts(self, digest: str | None) -> Fingerprint | None:
        """The parts of a fingerprint that a result was put under, or ``None``."""
        row = self._first("SELECT parts FROM results WHERE fingerprint = ?", digest or "")
        return None if row is None else Fingerprint.from_plain(json.loads(row[0]))

    def is_last(self, place: str, made: Fingerprint) -> bool:
        """Whether that is the fingerprint that was put last for this place."""
        row = self._first("SELECT fingerprint FROM results WHERE place = ? ORDER BY number DESC LIMIT 1", place)
        return row is not None and row[0] == made.digest

    def logged(self, digest: str) -> tuple[Digest, ...]:
        """Blobs of what the computation with this fingerprint logged; usually none."""
        row = self._first("SELECT digests FROM logs WHERE fingerprint = ?", digest)
        return () if row is None else tuple(Digest(each) for each in json.loads(row[0]))

    def put_logged(self, digest: str, logged: Sequence[Digest]) -> None:
        """Remembers what a computation logged; to be called before its result is put."""
        with self._damage_named():
            self._connection.execute("INSERT OR REPLACE INTO logs VALUES (?, ?)", (digest, json.dumps(logged)))

    def newest_logged(self) -> Iterator[tuple[str, tuple[Digest, ...]]]:
        """The place, and blobs of what was logged, of the result that was put last for each place."""
        newest = "SELECT MAX(number) FROM results GROUP BY place"
        query = f"SELECT place, digests FROM results JOIN logs USING (fingerprint) WHERE number IN ({newest})"
        with self._damage_named():
            rows = self._connection.execute(query).fetchall()
        for place, digests in rows:
            yield place, tuple(Digest(each) for each in json.loads(digests))

    def note(self, name: str) -> Json:
        """What was noted under a name, or ``None``: something that takes long to work out, and may be lost."""
        row = self._first("SELECT value FROM notes WHERE name = ?", name)
        return None if row is None else json.loads(row[0])

    def put_note(self, name: str, value: Json) -> None:
        """Notes a value under a name that says all that it depends on; older ones of its kind are dropped.

        Args:
            name: ``KIND:...``.
            value: What JSON can hold.
        """
        kind = name.partition(":")[0]
        with self._damage_named():
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, json.dumps(value)))
            old = "SELECT rowid FROM notes WHERE name LIKE ? || ':%' ORDER BY rowid DESC LIMIT -1 OFFSET ?"
            self._connection.execute(f"DELETE FROM notes WHERE rowid IN ({old})", (kind, _NOTES))
            self._connection.execute("COMMIT")

    def all_notes(self) -> list[str]:
        """The values of all notes."""
        with self._damage_named():
            return [value for (value,) in self._connection.execute("SELECT value FROM notes").fetchall()]

    def claims(self) -> Claims:
        """New claims on computations, among all who use this cache."""
        return Claims(self._path.with_name("claims"))

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def _first(self, query: str, key: str) -> tuple[str, ...] | None:
        with self._damage_named():
            row: tuple[str, ...] | None = self._connection.execute(query, (key,)).fetchone()
        return row

    def _use_wal(self) -> None:
        """SQLite does not wait, as it does elsewhere, where several processes change a new file's mode at once."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)

    def _add_pulled_at(self) -> None:
        """Adds the column to a file that was made without it; when its sources were pulled is not known then."""
        columns = "SELECT 1 FROM pragma_table_info('results') WHERE name = 'pulled_at'"
        if self._connection.execute(columns).fetchone():
            return
        self._connection.execute("BEGIN IMMEDIATE")  # another process may be at it
        if not self._connection.execute(columns).fetchone():
            self._connection.execute("ALTER TABLE results ADD COLUMN pulled_at TEXT")
        self._connection.execute("COMMIT")

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if is_full(error, self._path):
                what = f"There is no room for the cache {self._path.name}."
                raise PipelineError(what, given=str(self._path.parent), hint=MAKE_ROOM) from error
            of_the_machine = getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_THE_MACHINE
            raise PipelineError(
                f"The cache {self._path.name} cannot be used.",
                given=str(error),
                hint=None if of_the_machine else "Delete it: steps then run again.",
            ) from error
