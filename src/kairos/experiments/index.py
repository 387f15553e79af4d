"""An index of runs beside the ledger, so that one among many is found without reading all of them.

It is made from the ledger and nothing else, follows it by ``seq``, and is never the truth: whoever removes the file
loses the seconds that making it again takes. See docs/experiments.md.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kairos.experiments.ports import RunRecord
from kairos.experiments.runs import RUN_KINDS, run_record
from kairos.ledger import Ledger
from kairos.ledger.sqlite import may_write
from kairos.values import parse_moment

__all__ = ["BOOLEAN", "NOTHING", "NUMBER", "NUMBER_NOT", "OTHER", "TEXT", "RunIndex", "microseconds", "moment_of"]

_FORMAT = 2
"""Of the tables, and of what is taken from a fact: when either changes, the index is made again."""
_BATCH = 500
_PATIENCE_S = 60.0
"""For another process that is making the index from an old ledger."""
_SLOW_S = 1.0

NUMBER, TEXT, BOOLEAN, NOTHING, NUMBER_NOT, OTHER = range(6)
"""Types of values: ``1`` is not ``"1"`` or ``True``; ``None`` is a value; NaN is no number that can be compared; of
tuples, lists and the like there is what Python prints."""

_TABLES = """
CREATE TABLE place (seq INTEGER NOT NULL, hash TEXT NOT NULL);
CREATE TABLE runs (
    n INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, status TEXT NOT NULL, started INTEGER NOT NULL,
    ended INTEGER NOT NULL, window TEXT NOT NULL, actor TEXT NOT NULL, models TEXT NOT NULL, code TEXT NOT NULL,
    branch TEXT NOT NULL, failure TEXT NOT NULL
);
CREATE TABLE names (id INTEGER PRIMARY KEY, part TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (part, name));
CREATE TABLE told (
    run INTEGER NOT NULL, name INTEGER NOT NULL, type INTEGER NOT NULL, value, PRIMARY KEY (run, name)
) WITHOUT ROWID;
"""
_AFTERWARDS = """
CREATE INDEX IF NOT EXISTS by_value ON told (name, type, value);
CREATE INDEX IF NOT EXISTS by_end ON runs (ended, n);
"""
"""Made when the first runs are in, which takes half as long."""
_ORIGIN = datetime(1970, 1, 1)  # noqa: DTZ001 - of microseconds in UTC


def microseconds(moment: datetime) -> int:
    """Since 1970, in UTC."""
    return (moment.replace(tzinfo=None) - (moment.utcoffset() or timedelta()) - _ORIGIN) // timedelta(microseconds=1)


def moment_of(at: int) -> datetime:
    """The moment, aware UTC."""
    return parse_moment((_ORIGIN + timedelta(microseconds=at)).isoformat())


class RunIndex:
    """The runs of a ledger in tables. Every question follows the ledger first.

    Several processes may use one file: who follows holds SQLite's write lock, others wait for it; a process that is
    killed in the middle leaves what was there before. A file that is damaged, of another format, or made from a ledger
    that is not this one, is made again. Where nothing may be written, the index is made in memory for this process.

    Args:
        path: The file; made when it is first asked.
        ledger: What it follows.
    """

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self.ledger = ledger
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self.took: tuple[int, float] | None = None
        """Runs that were taken in, and the seconds for it, where it took more than one."""

    def close(self) -> None:
        """Closes the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def follow(self) -> sqlite3.Connection:
        """The tables, with all that the ledger tells now.

        Raises:
            LedgerError: a fact about a run cannot be read.
        """
        if self._connection is None and not may_write(self._path):
            return self._followed(":memory:")
        try:
            return self._followed(self._path)
        except sqlite3.OperationalError:  # locked for too long, or a full disk
            self.close()
            return self._followed(":memory:")
        except sqlite3.DatabaseError:
            self.close()
            for suffix in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    self._path.with_name(self._path.name + suffix).unlink()
            return self._followed(self._path)

    def begins_with(self, text: str, *, most: int = 10) -> list[str]:
        """Ids of runs that begin so, in their order."""
        rows = self.follow().execute(
            "SELECT run FROM runs WHERE run >= ? AND run < ? ORDER BY run LIMIT ?", (text, text + "\U0010ffff", most)
        )
        return [run for (run,) in rows]

    def last_ids(self, most: int) -> list[str]:
        """Ids of the runs that ended last, the latest one first."""
        rows = self.follow().execute("SELECT run FROM runs ORDER BY ended DESC, n DESC LIMIT ?", (most,))
        return [run for (run,) in rows]

    def trials(self) -> dict[str, tuple[int, datetime]]:
        """By study: how many of its trials are over, and when the last one was."""
        rows = self.follow().execute(
            "SELECT t.value, COUNT(*), MAX(runs.ended) FROM told t JOIN names n ON n.id = t.name JOIN runs ON "
            "runs.n = t.run JOIN told u ON u.run = t.run JOIN names m ON m.id = u.name WHERE n.part = 'tags' AND "
            "n.name = 'study' AND m.part = 'tags' AND m.name = 'trial' AND u.value GLOB '[0-9]*' GROUP BY t.value"
        )
        return {study: (count, moment_of(ended)) for study, count, ended in rows}

    def _followed(self, place: Path | str) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(place, timeout=_PATIENCE_S, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
        connection, head = self._connection, self.ledger.head()
        if not self._is_at(connection, head):
            began = time.monotonic()
            connection.execute("BEGIN IMMEDIATE")
            try:
                count = self._take_in(connection, head)  # whoever had the lock before may have done it
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            took = time.monotonic() - began
            self.took = (count, took) if took > _SLOW_S else self.took
        return connection

    def _is_at(self, connection: sqlite3.Connection, head: int) -> bool:
        seq, known = _place(connection)
        return seq == head and known == self._hash(head)

    def _hash(self, seq: int) -> str:
        """Of the ledger's entry; an index that names another one was made from another ledger."""
        entry = next(self.ledger.read(after=seq - 1, limit=1), None) if seq else None
        return entry.hash if entry is not None and entry.seq == seq else ""

    def _take_in(self, connection: sqlite3.Connection, head: int) -> int:
        seq, known = _place(connection)
        if seq < 0 or seq > head or known != self._hash(seq):
            _begin_anew(connection)
            seq = 0
        count = 0
        while True:
            entries = list(self.ledger.read(after=seq, kinds=RUN_KINDS, limit=_BATCH))
            _put(connection, [run_record(entry) for entry in entries])
            count += len(entries)
            seq = entries[-1].seq if entries else seq
            if len(entries) < _BATCH:
                break
        seq = max(seq, head)
        for statement in _AFTERWARDS.split(";"):
            connection.execute(statement)
        connection.execute("DELETE FROM place")
        connection.execute("INSERT INTO place VALUES (?, ?)", (seq, self._hash(seq)))
        return count


def _place(connection: sqlite3.Connection) -> tuple[int, str]:
    """How far the index has come; -1: it is of another format, or empty."""
    if connection.execute("PRAGMA user_version").fetchone()[0] != _FORMAT:
        return -1, ""
    found: tuple[int, str] | None = connection.execute("SELECT seq, hash FROM place").fetchone()
    return found or (-1, "")


def _begin_anew(connection: sqlite3.Connection) -> None:
    """Within the transaction: who is killed meanwhile leaves the tables that were there."""
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        connection.execute(f'DROP TABLE "{name}"')
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {_FORMAT}")


def _put(connection: sqlite3.Connection, records: Iterable[RunRecord]) -> None:
    for record in records:
        (n,) = connection.execute(
            "INSERT INTO runs (run, status, started, ended, window, actor, models, code, branch, failure) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run) DO UPDATE SET status = excluded.status, "
            "started = excluded.started, ended = excluded.ended, window = excluded.window, actor = excluded.actor, "
            "models = excluded.models, code = excluded.code, branch = excluded.branch, failure = excluded.failure "
            "RETURNING n",
            (
                record.run, record.status, microseconds(record.started_at), microseconds(record.ended_at),
                record.window, record.actor, " ".join(record.models), record.code.commit or "",
                record.code.branch or "", record.failure or "",
            ),
        ).fetchone()  # fmt: skip
        connection.execute("DELETE FROM told WHERE run = ?", (n,))
        parts: dict[str, Mapping[str, Any]] = {
            "params": record.params,
            "metrics": record.metrics,
            "tags": record.tags if record.study is None else _with_number(record.tags),
        }
        connection.executemany(
            "INSERT INTO told VALUES (?, ?, ?, ?)",
            [
                (n, _name(connection, part, name), *_typed(value))
                for part, values in parts.items()
                for name, value in values.items()
            ],
        )


def _with_number(tags: Mapping[str, str]) -> dict[str, Any]:
    """A trial's number is one that can be compared."""
    return {name: int(text) if name == "trial" and text.isdigit() else text for name, text in tags.items()}


def _name(connection: sqlite3.Connection, part: str, name: str) -> int:
    found = connection.execute("SELECT id FROM names WHERE part = ? AND name = ?", (part, name)).fetchone()
    if found is None:
        found = connection.execute("INSERT INTO names (part, name) VALUES (?, ?) RETURNING id", (part, name)).fetchone()
    return int(found[0])


def _typed(value: object) -> tuple[int, object]:
    """The type and what SQLite keeps."""
    match value:
        case None:
            return NOTHING, 0
        case bool():
            return BOOLEAN, int(value)
        case float() if math.isnan(value):
            return NUMBER_NOT, 0
        case int() if abs(value) >= 2**63:
            return NUMBER, float(value) if abs(value) < 2**1023 else math.copysign(math.inf, value)
        case int() | float():
            return NUMBER, value
        case str():
            return TEXT, value
        case _:
            return OTHER, str(value)
