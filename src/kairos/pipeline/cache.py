"""Which computation gave which artifacts, in one SQLite file that several processes may use at once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kairos.errors import PipelineError
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.fingerprint import Fingerprint
from kairos.values import canonical_json

__all__ = ["StepCache"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL UNIQUE,
    place TEXT NOT NULL,
    parts TEXT NOT NULL,
    outputs TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_place ON results (place, number);
"""


class StepCache:
    """Remembers results by fingerprint. Losing the file loses no result, only the knowledge that there is one.

    Safe from several threads and processes: each call is one transaction of SQLite.

    Args:
        path: The file; made, with its folder, when it is not there.

    Raises:
        PipelineError: the file is damaged; so from every method.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._damage_named():
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)

    def get(self, digest: str) -> tuple[Artifact, ...] | None:
        """The artifacts of the computation with this fingerprint, or ``None``."""
        row = self._first("SELECT outputs FROM results WHERE fingerprint = ?", digest)
        return None if row is None else tuple(Artifact.from_plain(each) for each in json.loads(row))

    def put(self, place: str, made: Fingerprint, outputs: Sequence[Artifact]) -> None:
        """Remembers a result; artifacts must be in the store already.

        Args:
            place: The step, or one partition of it; the last fingerprint of a place explains a change.
            made: The computation.
            outputs: What it gave.
        """
        row = (
            made.digest,
            place,
            canonical_json(made.plain()).decode(),
            canonical_json([output.plain() for output in outputs]).decode(),
        )
        with self._damage_named():
            self._connection.execute(
                "INSERT OR REPLACE INTO results (fingerprint, place, parts, outputs) VALUES (?, ?, ?, ?)", row
            )

    def last(self, place: str) -> Fingerprint | None:
        """The fingerprint that was put last for this place, or ``None``."""
        row = self._first("SELECT parts FROM results WHERE place = ? ORDER BY number DESC LIMIT 1", place)
        return None if row is None else Fingerprint.from_plain(json.loads(row))

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def _first(self, query: str, key: str) -> str | None:
        with self._damage_named():
            row = self._connection.execute(query, (key,)).fetchone()
        return None if row is None else str(row[0])

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise PipelineError(
                f"The cache {self._path.name} cannot be used.",
                given=str(error),
                hint="Delete it: steps then run again.",
            ) from error
