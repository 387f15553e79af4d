"""The index of runs follows the ledger, is never the truth, and answers what a list asks."""

from __future__ import annotations

import math
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kairos.errors import LedgerError, UsageError
from kairos.experiments import RunIndex, RunRecord, list_runs, parse_where
from kairos.experiments import index as tables
from kairos.ledger import Entry, Fact, SqliteLedger
from kairos.values import Json, plain
from tests.unprivileged import NO_PRIVILEGE, needs_permissions

MARCH = datetime(2012, 3, 3, 12, tzinfo=UTC)


def fact(
    run: str, *, kind: str = "run.finished", params: Json = None, metrics: Json = None, commit: str = "c1"
) -> Fact:
    steps: list[Json] = [
        {"status": "ran", "step": "split", "params": params or {}, "inputs": {}, "outputs": [], "code": "d"}
    ]
    body = {
        "started_at": MARCH.isoformat(),
        "window": "2011-01-01..2011-06-30",
        "steps": steps,
        "models": {"demand": "p"},
        "metrics": metrics or {},
        "code": {"commit": commit, "branch": "main"},
    }
    return Fact(kind=kind, subject=run, body=plain(body))


def write(ledger: SqliteLedger, *facts: Fact, actor: str = "ann", hours: float = 0) -> None:
    ledger.append_all(facts, actor=actor, at=MARCH + timedelta(hours=hours))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(tmp_path / "ledger.db")
    yield opened
    opened.close()


@pytest.fixture
def index(tmp_path: Path, ledger: SqliteLedger) -> Iterator[RunIndex]:
    opened = RunIndex(tmp_path / "runs.db", ledger)
    yield opened
    opened.close()


def ids(index: RunIndex, where: str | None = None, **wanted: Any) -> list[str]:
    return [one.run for one in list_runs(index, where=None if where is None else parse_where(where), **wanted)]


def test_the_index_follows_the_ledger(ledger: SqliteLedger, index: RunIndex) -> None:
    """The run that ended last comes first; other facts are no runs; a run told twice is there as it was told last."""
    assert ids(index) == []
    write(ledger, fact("r1", metrics={"m": 1.0}))
    write(ledger, fact("r2"), Fact(kind="finding", subject="demand", body={}), hours=1)
    assert ids(index) == ["r2", "r1"]
    write(ledger, fact("r1", kind="run.failed", metrics={"m": 2.0, "n": math.nan}), hours=2)
    first, second = list_runs(index)
    assert (first.run, first.status, first.metrics["m"]) == ("r1", "failed", 2.0)
    assert math.isnan(first.metrics["n"])
    assert (second.ended_at, second.actor, second.models) == (MARCH + timedelta(hours=1), "ann", ("demand",))
    assert ids(index, count=1) == ["r1"]
    assert ids(index, descending=True) == ["r2", "r1"]


@pytest.fixture
def many(ledger: SqliteLedger, index: RunIndex) -> RunIndex:
    """Four runs whose params and metrics are of several types."""
    write(ledger, fact("r1", params={"days": 7, "how": "fast", "flag": True}, metrics={"demand.mae": 41.5}), actor="bo")
    write(ledger, fact("r2", params={"days": 14, "how": None, "flag": False}, metrics={"demand.mae": 39}), hours=1)
    write(
        ledger, fact("r3", params={"days": "7", "how": {"$tuple": [1, 24]}}, metrics={"demand.mae": math.nan}), hours=2
    )
    write(ledger, fact("r4", kind="run.failed", commit="c2"), hours=30)
    return index


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("demand.mae < 40", "r2"),
        ("metrics.demand.mae >= 39", "r1 r2"),
        ("params.split.days = 7", "r1"),
        ("split.days = 7.0", "r1"),
        ("split.days = '7'", "r3"),
        ("split.days != 7", "r2 r3"),
        ("not split.days = 7", "r2 r3 r4"),
        ("split.flag = true", "r1"),
        ("split.how = none", "r2"),
        ("split.how ~ 24", "r3"),
        ('split.how = "(1, 24)"', "r3"),
        ("demand.mae = nan", "r3"),
        ("demand.mae < inf", "r1 r2"),
        ("status = failed", "r4"),
        ("commit != c1", "r4"),
        ("by = bo or status == failed and commit = c2", "r1 r4"),
        ("(by = bo or status = failed) and commit = c2", "r4"),
        ("ended >= 2012-03-04", "r4"),
        ("ended < 2012-03-03T15:00+02:00 AND by ~ an", ""),
        ("started > 2012-01-01 and window ~ 2011", "r1 r2 r3 r4"),
        ('by = "\'; DROP TABLE runs; --"', ""),
    ],
)
def test_runs_that_are_so_are_found(many: RunIndex, where: str, found: str) -> None:
    """Values are compared by their types; a run that lacks a value is no answer to any comparison of it."""
    assert sorted(ids(many, where)) == found.split()


def test_runs_are_sorted_by_what_was_named(many: RunIndex) -> None:
    """Those without a value, or with NaN, come last whichever way; the latest comes first among equals."""
    assert ids(many, sort="demand.mae") == ["r2", "r1", "r4", "r3"]
    assert ids(many, sort="demand.mae", descending=True) == ["r1", "r2", "r4", "r3"]
    assert ids(many, sort="split.days") == ["r1", "r2", "r3", "r4"]
    assert ids(many, sort="by") == ["r4", "r3", "r2", "r1"]
    assert ids(many, sort="ended", count=2) == ["r1", "r2"]


def test_columns_are_told_under_their_names(many: RunIndex) -> None:
    """With their types; a run that lacks one has no such key, and one whose value is None has."""
    told = {
        one.run: dict(one.columns) for one in list_runs(many, columns=["split.how", "split.flag", "ended", "commit"])
    }
    assert told["r1"] == {"split.how": "fast", "split.flag": True, "ended": MARCH, "commit": "c1"}
    assert told["r2"]["split.how"] is None
    assert told["r3"]["split.how"] == "(1, 24)"
    assert "split.how" not in told["r4"]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("demand.mea < 40", r"No run has 'demand.mea'.*fields: run.*metrics: demand.mae.*Did you mean 'demand.mae'"),
        ("mae < 40", r"Did you mean 'demand.mae'"),
        ("status = finishd", r"Did you mean 'finished'"),
        ("status = runing", r"finished, failed, running, dead.*Did you mean 'running'"),
        ("demand.mae < fast", r"'demand.mae' cannot be compared so.*< fast.*a number"),
        ("by < ann", r"text has no order"),
        ("started ~ 2012", r"a moment has an order"),
        ("started > yesterday", r"A moment cannot be read"),
        ("demand.mae <", r"cannot be read at its end.*a value.*demand.absolute_error < 40"),
        ("demand.mae 40", r"cannot be read at '40'.*one of ="),
        ("(by = ann", r"at its end.*and, or, or \)"),
        ("by = ann by = bo", r"at 'by = bo'.*and, or, or the end"),
        ("by = 'ann", r"at \"'ann\".*quotes closed"),
        ("", r"at its end.*a name"),
        ("not " * 101 + "by = ann", r"more than 100"),
        (" and ".join(["by = ann"] * 101), r"more than 100"),
    ],
)
def test_what_cannot_be_asked_is_said(many: RunIndex, where: str, said: str) -> None:
    """The error names the place or the name, what is accepted, and the nearest."""
    with pytest.raises(UsageError, match=f"(?s){said}"):
        ids(many, where)


def test_a_name_of_two_things_is_asked_back(ledger: SqliteLedger, index: RunIndex) -> None:
    """A metric and a param may have one name; their part says which is meant."""
    write(ledger, fact("r1", params={"days": 7}, metrics={"split.days": 8.0}))
    with pytest.raises(UsageError, match=r"more than once.*metrics.split.days, params.split.days"):
        ids(index, "split.days = 7")
    assert ids(index, "params.split.days = 7") == ["r1"]
    assert ids(index, "metrics.split.days = 7") == []


def test_an_index_is_made_again_where_it_does_not_fit(tmp_path: Path, ledger: SqliteLedger) -> None:
    """A damaged file, another format, another ledger in its place: the ledger is the truth."""
    write(ledger, fact("r1"))
    place = tmp_path / "runs.db"

    def listed(of: SqliteLedger = ledger) -> list[str]:
        index = RunIndex(place, of)
        try:
            return ids(index)
        finally:
            index.close()

    assert listed() == ["r1"]
    place.write_bytes(b"no database at all" * 100)
    assert listed() == ["r1"]
    connection = sqlite3.connect(place)
    connection.execute("PRAGMA user_version = 99")
    connection.execute("UPDATE runs SET run = 'lie'")
    connection.commit()
    connection.close()
    assert listed() == ["r1"]
    other = SqliteLedger(tmp_path / "other.db")
    write(other, fact("r9"))
    assert listed(other) == ["r9"]
    other.close()


def test_a_fact_that_is_no_run_stops_the_index_there(ledger: SqliteLedger, index: RunIndex) -> None:
    """It is named, and what was indexed before is not lost."""
    write(ledger, fact("r1"))
    assert ids(index) == ["r1"]
    write(ledger, Fact(kind="run.finished", subject="r2", body={"steps": []}))
    with pytest.raises(LedgerError, match=r"Entry 2 .*'r2'"):
        ids(index)


@needs_permissions
def test_where_nothing_may_be_written_the_index_is_in_memory(tmp_path: Path, ledger: SqliteLedger) -> None:
    """A folder of another person is listed all the same, and nothing is left there."""
    write(ledger, fact("r1"))
    ledger.close()
    code = """
import sys
from pathlib import Path
from kairos.experiments import RunIndex, list_runs
from kairos.ledger import SqliteLedger
home = Path(sys.argv[1])
index = RunIndex(home / "runs.db", SqliteLedger(home / "ledger.db"))
print([one.run for one in list_runs(index)])
index.close()
"""
    for path in (*tmp_path.iterdir(), tmp_path):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        command = [*NO_PRIVILEGE, sys.executable, "-c", code, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("['r1']\n", "")
        assert not (tmp_path / "runs.db").exists()
    finally:
        tmp_path.chmod(0o755)


def test_several_processes_make_one_index(tmp_path: Path, ledger: SqliteLedger) -> None:
    """Whoever comes second waits, and finds it made."""
    write(ledger, *(fact(f"r{number:04}") for number in range(700)))

    def listed(_: int) -> int:
        mine = SqliteLedger(ledger.path)
        index = RunIndex(tmp_path / "runs.db", mine)
        found = len(ids(index))
        index.close()
        mine.close()
        return found

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(listed, range(4))) == [700] * 4


def test_a_killed_process_leaves_a_sound_index(tmp_path: Path, ledger: SqliteLedger) -> None:
    """Killed in the middle of taking runs in, with some of them written: the next one takes in all."""
    write(ledger, *(fact(f"r{number:04}") for number in range(1200)))
    code = """
import os, signal, sys
from pathlib import Path
from kairos.experiments import RunIndex, index
from kairos.ledger import SqliteLedger
put, calls = index._put, []
def dying(connection, records):
    put(connection, records)
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
index._put = dying
home = Path(sys.argv[1])
RunIndex(home / "runs.db", SqliteLedger(home / "ledger.db")).follow()
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    index = RunIndex(tmp_path / "runs.db", ledger)
    assert len(ids(index)) == 1200
    assert tables._place(index.follow())[0] == 1200
    index.close()


def test_one_run_is_found_without_reading_the_others(
    ledger: SqliteLedger, index: RunIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once they are indexed, no other run's fact is looked at, whichever way it is named."""
    from kairos.experiments import find_run, runs

    write(ledger, *(fact(f"r{number:04}") for number in range(30)), fact("s1"))
    index.follow()
    seen: list[str] = []
    real = runs.__globals__["run_record"]

    def noting(entry: Entry) -> RunRecord:
        seen.append(entry.subject)
        record: RunRecord = real(entry)
        return record

    monkeypatch.setitem(runs.__globals__, "run_record", noting)
    assert find_run(index, "r0007").run == "r0007"
    assert find_run(index, "s").run == "s1"
    assert seen == ["r0007", "s1"]
