"""Journals: what was acknowledged is there, what is torn is cut off, what is damaged is named."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairos.errors import StoreError, UsageError
from kairos.store.journal import JournalWriter, read_journal

PAYLOADS = st.lists(st.binary(max_size=40), max_size=8)


def payloads_in(path: Path, start: int = 0) -> list[bytes]:
    return [payload for _, payload in read_journal(path, start=start)]


def write(path: Path, payloads: list[bytes]) -> list[int]:
    """Appends each payload on its own; returns the offsets after each."""
    with JournalWriter(path) as writer:
        return [writer.append([payload]) for payload in payloads]


@given(st.lists(PAYLOADS, max_size=4))
def test_every_payload_comes_back_in_order(batches: list[list[bytes]]) -> None:
    """Any bytes, in any batches, over any number of openings, read back as they were appended."""
    with tempfile.TemporaryDirectory() as base:
        path, end = Path(base) / "x.journal", 0
        path.touch()
        for batch in batches:
            with JournalWriter(path) as writer:
                end = writer.append(batch)
        assert payloads_in(path) == [payload for batch in batches for payload in batch]
        assert path.stat().st_size == end


@given(PAYLOADS, st.data())
def test_reading_goes_on_where_it_stopped(payloads: list[bytes], data: st.DataObject) -> None:
    """Every end offset is a place to go on from."""
    with tempfile.TemporaryDirectory() as base:
        path = Path(base) / "x.journal"
        ends = [0, *write(path, payloads)]
        place = data.draw(st.integers(0, len(payloads)))
        assert payloads_in(path, start=ends[place]) == payloads[place:]


@given(PAYLOADS.filter(bool), st.data())
def test_cut_anywhere_only_the_torn_frame_is_lost(payloads: list[bytes], data: st.DataObject) -> None:
    """Wherever a write is cut, every frame before the cut is read, and a new writer goes on right behind them."""
    with tempfile.TemporaryDirectory() as base:
        path = Path(base) / "x.journal"
        ends = write(path, payloads)
        cut = data.draw(st.integers(0, ends[-1]))
        os.truncate(path, cut)
        whole = payloads[: sum(end <= cut for end in ends)]
        assert payloads_in(path) == whole
        write(path, [b"next"])
        assert payloads_in(path) == [*whole, b"next"]


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=12), min_size=2, max_size=6), st.data())
def test_any_flipped_bit_in_the_middle_is_named(payloads: list[bytes], data: st.DataObject) -> None:
    """Whatever bit is flipped before the last frame: nothing false is read, and the error names the frame's offset."""
    with tempfile.TemporaryDirectory() as base:
        path = Path(base) / "x.journal"
        ends = [0, *write(path, payloads)]
        content = bytearray(path.read_bytes())
        bit = data.draw(st.integers(0, ends[-2] * 8 - 1))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        hit = max(i for i, end in enumerate(ends) if end <= bit // 8)
        with pytest.raises(StoreError, match=rf"x\.journal.*byte {ends[hit]}\.") as caught:
            payloads_in(path)
        assert caught.value.facts["offset"] == ends[hit]
        before = content.copy()
        with pytest.raises(StoreError):
            JournalWriter(path)
        assert path.read_bytes() == before
        skipped: list[tuple[int, int]] = []
        rest = [p for _, p in read_journal(path, on_damage=lambda first, last: skipped.append((first, last)))]
        assert rest == payloads[:hit] + payloads[hit + 1 :]
        assert skipped == [(ends[hit], ends[hit + 1])]


def test_zeros_after_a_power_cut_are_a_torn_tail(tmp_path: Path) -> None:
    """File systems may leave zeros where a write was under way; they are cut off."""
    path = tmp_path / "x.journal"
    write(path, [b"one"])
    with path.open("ab") as file:
        file.write(b"\0" * 100)
    write(path, [b"two"])
    assert payloads_in(path) == [b"one", b"two"]


def test_whole_last_frame_with_wrong_bytes_is_damage_not_a_tail(tmp_path: Path) -> None:
    """An acknowledged frame is never cut off silently, not even the last one."""
    path = tmp_path / "x.journal"
    write(path, [b"one", b"two"])
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(StoreError, match="damaged"):
        payloads_in(path)


def test_frame_under_way_behind_damage_is_read_later(tmp_path: Path) -> None:
    """Skipping damage never skips a frame that its writer is still writing."""
    path = tmp_path / "x.journal"
    first, end = write(path, [b"one", b"two"])
    whole = bytearray(path.read_bytes())
    whole[first - 1] ^= 1
    path.write_bytes(whole[:-1])
    skipped: list[tuple[int, int]] = []
    assert list(read_journal(path, on_damage=lambda first, last: skipped.append((first, last)))) == []
    assert skipped == [(0, first)]
    path.write_bytes(whole)
    assert list(read_journal(path, start=first)) == [(end, b"two")]


def test_second_writer_is_refused(tmp_path: Path) -> None:
    """A journal has one writer; closing gives the place back, and a closed writer refuses to append."""
    writer = JournalWriter(tmp_path / "x.journal")
    with pytest.raises(StoreError, match="Another writer"):
        JournalWriter(tmp_path / "x.journal")
    writer.close()
    writer.close()
    writer.sync()
    with pytest.raises(StoreError, match="closed"):
        writer.append([b"late"])
    assert write(tmp_path / "x.journal", [b"mine"])


def test_threads_do_not_mix_their_frames(tmp_path: Path) -> None:
    """Appends from several threads are each whole and next to each other."""
    path = tmp_path / "x.journal"
    with JournalWriter(path) as writer:

        def work(name: int) -> None:
            for number in range(200):
                writer.append([b"%d:%d:a" % (name, number), b"%d:%d:b" % (name, number)])

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = payloads_in(path)
    assert len(found) == 1600
    assert all(a[:-1] == b[:-1] for a, b in zip(found[::2], found[1::2], strict=True))


def test_full_disk_keeps_nothing_of_the_append(tmp_path: Path) -> None:
    """An append that fails half-way is undone, and the journal can be appended to again."""
    path = tmp_path / "x.journal"
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with JournalWriter(path) as writer:
            writer.append([b"one"])
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
            with pytest.raises(StoreError, match="nothing of this append"):
                writer.append([b"x" * 600, b"y" * 600])
            writer.append([b"two"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert payloads_in(path) == [b"one", b"two"]


def test_what_a_failed_append_left_is_cut_off_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If even the undoing fails, the error is the same, a reader skips the part, and later appends lose nothing."""
    path = tmp_path / "x.journal"
    real_write, real_cut = os.write, os.ftruncate

    def half(handle: int, data: bytes) -> int:
        real_write(handle, data[:20])
        raise OSError(28, "No space left on device")

    def no_cut(handle: int, length: int) -> None:
        raise OSError(5, "Input/output error")

    with JournalWriter(path) as writer:
        writer.append([b"one"])
        monkeypatch.setattr(os, "write", half)
        monkeypatch.setattr(os, "ftruncate", no_cut)
        for _ in range(2):
            with pytest.raises(StoreError, match="nothing of this append"):
                writer.append([b"x" * 50])
        assert payloads_in(path) == [b"one"]
        monkeypatch.setattr(os, "write", real_write)
        with pytest.raises(StoreError, match="Input/output error"):
            writer.append([b"two"])
        monkeypatch.setattr(os, "ftruncate", real_cut)
        end = writer.append([b"two"])
    assert payloads_in(path) == [b"one", b"two"]
    assert path.stat().st_size == end


def test_errors_of_the_disk_have_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening, syncing and closing raise what an append raises, with the reason; a closed journal stays closed."""

    def broken(*args: object) -> None:
        raise OSError(28, "No space left on device")

    writer = JournalWriter(tmp_path / "x.journal")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(StoreError, match=r"x\.journal.*No space left"):
            writer.sync()
        with pytest.raises(StoreError, match=r"x\.journal.*No space left"):
            writer.close()
        with pytest.raises(StoreError, match=r"y\.journal.*No space left"):
            JournalWriter(tmp_path / "y.journal")
    with pytest.raises(StoreError, match="closed"):
        writer.append([b"one"])
    JournalWriter(tmp_path / "x.journal").close()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be opened"):
        JournalWriter(tmp_path / "file" / "z.journal")


def test_frame_larger_than_the_format_allows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too large is an error that names the limit."""
    monkeypatch.setattr("kairos.store.journal._LARGEST_BYTES", 10)
    with JournalWriter(tmp_path / "x.journal") as writer, pytest.raises(UsageError, match="up to 10 bytes"):
        writer.append([b"x" * 11])


WRITER = """
import sys
from pathlib import Path
from kairos.store.journal import JournalWriter

writer, number = JournalWriter(Path(sys.argv[1])), 0
while True:
    batch = [b"%d:" % n + b"x" * (n % 5000) for n in range(number, number + 7)]
    writer.append(batch)
    number += 7
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("acknowledged", [1, 40, 400])
def test_kill_9_loses_no_acknowledged_frame(tmp_path: Path, acknowledged: int) -> None:
    """A writer killed in full flight: every frame it told about is there, in order, and the next writer goes on."""
    path = tmp_path / "x.journal"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = 0
        for _ in range(acknowledged):
            told = int(process.stdout.readline())
        process.kill()
        told = max([told, *(int(line) for line in process.stdout.read().splitlines(True) if line.endswith("\n"))])
    assert process.returncode == -signal.SIGKILL
    write(path, [b"next"])
    *found, last = payloads_in(path)
    assert len(found) >= told
    assert found == [b"%d:" % n + b"x" * (n % 5000) for n in range(len(found))]
    assert last == b"next"
