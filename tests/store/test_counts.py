"""Counts of several processes: they add up, survive a reader at any moment, and tell who is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import StoreError
from kairos.store.counts import Comparison, CountLog, FailedLoad, Process, Sheet, merged

NOW = datetime(2012, 1, 1, 12, tzinfo=UTC)
COMPARISON = Comparison(model="demand", base=1, test=2, since=NOW - timedelta(hours=1, microseconds=7))
FAILED = FailedLoad(model="demand", version=2, package="0" * 32, reason="torn")


def sheet(share: float = 0.05, limits: dict[str, int] | None = None, **counts: int) -> Sheet:
    return Sheet(comparison=COMPARISON, share=share, counts=counts, limits=limits or {})


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Sheets with their limits, what could not be loaded, and when."""
    log = CountLog(tmp_path)
    writer = log.writer("server-7", now=NOW)
    sheets = [sheet(0.05, {"slow_p99": 50_000}, requests=3), sheet(0.25, requests=4)]
    later = NOW + timedelta(seconds=1)
    writer.write(sheets, failed_loads=[FAILED], now=later)
    [found] = CountLog(tmp_path).processes()
    assert found == Process(
        worker="server-7-1", started_at=NOW, written_at=later, sheets=tuple(sheets), failed_loads=(FAILED,)
    )


def test_a_write_replaces_what_was_written_before(tmp_path: Path) -> None:
    """The file holds totals, so reading it twice or missing a write changes nothing."""
    log = CountLog(tmp_path)
    writer = log.writer("a", now=NOW)
    for total in range(5):
        writer.write([sheet(requests=total)], now=NOW + timedelta(seconds=total))
        assert merged(log.processes(), COMPARISON) == merged(log.processes(), COMPARISON)
        assert merged(log.processes(), COMPARISON)[0.05]["requests"] == total


def test_a_new_process_of_the_same_name_has_a_file_of_its_own(tmp_path: Path) -> None:
    """After a restart the former totals stand, and the new ones are added."""
    log = CountLog(tmp_path)
    for total in (3, 4):
        writer = log.writer("a", now=NOW)
        writer.write([sheet(requests=total)], now=NOW, has_ended=total == 3)
        writer.close()
    both = CountLog(tmp_path).writer("a", now=NOW), CountLog(tmp_path).writer("a", now=NOW)
    both[1].write([sheet(requests=5)], now=NOW)
    assert [p.worker for p in log.processes()] == ["a-1", "a-2", "a-4"]
    assert merged(log.processes(), COMPARISON) == {0.05: {"requests": 12}}
    assert [(p.has_ended, p.is_gone) for p in log.processes()] == [(True, True), (False, True), (False, False)]


@given(st.lists(st.tuples(st.integers(0, 7), st.sampled_from([0.01, 0.05]), st.integers(0, 99)), max_size=40))
def test_sums_do_not_depend_on_who_counted_or_on_order(events: list[tuple[int, float, int]]) -> None:
    """Split over eight processes, in any order: the same totals as of one."""
    whole = [sheet(share, n=number) for _, share, number in events]
    blank = Process(worker="", started_at=NOW, written_at=NOW)
    split = [
        replace(blank, sheets=tuple(s for s, (who, _, _) in zip(whole, events, strict=True) if who == number))
        for number in range(8)
    ]
    together = merged([replace(blank, sheets=tuple(whole))], COMPARISON)
    assert merged(split, COMPARISON) == merged(split[::-1], COMPARISON) == together


def test_a_process_that_was_killed_is_told_from_one_that_said_goodbye(tmp_path: Path) -> None:
    """``kill -9`` leaves no goodbye; the lock on the file ends with the process."""
    program = (
        "import sys, time; from pathlib import Path; from datetime import UTC, datetime\n"
        "from kairos.store.counts import CountLog\n"
        "writer = CountLog(Path(sys.argv[1])).writer('a', now=datetime.now(UTC))\n"
        "writer.write([], now=datetime.now(UTC)); print('here', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        log = CountLog(tmp_path)
        assert [(p.has_ended, p.is_gone) for p in log.processes()] == [(False, False)]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert [(p.has_ended, p.is_gone) for p in log.processes()] == [(False, True)]


def test_a_file_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    """A torn disk, or a release with another format: what can be read counts."""
    log = CountLog(tmp_path)
    log.writer("a", now=NOW).write([sheet(requests=1)], now=NOW)
    (tmp_path / "b-1.json").write_bytes(b'{"format": 2}')
    (tmp_path / "c-1.json").write_bytes(b"")
    assert [p.worker for p in log.processes()] == ["a-1"]


def test_files_of_long_ended_processes_go(tmp_path: Path) -> None:
    """A folder of a server that is started anew every day does not grow for ever; what is alive or young stays."""
    log = CountLog(tmp_path)
    old, young, alive = (log.writer(name, now=NOW - timedelta(days=91)) for name in ("old", "young", "alive"))
    old.write([], now=NOW - timedelta(days=91))
    young.write([], now=NOW - timedelta(days=89))
    alive.write([], now=NOW - timedelta(days=91))
    old.close()
    young.close()
    log.writer("new", now=NOW)
    assert [p.worker for p in log.processes()] == ["alive-1", "young-1"]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """At the start and later, by name; nothing is written once the writer is closed."""
    writer = CountLog(tmp_path / "counts").writer("a", now=NOW)
    (tmp_path / "counts" / "a-1.tmp").mkdir()
    with pytest.raises(StoreError, match="Counts cannot be written"):
        writer.write([], now=NOW)
    (tmp_path / "counts" / "a-1.tmp").rmdir()
    writer.close()
    writer.close()
    writer.write([sheet()], now=NOW)
    assert CountLog(tmp_path / "counts").processes() == ()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="folder of counts"):
        CountLog(tmp_path / "file").writer("a", now=NOW)
