"""Erasure by forgetting a key: what was written about a person stays where it is, and nobody can read it any more.

Rows lie in Parquet files, backups and copies that nobody can edit one by one. So each *subject* (a person, or a day of
predictions) has a key of its own; what is kept of it is sealed under that key; and the keys lie, wrapped by a master
key, in one small file. Deleting one wrapped key erases every row of its subject, wherever copies of the rows are.
Counts and sums that hold no row are not touched.

Needs ``pip install 'kairos-ml[privacy]'``; nothing is loaded before a vault is opened.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kairos.errors import Erased, SealBroken, StoreError, UsageError
from kairos.privacy.seals import new_key, seal, unseal
from kairos.values import Json, plain

__all__ = ["Erasure", "KeyVault", "Sealed"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (name BLOB PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erasures (receipt TEXT PRIMARY KEY, at TEXT NOT NULL, keys INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS naming (one INTEGER PRIMARY KEY CHECK (one = 1), wrapped BLOB NOT NULL);
"""
_FORMAT = b"ks1"
"""What the bytes of a ``Sealed`` begin with."""
_WAIT_S = 30.0
"""How long a writer waits for another."""
_SETTINGS = (
    "secure_delete = ON",
    "journal_mode = DELETE",  # a write-ahead log would keep deleted keys until it is overwritten
    "synchronous = FULL",
    "temp_store = MEMORY",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """Bytes that only the subject's key opens, and only in their own place."""

    data: bytes
    place: str
    """What they belong to, such as a prediction's id: sealed bytes moved to another place do not open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """That somebody was forgotten: the line for an audit. It holds nothing that says who."""

    receipt: str
    """A random name, to give to whoever asked for it."""
    at: datetime
    keys: int
    """Keys that were deleted; 0: there was nothing to forget."""
    proven: int
    """Sealed pieces that were opened just before, and could not be opened just after."""

    def plain(self) -> dict[str, Json]:
        """The fact for the ledger."""
        return dict(plain(self))


class KeyVault:
    """The keys of all subjects, in one small file; safe from several threads and processes.

    What was sealed can be read while the key is here. Keep this file, and nothing else, out of long-lived backups: an
    old copy of it, with the master key, brings erased subjects back. ``rewrap`` makes all old copies useless.

    Args:
        path: The file; made when it is not there.
        master: 32 secret bytes, kept elsewhere (``kairos.privacy.load_or_make_key``).

    Raises:
        UsageError: the master key has another length, or is not the one that the file was made with.
        AdapterMissing: ``cryptography`` is not installed.
    """

    def __init__(self, path: Path, master: bytes) -> None:
        self.path = path
        self._local = threading.local()  # SQLite connections stay in the thread that made them
        self._wrapping = _wrapping_key(master)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        with self._writing() as connection:
            for statement in _SCHEMA.strip().split(";\n"):
                connection.execute(statement)
            connection.execute(
                "INSERT OR IGNORE INTO naming VALUES (1, ?)", (seal(self._wrapping, new_key(), b"naming"),)
            )
        self._naming = self._read_naming()

    def seal(self, subject: str, data: bytes, *, place: str) -> Sealed:
        """Makes bytes readable only through the subject's key, which is made the first time.

        Args:
            subject: Who or what they are about. It is kept nowhere: keys are found by a keyed pseudonym of it.
            data: What must be erasable.
            place: What they belong to, such as a prediction's id.
        """
        return Sealed(data=_FORMAT + seal(self._key(subject), data, _FORMAT + place.encode()), place=place)

    def open(self, subject: str, sealed: Sealed) -> bytes:
        """The bytes that were sealed.

        Raises:
            Erased: the subject has no key: it was erased, or nothing was ever sealed for it.
            SealBroken: its key does not open these bytes: they were sealed for another subject or place, before an
                erasure, or are damaged.
        """
        key = self._find(subject)
        if key is None:
            raise Erased("What was kept of this subject cannot be read: it has no key.", accepted="subjects with a key")
        if not sealed.data.startswith(_FORMAT):
            raise SealBroken("These bytes were not sealed.", given=f"{len(sealed.data)} bytes")
        opened = unseal(key, sealed.data.removeprefix(_FORMAT), _FORMAT + sealed.place.encode())
        if opened is None:
            raise SealBroken(
                "A seal does not open with the subject's key.",
                accepted="bytes sealed for this subject and place, since its last erasure, undamaged",
            )
        return opened

    def erase(self, subject: str, *, at: datetime, samples: Sequence[Sealed] = ()) -> Erasure:
        """Deletes the subject's key, so that nothing sealed for it can be read again, here or in any copy.

        Args:
            subject: As for ``seal``. Something sealed for it afterwards gets a new key.
            at: When it was asked for, aware.
            samples: Sealed pieces of the subject; each is opened before and tried after, as a proof.

        Raises:
            StoreError: a sample can still be opened. Nothing is proven then, and somebody has to look.
        """
        if at.tzinfo is None:
            raise UsageError("An erasure needs an aware time.", given=str(at))
        readable = [sample for sample in samples if self._opens(subject, sample)]
        receipt, moment = secrets.token_hex(8), at.astimezone(UTC)
        with self._writing() as connection:
            keys = connection.execute("DELETE FROM keys WHERE name = ?", (self._name(subject),)).rowcount
            connection.execute("INSERT INTO erasures VALUES (?, ?, ?)", (receipt, str(plain(moment)), keys))
        self._write_anew()
        still = [sample for sample in readable if self._opens(subject, sample)]
        if still:
            raise StoreError("An erased subject can still be read.", given=f"{len(still)} of {len(readable)} samples")
        return Erasure(receipt=receipt, at=moment, keys=keys, proven=len(readable))

    def erasures(self) -> Iterator[tuple[str, datetime, int]]:
        """Receipt, time and number of keys of every erasure, in the order of time."""
        rows = self._connection().execute("SELECT receipt, at, keys FROM erasures ORDER BY at, receipt").fetchall()
        return ((receipt, datetime.fromisoformat(at), keys) for receipt, at, keys in rows)

    def rewrap(self, master: bytes) -> int:
        """Wraps all keys by a new master key and returns how many; destroy the old one to make old copies useless.

        Other processes must open the vault again with the new master key.
        """
        new = _wrapping_key(master)
        with self._writing() as connection:
            rows = connection.execute("SELECT name, wrapped FROM keys").fetchall()
            fresh = [(seal(new, self._unwrap(name, wrapped), name), name) for name, wrapped in rows]
            connection.executemany("UPDATE keys SET wrapped = ? WHERE name = ?", fresh)
            connection.execute("UPDATE naming SET wrapped = ?", (seal(new, self._naming, b"naming"),))
        self._write_anew()
        self._wrapping = new
        return len(rows)

    def close(self) -> None:
        """Closes this thread's connection."""
        connection = self._local.__dict__.pop("connection", None)
        if connection is not None:
            connection.close()

    def _key(self, subject: str) -> bytes:
        """The subject's key; of two processes that make it at once, both get the same."""
        found = self._find(subject)
        if found is not None:
            return found
        name = self._name(subject)
        with self._writing() as connection:
            self._read_naming()  # or a key would be added under a master key that was replaced meanwhile
            wrapped = seal(self._wrapping, new_key(), name)
            connection.execute("INSERT OR IGNORE INTO keys VALUES (?, ?)", (name, wrapped))
            row = connection.execute("SELECT wrapped FROM keys WHERE name = ?", (name,)).fetchone()
        return self._unwrap(name, row[0])

    def _find(self, subject: str) -> bytes | None:
        """Asks the file each time: a key that is remembered would outlive its erasure by another process."""
        name = self._name(subject)
        row = self._connection().execute("SELECT wrapped FROM keys WHERE name = ?", (name,)).fetchone()
        return None if row is None else self._unwrap(name, row[0])

    def _opens(self, subject: str, sealed: Sealed) -> bool:
        try:
            self.open(subject, sealed)
        except (Erased, SealBroken):
            return False
        return True

    def _name(self, subject: str) -> bytes:
        return hmac.new(self._naming, subject.encode(), hashlib.sha256).digest()

    def _unwrap(self, name: bytes, wrapped: bytes) -> bytes:
        key = unseal(self._wrapping, wrapped, name)
        if key is None:
            raise UsageError(
                f"The master key does not open {self.path.name}.",
                accepted="the one that its keys were wrapped by last",
                hint="Open the vault again with the master key of today, or restore the one it was made with.",
            )
        return key

    def _read_naming(self) -> bytes:
        row = self._connection().execute("SELECT wrapped FROM naming").fetchone()
        return self._unwrap(b"naming", row[0])

    def _write_anew(self) -> None:
        """Deleted bytes are overwritten; a page that was rearranged may still hold a copy between its cells."""
        try:
            self._connection().execute("VACUUM")
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"{self.path.name} could not be written anew, so deleted keys may still lie in it.",
                given=str(error),
                hint="Erase the same subject once more when no other process reads.",
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"Nothing was written to {self.path.name}.",
                given=str(error),
                hint="Try again when nobody else uses it.",
            ) from error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None)
            for setting in _SETTINGS:
                connection.execute(f"PRAGMA {setting}")
            self._local.connection = connection
        return connection


def _wrapping_key(master: bytes) -> bytes:
    """Derived from the master key, which pseudonyms may use, too."""
    if len(master) != 32:
        raise UsageError("A master key has another length.", given=f"{len(master)} bytes", accepted="32 bytes")
    return hmac.new(master, b"kairos erasure: wrapping, 1", hashlib.sha256).digest()
