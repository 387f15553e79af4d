"""The embedded ledger: one SQLite file with a write-ahead log."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

from kairos.disk import MAKE_ROOM, is_full, reading
from kairos.errors import LedgerBroken, LedgerBusy, LedgerError, LedgerMoved, UsageError
from kairos.ledger.entry import GENESIS, Entry, entry_hash
from kairos.ledger.ports import Fact, Verification
from kairos.values import Json, canonical_json, parse_moment, plain

__all__ = ["SqliteLedger", "may_write"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    actor TEXT NOT NULL,
    body TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_kind ON entries (kind, seq);
CREATE INDEX IF NOT EXISTS by_subject ON entries (subject, seq);
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""
_COLUMNS = "seq, at, kind, subject, actor, body, prev, hash"


def may_write(path: Path) -> bool:
    """Whether the ledger at that place may be written, or made, by whoever runs this."""
    if path.exists() and not os.access(path, os.W_OK):
        return False
    folder = next(each for each in path.absolute().parents if each.exists())
    return os.access(folder, os.W_OK | os.X_OK)


class SqliteLedger:
    """A ledger in one file; see :class:`kairos.ledger.ports.Ledger` for what it promises.

    Every append is a durable transaction of its own: when it returns, the fact survives a power failure.

    Where the folder may only be read, or the disk is full, what is there is read, and nothing is written.

    Args:
        path: The file; made, with its folder, when it is not there.
        busy_timeout_s: How long an append waits for another writer before it raises ``LedgerBusy``.
        may_make: Whether a file that is not there is made; else that is an error.

    Raises:
        LedgerError: the file cannot be opened, or is not there and may not be made.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = 30.0, may_make: bool = True) -> None:
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._local = threading.local()  # SQLite connections stay in the thread that made them
        self._is_read_only = not may_write(path)
        self._has_file = not may_make
        """Whether the file was there once, or has to have been."""
        if not self._is_read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = self._connection()
            exists = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'no_delete'").fetchone()
            if exists is None:
                connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        except sqlite3.DatabaseError as error:
            if is_full(error, path):
                raise self._no_room() from error
            hint = None if isinstance(error, sqlite3.OperationalError) else "Is the file a Kairos ledger?"
            raise LedgerError(f"The ledger {path.name} cannot be opened.", given=str(error), hint=hint) from error

    def append(
        self,
        kind: str,
        *,
        subject: str,
        body: Mapping[str, Json],
        actor: str,
        at: datetime,
        expect: int | None = None,
    ) -> Entry:
        """Adds a fact and returns it once it is durable."""
        fact = Fact(kind=kind, subject=subject, body=body)
        return self.append_all([fact], actor=actor, at=at, expect=expect)[0]

    def append_all(
        self, facts: Sequence[Fact], *, actor: str, at: datetime, expect: int | None = None
    ) -> tuple[Entry, ...]:
        """Adds facts in one transaction and returns them once they are durable."""
        first = facts[0]
        if at.tzinfo is None:
            raise UsageError(f"The fact {first.kind!r} about {first.subject!r} needs an aware time.", given=str(at))
        moment = parse_moment(at.isoformat())
        bodies = [plain(dict(fact.body)) for fact in facts]
        if self._is_read_only:
            raise LedgerError(f"The ledger {self.path.name} may only be read here.", given=str(self.path.parent))
        connection = self._connection(may_only_read=False)
        try:
            try:
                connection.execute("BEGIN IMMEDIATE")
                last = connection.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
                seq, prev = last or (0, GENESIS)
                if expect is not None and seq != expect:
                    raise LedgerMoved(
                        f"Somebody else wrote to the ledger before {first.kind!r} about {first.subject!r}.",
                        given=f"decided on entry {expect}, the ledger is at {seq}",
                        hint="Read the new facts and decide again.",
                    )
                entries = []
                for fact, body in zip(facts, bodies, strict=True):
                    entry = _link(fact, body, seq=seq + 1, at=moment, actor=actor, prev=prev)
                    connection.execute(
                        f"INSERT INTO entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        (entry.seq, plain(moment), entry.kind, entry.subject, actor, canonical_json(body).decode(),
                         prev, entry.hash),
                    )  # fmt: skip
                    entries.append(entry)
                    seq, prev = entry.seq, entry.hash
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # Ctrl-C may come just after it was durable
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            if is_full(error, self.path):
                raise self._no_room() from error
            if "locked" not in str(error):
                raise LedgerError(f"The ledger {self.path.name} cannot be written.", given=str(error)) from error
            raise LedgerBusy(
                f"Another process has been writing to {self.path.name} for more than {self._busy_timeout_s:g} s.",
                hint="Look for a stopped kairos process and end it.",
            ) from error
        return tuple(entries)

    def read(
        self,
        *,
        after: int = 0,
        until: datetime | None = None,
        kinds: Collection[str] | None = None,
        subject: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Entry]:
        """Yields entries in order; those that are written meanwhile are not seen."""
        where: list[str] = ["seq > ?"]
        bound: list[object] = [after]
        if kinds is not None:
            where.append(f"kind IN ({', '.join('?' * len(kinds))})")
            bound.extend(sorted(kinds))
        if subject is not None:
            where.append("subject = ?")
            bound.append(subject)
        if until is not None:
            where.append("seq <= ?")
            bound.append(self._last_until(until))
        query = f"SELECT {_COLUMNS} FROM entries WHERE {' AND '.join(where)} ORDER BY seq LIMIT ?"
        bound.append(-1 if limit is None else limit)
        for row in self._connection().execute(query, bound).fetchall():
            yield _entry(row)

    def _last_until(self, until: datetime) -> int:
        """``seq`` of the last entry that is not later, 0 without one."""
        rows = self._connection().execute("SELECT seq, at FROM entries ORDER BY seq DESC")
        with closing(rows):
            return next((seq for seq, at in rows if _moment(seq, at) <= until), 0)

    def head(self) -> int:
        """``seq`` of the last entry, 0 when empty."""
        row = self._connection().execute("SELECT max(seq) FROM entries").fetchone()
        return int(row[0] or 0)

    def verify(self) -> Verification:
        """Recomputes every hash and names the first entry that does not fit."""
        count, prev = 0, GENESIS
        for row in self._connection().execute(f"SELECT {_COLUMNS} FROM entries ORDER BY seq"):
            problem = _problem(row, seq=count + 1, prev=prev)
            if problem is not None:
                return Verification(entries=count, head=prev, broken_seq=count + 1, problem=problem)
            count, prev = count + 1, row[7]
        return Verification(entries=count, head=prev)

    def close(self) -> None:
        """Closes this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            del self._local.connection

    def _no_room(self) -> LedgerError:
        return LedgerError(
            f"There is no room for the ledger {self.path.name}.", given=str(self.path.parent), hint=MAKE_ROOM
        )

    def _connection(self, *, may_only_read: bool = True) -> sqlite3.Connection:
        """This thread's connection to the file that is there now: one to a file that was removed reads and writes what
        nobody else sees. On a full disk one that only reads, for this once."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        face = _face(self.path)
        if connection is not None and face != self._local.face:
            self.close()
            connection = None
        if connection is None:
            if face is None and self._has_file:
                raise LedgerError(
                    f"The ledger {self.path.name} is gone.", given=str(self.path.parent), hint="Put its file back."
                )
            if self._is_read_only:
                self._local.connection = connection = _reading(self.path, self._busy_timeout_s)
                self._local.face = face
                return connection
            try:
                connection = self._writing()
            except sqlite3.OperationalError as error:
                if not (is_full(error, self.path) and face is not None):
                    raise
                if not may_only_read:
                    raise self._no_room() from error
                return reading(self.path, self._busy_timeout_s)
            self._local.connection, self._local.face = connection, _face(self.path)
            self._has_file = True
        return connection

    def _writing(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=self._busy_timeout_s, isolation_level=None)
        try:
            with closing(connection.cursor()) as cursor:
                cursor.execute("PRAGMA journal_mode = WAL")
                cursor.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection


def _face(path: Path) -> tuple[int, int] | None:
    """Which file is there; ``None``: none."""
    try:
        told = path.stat()
    except FileNotFoundError:
        return None
    return told.st_dev, told.st_ino


def _reading(path: Path, timeout_s: float) -> sqlite3.Connection:
    """A connection for reading alone; to an empty ledger if there is none."""
    if path.exists():
        return reading(path, timeout_s)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(_SCHEMA)
    return connection


def _link(fact: Fact, body: Json, *, seq: int, at: datetime, actor: str, prev: str) -> Entry:
    """The fact at its place in the chain."""
    kind, subject = fact.kind, fact.subject
    link = entry_hash(seq=seq, at=at, kind=kind, subject=subject, actor=actor, body=body, prev=prev)
    return Entry(seq=seq, at=at, kind=kind, subject=subject, actor=actor, body=body, prev=prev, hash=link)


def _moment(seq: int, at: str) -> datetime:
    try:
        return parse_moment(at)
    except ValueError as error:
        raise LedgerBroken(
            f"Entry {seq} of the ledger has no time.", given=at, hint="Type: kairos ledger verify", seq=seq
        ) from error


def _entry(row: tuple[int, str, str, str, str, str, str, str]) -> Entry:
    seq, at, kind, subject, actor, body, prev, link = row
    try:
        return Entry(
            seq=seq,
            at=parse_moment(at),
            kind=kind,
            subject=subject,
            actor=actor,
            body=json.loads(body),
            prev=prev,
            hash=link,
        )
    except ValueError as error:
        raise LedgerBroken(
            f"Entry {seq} of the ledger cannot be read.", given=str(error), hint="Type: kairos ledger verify", seq=seq
        ) from error


def _problem(row: tuple[int, str, str, str, str, str, str, str], *, seq: int, prev: str) -> str | None:
    if row[0] != seq:
        return f"entry {seq} is missing; the next one is {row[0]}"
    try:
        entry = _entry(row)
    except LedgerBroken as error:
        return str(error)
    if entry.prev != prev:
        return f"entry {seq} does not name the hash of the entry before it"
    found = entry_hash(
        seq=seq, at=entry.at, kind=entry.kind, subject=entry.subject, actor=entry.actor, body=entry.body, prev=prev
    )
    if found != entry.hash:
        return f"entry {seq} ({entry.kind} about {entry.subject}) does not match its hash"
    return None
