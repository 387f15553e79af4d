"""Durable writers: what a commit has ended well for survives a power cut, and nobody who appends waits for the disk."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairos.errors import StoreError
from kairos.store import durable
from kairos.store.predictions import Label, Prediction, PredictionLog, PredictionWriter
from kairos.store.spool import Commit, spools
from tests.store.disks import Disk

AT = datetime(2011, 1, 1, tzinfo=UTC)


def prediction(name: str) -> Prediction:
    """One row."""
    return Prediction(
        id=name,
        at=AT,
        model="demand",
        version=1,
        role="champion",
        answered=True,
        share=0.0,
        inputs={"temp": 0.5},
        raw=1.0,
        output=1.0,
        latency_us=1,
    )


def append(writer: PredictionWriter, name: str) -> Commit:
    """Appends one row and gives its commit."""
    commit = writer.append([prediction(name)])
    assert commit is not None
    return commit


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits, within reason."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.001)


def missing(root: Path, names: set[str]) -> set[str]:
    """Those of the ids that the log below ``root`` does not have exactly once."""
    log = PredictionLog(root)
    log.roll()  # as the next process would; what the cut tore is skipped
    return {name for name in names if len(log.find(name)) != 1}


def test_a_commit_that_ended_well_is_on_the_disk(tmp_path: Path) -> None:
    """A real disk; the log reads it, and a writer that is closed has committed all."""
    writer = PredictionLog(tmp_path).writer("w", is_durable=True)
    commits = {str(n): append(writer, str(n)) for n in range(20)}
    assert commits["7"].result(30) is None
    writer.append_labels([Label(prediction_id="7", value=1.0, at=AT)])
    writer.close()
    writer.close()
    assert all(commit.result(0) is None for commit in commits.values())
    assert missing(tmp_path, set(commits)) == set()
    assert PredictionLog(tmp_path).labels().height == 1
    with pytest.raises(StoreError):
        append(writer, "late")


def test_appends_do_not_wait_for_the_disk_and_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a sync takes: whatever comes meanwhile is appended at once and is synced together, by one more."""
    disk = Disk(monkeypatch)
    writer = PredictionLog(tmp_path).writer("w", is_durable=True)
    before = disk.syncs
    disk.gate.clear()
    first = append(writer, "first")
    until(lambda: disk.syncs == before + 1, "the thread syncs")
    rest = [append(writer, str(n)) for n in range(50)]
    assert not first.done()
    assert len({id(commit) for commit in rest}) == 1
    disk.gate.set()
    assert rest[-1].result(30) is None
    assert first.done()
    assert disk.syncs == before + 2
    writer.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["append", "append", "append", "fail", "full", "wait"]), max_size=40), st.randoms())
def test_what_was_acknowledged_survives_a_power_cut(steps: list[str], chance: random.Random) -> None:
    """However syncs and writes fail, in whatever order: every id whose commit ended well is read after the cut."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        root, broken, full, commits = Path(folder).resolve(), [0], [0], dict[str, Commit]()
        patch.setattr(durable, "RETRY_S", 0.005)
        patch.setattr(durable, "LARGEST_SPOOL_BYTES", 1500)
        disk = Disk(patch, fails=lambda: take(broken))
        real = os.write

        def write(handle: int, data: Any) -> int:
            if take(full):
                raise OSError(28, "No space left on device")
            return real(handle, data)

        writer = PredictionLog(root).writer("w", is_durable=True)
        patch.setattr("kairos.store.files.os.write", write)
        for number, step in enumerate(steps):
            if step == "append":
                try:
                    commits[str(number)] = append(writer, str(number))
                except StoreError:
                    assert writer.trouble is not None or not full[0]
            elif step == "wait":
                time.sleep(chance.choice([0.0, 0.002, 0.008]))
            else:
                (broken if step == "fail" else full)[0] += 1
        time.sleep(chance.choice([0.0, 0.005]))
        acknowledged = {name for name, each in commits.items() if each.done() and each.exception() is None}
        safe, lost = dict(disk.safe), list(disk.lost)  # the power goes now
        broken[0] = full[0] = 0
        writer.close()
        disk.safe, disk.lost = safe, lost
        disk.cut_power(root)
        assert missing(root, acknowledged) == set()
        assert all(each.done() for each in commits.values()), "nobody waits for ever"


def take(left: list[int]) -> bool:
    """Whether one of so many is left; takes it."""
    if left[0] <= 0:
        return False
    left[0] -= 1
    return True


def test_after_a_sync_that_failed_the_file_is_never_trusted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All that waited for it fails, what comes later goes into a new spool, and labels are refused meanwhile."""
    monkeypatch.setattr(durable, "RETRY_S", 0.01)
    is_broken = False
    disk = Disk(monkeypatch, fails=lambda: is_broken)
    writer = PredictionLog(tmp_path).writer("w", is_durable=True)
    assert append(writer, "fine").result(30) is None
    disk.gate.clear()
    is_broken = True
    first, syncs = append(writer, "first"), disk.syncs
    until(lambda: disk.syncs > syncs or not first.done(), "the thread syncs")
    second = append(writer, "second")
    disk.gate.set()
    for commit in (first, second):
        assert isinstance(commit.exception(30), StoreError)
    until(lambda: writer.trouble is not None, "the trouble is told")
    with pytest.raises(StoreError):
        writer.append_labels([Label(prediction_id="fine", value=1.0, at=AT)])
    is_broken = False
    until(lambda: writer.trouble is None, "it goes on by itself")
    assert append(writer, "third").result(30) is None
    assert [path.name for path in spools(tmp_path)][-1] != "w-1.journal"
    assert len(spools(tmp_path)) == 2, "what was tried in vain left nothing behind"
    disk.cut_power(tmp_path)
    assert missing(tmp_path, {"fine", "third"}) == set()
    assert caplog.text.count("could not be synced") == 1
    writer.close()


def test_a_disk_that_has_room_again_is_noticed_without_traffic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody is sent to a server that refuses, nobody would find out."""
    monkeypatch.setattr(durable, "RETRY_S", 0.01)
    writer, is_full = PredictionLog(tmp_path).writer("w", is_durable=True), True
    real = os.write

    def write(handle: int, data: Any) -> int:
        if is_full:
            raise OSError(28, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr("kairos.store.files.os.write", write)
    with pytest.raises(StoreError, match="No space left"):
        append(writer, "lost")
    assert "No space left" in str(writer.trouble)
    is_full = False
    until(lambda: writer.trouble is None, "it is noticed")
    writer.close()
    assert missing(tmp_path, {"lost"}) == {"lost"}


def test_a_large_spool_is_followed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the thread of the commits, and nothing is lost at the seam."""
    monkeypatch.setattr(durable, "LARGEST_SPOOL_BYTES", 2000)
    disk = Disk(monkeypatch)
    writer = PredictionLog(tmp_path).writer("w", is_durable=True)
    for number in range(200):
        commit = append(writer, str(number))
        if number % 7 == 0:
            assert commit.result(30) is None
    writer.close()
    assert len(spools(tmp_path)) > 3
    disk.cut_power(tmp_path)
    assert missing(tmp_path, set(map(str, range(200)))) == set()
