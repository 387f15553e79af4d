"""The ledger: append-only, hash-linked, one writer at a time, valid after any crash."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kairos.errors import LedgerBusy, LedgerError, LedgerMoved, UsageError
from kairos.ledger import GENESIS, Entry, Fact, SqliteLedger, latest_first

MARCH = datetime(2012, 3, 3, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(tmp_path / "ledger.db")
    yield opened
    opened.close()


def write(ledger: SqliteLedger, number: int = 1, *, at: datetime = MARCH, kind: str = "finding") -> Entry:
    return ledger.append(kind, subject="demand", body={"number": number}, actor="test", at=at)


def test_entries_come_back_as_they_were_written(ledger: SqliteLedger) -> None:
    """What is read equals what ``append`` returned, NaN tag included."""
    first = ledger.append("finding", subject="demand", body={"psi": float("nan"), "ok": True}, actor="ann", at=MARCH)
    second = write(ledger)
    assert list(ledger.read()) == [first, second]
    assert first.prev == GENESIS
    assert second.prev == first.hash
    assert first.body == {"psi": {"$float": "nan"}, "ok": True}


def test_the_same_facts_give_the_same_hashes(tmp_path: Path) -> None:
    """Hashes depend on nothing but the facts."""
    heads = []
    for name in ("a.db", "b.db"):
        ledger = SqliteLedger(tmp_path / name)
        heads.append([write(ledger, n).hash for n in range(5)])
        ledger.close()
    assert heads[0] == heads[1]


def test_reading_filters_by_kind_subject_time_and_position(ledger: SqliteLedger) -> None:
    """``read`` gives only what was asked for, in order."""
    for day in range(4):
        write(ledger, day, at=MARCH + timedelta(days=day), kind="a" if day % 2 else "b")
    assert [e.body["number"] for e in ledger.read(kinds={"a"})] == [1, 3]
    assert [e.body["number"] for e in ledger.read(until=MARCH + timedelta(days=1))] == [0, 1]
    assert [e.body["number"] for e in ledger.read(after=2)] == [2, 3]
    assert list(ledger.read(subject="other")) == []
    assert ledger.head() == 4


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1000])
def test_the_last_ones_come_first_and_each_comes_once(ledger: SqliteLedger, count: int) -> None:
    """Whatever the number, of the kinds that are asked for and no others."""
    kinds = ("finding", "other", "third")
    facts = [Fact(kind=kinds[n % 3], subject="demand", body={"n": n}) for n in range(count)]
    for start in range(0, count, 100):
        ledger.append_all(facts[start : start + 100], actor="test", at=MARCH)
    asked = [entry for entry in ledger.read() if entry.kind in ("finding", "third")]
    assert list(latest_first(ledger, kinds=["finding", "third"])) == asked[::-1]


def test_a_decision_on_old_facts_is_refused(ledger: SqliteLedger) -> None:
    """With ``expect``, two controllers never both write: the second is told that the ledger moved."""
    head = ledger.head()
    ledger.append("a", subject="demand", body={}, actor="one", at=MARCH, expect=head)
    with pytest.raises(LedgerMoved, match="the ledger is at 1"):
        ledger.append("a", subject="demand", body={}, actor="two", at=MARCH, expect=head)
    assert ledger.head() == 1


def test_entries_cannot_be_changed_or_deleted_by_sql(ledger: SqliteLedger) -> None:
    """The file itself refuses UPDATE and DELETE."""
    write(ledger)
    with sqlite3.connect(ledger.path) as connection:
        for statement in ("UPDATE entries SET actor = 'x'", "DELETE FROM entries"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("change", "seq"),
    [
        ("UPDATE entries SET body = '{\"number\":9}' WHERE seq = 2", 2),
        ("UPDATE entries SET at = '2012-01-01T00:00:00Z' WHERE seq = 3", 3),
        ("UPDATE entries SET actor = 'mallory' WHERE seq = 1", 1),
        ("UPDATE entries SET body = 'not json' WHERE seq = 2", 2),
        ("DELETE FROM entries WHERE seq = 2", 2),
    ],
)
def test_verify_names_the_first_entry_that_was_tampered_with(ledger: SqliteLedger, change: str, seq: int) -> None:
    """Somebody who gets round the triggers is still found out."""
    for number in range(4):
        write(ledger, number)
    assert ledger.verify().is_intact
    with sqlite3.connect(ledger.path) as connection:
        connection.executescript(f"DROP TRIGGER no_update; DROP TRIGGER no_delete; {change}")
    connection.close()
    verification = ledger.verify()
    assert verification.broken_seq == seq
    assert verification.problem is not None
    assert f"entry {seq}" in verification.problem.lower()
    assert verification.entries == seq - 1


def test_many_writers_make_one_chain(ledger: SqliteLedger) -> None:
    """Threads that write at once neither lose an entry nor break the chain."""

    def work(number: int) -> None:
        write(ledger, number)
        ledger.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert sorted(e.body["number"] for e in ledger.read()) == list(range(40))
    assert ledger.verify().entries == 40


def test_a_writer_that_waits_too_long_is_told_why(tmp_path: Path) -> None:
    """A stuck writer elsewhere gives ``LedgerBusy``, and nothing is written."""
    ledger = SqliteLedger(tmp_path / "ledger.db", busy_timeout_s=0.1)
    blocker = sqlite3.connect(ledger.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusy, match=r"more than 0\.1 s"):
        write(ledger)
    blocker.execute("ROLLBACK")
    blocker.close()
    assert write(ledger).seq == 1
    ledger.close()


def test_killing_a_writer_leaves_a_valid_prefix(tmp_path: Path) -> None:
    """``kill -9`` in the middle of writing: every acknowledged entry is there and the chain is intact."""
    path, acknowledged = tmp_path / "ledger.db", tmp_path / "acknowledged"
    script = (
        "import sys, pathlib, datetime\n"
        "from kairos.ledger import SqliteLedger\n"
        f"ledger = SqliteLedger(pathlib.Path({str(path)!r}))\n"
        f"out = open({str(acknowledged)!r}, 'a')\n"
        "for n in range(100000):\n"
        "    e = ledger.append('a', subject='s', body={'n': n}, actor='t',"
        " at=datetime.datetime(2012, 1, 1, tzinfo=datetime.UTC))\n"
        "    out.write(e.hash + chr(10)); out.flush()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 30
    while not (acknowledged.exists() and acknowledged.stat().st_size > 65 * 20):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    hashes = acknowledged.read_text().split("\n")[:-1]
    ledger = SqliteLedger(path)
    assert ledger.verify().is_intact
    assert [e.hash for e in ledger.read()][: len(hashes)] == hashes
    assert write(ledger).seq == ledger.head()
    ledger.close()


class Interrupted:
    """A connection whose user presses Ctrl-C just after something was done."""

    def __init__(self, connection: sqlite3.Connection, after: str) -> None:
        self._connection, self._after = connection, after

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """As the real one, and then the interruption."""
        cursor = self._connection.execute(statement, *values)
        if statement.startswith(self._after):
            raise KeyboardInterrupt
        return cursor


@pytest.mark.parametrize(("after", "kept"), [("BEGIN", 1), ("INSERT", 1), ("COMMIT", 2)])
def test_ctrl_c_in_the_middle_of_a_fact_stays_ctrl_c(ledger: SqliteLedger, after: str, kept: int) -> None:
    """It is there whole or not at all, nothing hides why it stopped, and the next fact goes on."""
    write(ledger)
    connection = ledger._connection()
    ledger._local.connection = Interrupted(connection, after)
    with pytest.raises(KeyboardInterrupt):
        write(ledger)
    ledger._local.connection = connection
    assert ledger.head() == kept
    write(ledger)
    assert ledger.verify().is_intact


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    path = tmp_path / "ledger.db"
    path.write_bytes(b"hello" * 1000)
    with pytest.raises(LedgerError, match=r"ledger\.db"):
        SqliteLedger(path)


def test_a_naive_time_is_refused(ledger: SqliteLedger) -> None:
    """Facts carry aware times only."""
    with pytest.raises(UsageError, match="aware"):
        write(ledger, at=datetime(2012, 1, 1))  # noqa: DTZ001  the point of the test


def test_a_file_that_is_gone_is_an_error_and_nothing_is_written_elsewhere(tmp_path: Path, ledger: SqliteLedger) -> None:
    """Not an empty ledger in its place, and no fact for a file that nobody else sees; put back, it goes on."""
    write(ledger)
    for path in tmp_path.iterdir():
        path.rename(path.with_name(f"away-{path.name}"))
    for use in (ledger.head, lambda: list(ledger.read()), lambda: write(ledger)):
        with pytest.raises(LedgerError, match=r"The ledger ledger\.db is gone"):
            use()
    assert not (tmp_path / "ledger.db").exists()
    for path in tmp_path.iterdir():
        path.rename(path.with_name(path.name.removeprefix("away-")))
    assert (ledger.head(), write(ledger, 2).seq) == (1, 2)
    assert ledger.verify().is_intact


def put(source: Path, place: Path) -> None:
    """Puts a file in a ledger's place, as one does who knows SQLite: what the former had beside it goes."""
    for beside in ("-wal", "-shm"):
        place.with_name(place.name + beside).unlink(missing_ok=True)
    source.replace(place)


def test_another_file_in_its_place_is_what_is_read(tmp_path: Path, ledger: SqliteLedger) -> None:
    """By connections that were open as well: a copy that was put back counts, and garbage is an error."""
    write(ledger)
    other = SqliteLedger(tmp_path / "other.db")
    for number in range(3):
        write(other, number)
    other.close()
    put(tmp_path / "other.db", tmp_path / "ledger.db")
    assert ledger.head() == 3
    (tmp_path / "garbage").write_bytes(b"garbage" * 1000)
    put(tmp_path / "garbage", tmp_path / "ledger.db")
    with pytest.raises(sqlite3.DatabaseError):
        ledger.head()
