"""Hallmarks: a blob is linked without being read only if nobody can have written to it since it was read."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kairos.errors import BlobDamaged
from kairos.store import Store, blobs
from kairos.store.files import Link
from kairos.store.hallmarks import TRUSTED_S, has_hallmark, holds_bytes
from kairos.values import Digest


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """With a folder of three files."""
    data = tmp_path / "data"
    data.mkdir()
    for name in "abc":
        (data / name).write_text(name * 9)
    store = Store(tmp_path / "cache")
    store.put_folder(data)
    return store


@pytest.fixture
def folder(store: Store) -> Digest:
    """Its digest."""
    return next(digest for digest in store.digests() if digest.endswith(".dir"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Digests of the blobs that were read before they were linked."""
    found = list[str]()

    def noted(path: Path, digest: Digest) -> bool:
        found.append(digest)
        return holds_bytes(path, digest)

    monkeypatch.setattr(blobs, "holds_bytes", noted)
    return found


def overwrite(path: Path) -> None:
    path.chmod(0o644)
    path.write_text("X" * 9)
    path.chmod(0o444)


def append_and_cut(path: Path) -> None:
    path.chmod(0o644)
    with path.open("ab") as file:
        file.write(b"more")
    os.truncate(path, 9)
    with path.open("r+b") as file:
        file.write(b"X")
    path.chmod(0o444)


def restore_another(path: Path) -> None:
    """A copy with the times of the blob, but other bytes: what a backup gives back."""
    told = path.stat()
    path.unlink()
    path.with_name("keeps the inode").write_bytes(b"")
    path.write_text("X" * 9)
    path.chmod(0o444)
    os.utime(path, ns=(told.st_mtime_ns, told.st_mtime_ns))
    path.with_name("keeps the inode").unlink()


@pytest.mark.parametrize("harm", [overwrite, append_and_cut, restore_another])
@pytest.mark.parametrize("link", ["hardlink", "copy"])
def test_what_was_written_to_is_read_and_not_used(
    store: Store, folder: Digest, tmp_path: Path, harm: Callable[[Path], None], link: Link
) -> None:
    """Whether through the blob's own place or through a hard link, whose writer did not know that it was one."""
    store.checkout(folder, tmp_path / "out", link="hardlink")
    harm(store.path(store.listing(folder)["b"]) if harm is restore_another else tmp_path / "out" / "b")
    with pytest.raises(BlobDamaged, match=store.listing(folder)["b"]):
        store.checkout(folder, tmp_path / "again", link=link)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "data", "out"]


def test_what_was_just_stored_is_linked_without_being_read(
    store: Store, folder: Digest, tmp_path: Path, reads: list[str]
) -> None:
    """Links that come and go leave the hallmark; what lost it is read once, and has it again."""
    for number in range(3):
        store.checkout(folder, tmp_path / "out", link="hardlink")
        shutil.rmtree(tmp_path / "out")
        assert reads == [], number
    blob = store.path(store.listing(folder)["a"])
    os.utime(blob)
    store.checkout(folder, tmp_path / "out", link="hardlink")
    store.checkout(folder, tmp_path / "out", link="hardlink")
    assert reads == [store.listing(folder)["a"]]


def test_a_hallmark_is_trusted_for_a_week_and_not_before_its_time(store: Store, folder: Digest) -> None:
    """A clock that was set back, or a mark that is old, costs a reading; so does a blob that may be written to."""
    digest = store.listing(folder)["a"]
    path, now_s = store.path(digest), time.time()
    told = path.stat()
    assert has_hallmark(digest, told, now_s)
    assert not has_hallmark(digest, told, now_s + TRUSTED_S)
    assert not has_hallmark(digest, told, now_s - 60)
    assert not has_hallmark(store.listing(folder)["b"], told, now_s)
    path.chmod(0o644)
    assert not has_hallmark(digest, path.stat(), now_s)


def test_an_old_hallmark_is_set_anew_by_who_reads_the_bytes(
    store: Store, folder: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not each time, since that is a change that others would see; and never on damaged bytes."""
    digest = store.listing(folder)["a"]
    path = store.path(digest)
    before, real = path.stat().st_mtime_ns, time.time()
    monkeypatch.setattr(time, "time", lambda: real + TRUSTED_S / 3)
    assert store.verify([digest]) == []
    assert path.stat().st_mtime_ns == before
    monkeypatch.setattr(time, "time", lambda: real + TRUSTED_S)
    assert store.verify([digest]) == []
    assert has_hallmark(digest, path.stat(), real + TRUSTED_S)
    overwrite(path)
    assert not holds_bytes(path, digest)
    assert not has_hallmark(digest, path.stat(), real + TRUSTED_S)


def test_a_disk_that_is_only_read_is_read(store: Store, folder: Digest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hallmark can be set there: what is whole is whole all the same, and what is damaged is named."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    overwrite(store.path(store.listing(folder)["b"]))
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real + TRUSTED_S)
    monkeypatch.setattr(os, "utime", refuse)
    assert [damage.digest for damage in store.verify()] == [store.listing(folder)["b"]]
