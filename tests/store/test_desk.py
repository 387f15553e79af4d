"""Where bytes wait for names: they get them when the disk has the bytes, a whole folder at once where that can be."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from kairos.store import desk as desks
from kairos.store.desk import Desk

FIRST, SECOND, OTHER = "ab" + "0" * 30, "ab" + "1" * 30, "cd" + "0" * 30


def lay(desk: Desk, digest: str, data: bytes) -> None:
    temporary = desk.name_for(digest) or desk.name()
    Path(temporary).write_bytes(data)
    desk.place(temporary, digest, len(data))


def held(blobs: Path) -> dict[str, bytes]:
    return {path.parent.name + path.name: path.read_bytes() for path in blobs.rglob("*") if path.is_file()}


def test_a_folder_that_the_store_lacks_comes_whole(tmp_path: Path) -> None:
    """The next files of it come one by one, and what has no name of its own, too."""
    blobs = tmp_path / "blobs"
    with Desk(tmp_path, blobs) as desk:
        lay(desk, FIRST, b"1")
        Path(numbered := desk.name()).write_bytes(b"2")
        desk.place(numbered, SECOND, 1)
        desk.flush()
        assert held(blobs) == {FIRST: b"1", SECOND: b"2"}
        assert desk.name_for(SECOND) is None
        lay(desk, FIRST, b"3")
        lay(desk, OTHER, b"4")
        desk.flush()
    assert held(blobs) == {FIRST: b"3", SECOND: b"2", OTHER: b"4"}
    assert [path.name for path in tmp_path.iterdir()] == ["blobs"]


def test_a_folder_that_somebody_else_made_meanwhile_is_filled(tmp_path: Path) -> None:
    """What is in it stays."""
    blobs = tmp_path / "blobs"
    with Desk(tmp_path, blobs) as desk:
        lay(desk, FIRST, b"1")
        (blobs / "ab").mkdir(parents=True)
        (blobs / "ab" / SECOND[2:]).write_bytes(b"2")
        desk.flush()
    assert held(blobs) == {FIRST: b"1", SECOND: b"2"}


def test_a_disk_that_failed_early_gives_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system tells such an error once, and so it is not lost: nothing that waits is trusted."""

    def fail(folder: str, failed: list[OSError]) -> None:
        failed.append(OSError(errno.EIO, "Input/output error"))

    monkeypatch.setattr(desks, "start_sync", fail)
    monkeypatch.setattr(desks, "_BEGUN_FILES", 2)
    with Desk(tmp_path, tmp_path / "blobs") as desk:
        for digest in (FIRST, SECOND, OTHER):
            lay(desk, digest, b"1")
        with pytest.raises(OSError, match="Input/output"):
            desk.flush()
    assert list(tmp_path.iterdir()) == []


def test_the_disk_begins_while_more_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what was written meanwhile waits for it as before."""
    monkeypatch.setattr(desks, "_BEGUN_FILES", 2)
    blobs = tmp_path / "blobs"
    digests = [f"{n % 3:02}" + f"{n:030}" for n in range(20)]
    with Desk(tmp_path, blobs) as desk:
        for digest in digests:
            lay(desk, digest, digest.encode())
        desk.flush()
    assert held(blobs) == {digest: digest.encode() for digest in digests}
