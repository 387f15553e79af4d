"""Folders into the store: all of their bytes, each read once, and none again that did not change."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from kairos.errors import StoreError
from kairos.store import Store, intake, large_files, reads
from kairos.store.checkouts import Layer
from kairos.store.desk import Desk
from kairos.store.difference import Change, changes
from kairos.store.files import Link
from kairos.store.folders import listing_bytes
from kairos.store.hallmarks import has_hallmark
from kairos.store.index import IndexReader, IndexWriter
from kairos.store.intake import Taken, take_folder
from kairos.store.walking import Stamp, is_settled, walk
from kairos.values import Digest

LETTERS = "a!-.0/Zé'\"\\\n "
NAMES = some.lists(some.text(LETTERS, min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)
TREES = some.dictionaries(NAMES, some.binary(max_size=3), max_size=12)


def md5(data: bytes) -> Digest:
    return Digest(hashlib.md5(data, usedforsecurity=False).hexdigest())


def plant(root: Path, tree: dict[str, bytes]) -> dict[str, bytes]:
    """Writes what can be written of a tree; what is there in the end."""
    root.mkdir(exist_ok=True)
    for name, data in tree.items():
        parts = [part for part in name.split("/") if part not in ("", ".", "..")]
        try:
            root.joinpath(*parts[:-1]).mkdir(parents=True, exist_ok=True)
            root.joinpath(*parts).write_bytes(data)
        except OSError:  # a file where a folder should be, or the other way round
            continue
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def age(root: Path, seconds: float = 60.0) -> None:
    """Makes files old enough to be trusted, as far as their own times go."""
    then = time.time() - seconds
    for path in root.rglob("*"):
        os.utime(path, (then, then))
    time.sleep(0.06)  # the time at which that was done cannot be set


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "cache")


def again(store: Store, folder: Path) -> Taken:
    return take_folder(store.root, store.root / "files" / "md5", folder, index=store.root / "index" / "x")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(TREES)
def test_any_tree_is_listed_as_dvc_lists_it(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, bytes]) -> None:
    """Whatever files are called, the digest is that of DVC's sorted listing, and all bytes are there."""
    base = tmp_path_factory.mktemp("tree")
    found, store = plant(base / "data", tree), Store(base / "cache")
    assert [name for batch in walk(base / "data") for name in batch.names] == sorted(found)
    digest = store.put_folder(base / "data", remembers=True)
    listing = listing_bytes({name: md5(data) for name, data in found.items()})
    assert digest == md5(listing) + ".dir"
    assert store.get_bytes(digest) == listing
    assert store.verify() == []
    assert list((store.root / "tmp").iterdir()) == []
    assert store.put_folder(base / "data", remembers=True) == digest


def test_only_what_changed_is_read(store: Store, tmp_path: Path) -> None:
    """Other bytes of the same length, a new file, one that has gone, one in place of another: each is seen."""
    folder = tmp_path / "data"
    plant(folder, {f"{part}/{n}": b"%d" % n for part in "ab" for n in range(10)})
    age(folder)
    assert again(store, folder).read == 20
    assert again(store, folder) == Taken(digest=store.put_folder(folder), files=20, size_bytes=20, read=0, stored=0)

    (folder / "a" / "3").write_bytes(b"X")
    (folder / "b" / "new").write_bytes(b"new")
    (folder / "b" / "5").unlink()
    os.replace(folder / "a" / "7", folder / "a" / "8")
    found = again(store, folder)
    assert (found.files, found.read, found.stored) == (19, 3, 2)  # what was moved is read, and is in the store
    assert found.digest == store.put_folder(folder)


def test_a_change_within_a_tick_of_the_clock_is_seen(store: Store, tmp_path: Path) -> None:
    """A file that was written just before it was read is read again, since its next change may not show."""
    folder = tmp_path / "data"
    plant(folder, {"a": b"1"})
    for n in range(20):
        (folder / "a").write_bytes(b"%d" % (n % 10))
        assert again(store, folder).digest == store.put_folder(folder)
    stamp = Stamp(1, 5_000_000_000, 7)
    assert not is_settled(stamp, 5_000_000_000 + 2_900_000_000)  # whole seconds: the file system may know no others
    assert not is_settled(Stamp(1, 5_000_000_001, 7), 5_040_000_000)
    assert is_settled(Stamp(1, 5_000_000_001, 7), 5_060_000_000)


@pytest.mark.parametrize("harm", ["cut", "bits", "other", "empty", "end"])
def test_an_index_that_is_damaged_only_costs_time(store: Store, tmp_path: Path, harm: str) -> None:
    """What cannot be read of it is read of the files again."""
    folder, index = tmp_path / "data", store.root / "index" / "x"
    plant(folder, {str(n): b"%d" % n for n in range(30)})
    age(folder)
    first = again(store, folder)
    data = bytearray(index.read_bytes())
    if harm in ("bits", "end"):
        data[-60 if harm == "bits" else -20] ^= 255
    harmed = {"cut": data[:-9], "bits": data, "end": data, "other": b"another format\n" + data, "empty": b""}
    index.write_bytes(bytes(harmed[harm]))
    found = again(store, folder)
    assert (found.digest, found.read) == (first.digest, 0 if harm == "end" else 30)
    assert again(store, folder).read == 0


def test_a_blob_that_has_gone_is_stored_again(store: Store, tmp_path: Path) -> None:
    """To remember a file is no reason to think that the store still holds it."""
    folder = tmp_path / "data"
    plant(folder, {"a": b"1", "b": b"2"})
    age(folder)
    again(store, folder)
    store.path(md5(b"1")).unlink()
    found = again(store, folder)
    assert (found.read, found.stored) == (1, 1)
    assert store.verify() == []


@given(
    known=some.dictionaries(some.text("abc/", min_size=1, max_size=3), some.integers(0, 3), max_size=9),
    asked=some.dictionaries(some.text("abc/", min_size=1, max_size=3), some.integers(0, 3), max_size=9),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_index_knows_what_it_was_told(
    tmp_path_factory: pytest.TempPathFactory, known: dict[str, int], asked: dict[str, int]
) -> None:
    """A digest is found for the same name with the same stamp, and for no other; blocks make no difference."""
    path = tmp_path_factory.mktemp("index") / "x"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kairos.store.index._BLOCK_FILES", 3)
        with IndexWriter(path) as writer:
            for name in sorted(known):
                writer.add([name], [Stamp(known[name], 1, 1)], [md5(name.encode())])
        reader = IndexReader(path)
        names = sorted(asked)
        expected = [md5(name.encode()) if known.get(name) == asked[name] else None for name in names]
        found = []
        for some_names in (names[:2], names[2:3], names[3:]):
            found += reader.find(some_names, [Stamp(asked[name], 1, 1) for name in some_names])
        assert found == expected
        assert reader.passed >= sum(name in known for name in names)


def test_large_files_are_named_while_they_are_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files larger than what is held in memory, beside small ones, in threads: the same bytes and names."""
    monkeypatch.setattr(reads, "_WHOLE_BYTES", 1_000)
    monkeypatch.setattr(intake, "_LARGE_BYTES", 500)
    monkeypatch.setattr(large_files, "_PIECE_BYTES", 700)
    monkeypatch.setattr(large_files, "_BEGUN_BYTES", 1_500)
    tree = {f"{n:02}": os.urandom(n * 137) for n in range(40)}
    plant(tmp_path / "data", tree)
    digest = store.put_folder(tmp_path / "data")
    assert {name: store.get_bytes(leaf) for name, leaf in store.listing(digest).items()} == tree
    assert again(store, tmp_path / "data").stored == 0
    assert {md5(data) for data in tree.values()} | {digest} == set(store.digests())


def test_a_folder_that_changes_meanwhile_is_stored_as_it_was_read(store: Store, tmp_path: Path) -> None:
    """Files come, grow and go while they are stored: every name in the listing has bytes that were there."""
    folder, stop = tmp_path / "data", threading.Event()
    plant(folder, {f"{n:03}": b"x" * n for n in range(200)})

    def disturb() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            (folder / f"{turn % 200:03}").unlink(missing_ok=True)
            (folder / f"{turn % 190:03}").write_bytes(b"y" * (turn % 50))

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(10):
            digest = store.put_folder(folder, remembers=True)
            assert store.verify([digest]) == []
    finally:
        stop.set()
        thread.join()
    assert store.put_folder(folder, remembers=True) == store.put_folder(folder)


def test_files_without_a_name_yet_are_in_no_shards_way(tmp_path: Path) -> None:
    """Those that are still read, such as large ones, lie beside the folders of those whose names are known."""
    with Desk(tmp_path, tmp_path / "md5") as desk:
        for _ in range(400):
            Path(desk.name()).touch()
        for shard in range(256):
            place = desk.name_for(f"{shard:02x}{0:030x}")
            assert place is not None
            Path(place).touch()
        for _ in range(400):
            Path(desk.name()).touch(exist_ok=False)


def test_a_file_that_cannot_be_read_is_named(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is stored then, and nothing is left over."""
    plant(tmp_path / "data", {"a": b"1", "b": b"2"})

    def refuse(path: str, temporary: str, blobs: str, name_for: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(intake, "take", refuse)
    with pytest.raises(StoreError, match=r"A file cannot be read.*data/a"):
        store.put_folder(tmp_path / "data", remembers=True)
    assert list(store.digests()) == []
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_a_large_file_that_has_no_place_is_an_error_and_no_endless_wait(tmp_path: Path) -> None:
    """The place is opened before anything is read."""
    (tmp_path / "large").write_bytes(b"x" * 3_000_000)
    handle = os.open(tmp_path / "large", os.O_RDONLY)
    try:
        with pytest.raises(FileNotFoundError):
            large_files.take_in_pieces(handle, str(tmp_path / "no such folder" / "blob"))
    finally:
        os.close(handle)


@pytest.mark.parametrize("link", ["hardlink", "copy"])
def test_what_was_checked_out_is_not_read_again(store: Store, tmp_path: Path, link: Link) -> None:
    """Neither where it is looked at, nor where it is stored; what was changed after it is, at once."""
    plant(tmp_path / "data", {f"sub/{n}": b"%d" % n for n in range(30)} | {"a": b"a", "sub.txt": b"b"})
    digest = store.put_folder(tmp_path / "data")
    store.checkout(digest, tmp_path / "data", link=link, remembers=True)
    told = take_folder(store.root, store.files, tmp_path / "data", index=store.index(tmp_path / "data"))
    assert (told.digest, told.files, told.read) == (digest, 32, 0)
    store.checkout(digest, tmp_path / "data", link=link, remembers=True)
    (tmp_path / "data" / "sub" / "7").unlink()
    (tmp_path / "data" / "sub" / "7").write_bytes(b"8")
    assert list(changes(store, tmp_path / "data", digest)) == [Change("sub/7", "changed", md5(b"8"))]


def test_what_others_wrote_to_meanwhile_is_read(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hard link shares its bytes with the store's file: what lost its hallmark while links were made is not sure."""
    plant(tmp_path / "data", {"a": b"1", "b": b"2"})
    digest = store.put_folder(tmp_path / "data")
    lay_file = Layer.lay_file

    def lay_and_harm(layer: Layer, blob: str, target: str) -> None:
        lay_file(layer, blob, target)
        if target.endswith("/a"):
            os.chmod(target, 0o644)
            Path(target).write_bytes(b"3")

    monkeypatch.setattr(Layer, "lay_file", lay_and_harm)
    store.checkout(digest, tmp_path / "data", link="hardlink", remembers=True)
    assert list(changes(store, tmp_path / "data", digest)) == [Change("a", "changed", md5(b"3"))]


@pytest.mark.parametrize("piece_bytes", [8_192, 700])
@pytest.mark.parametrize("size_bytes", [8_192, 3 * 8_192, 3 * 8_192 + 5_000, 7])
def test_past_the_cache_the_same_bytes_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_bytes: int, size_bytes: int
) -> None:
    """Whole blocks, a rest that is none, and pieces that the file system refuses there."""
    monkeypatch.setattr(large_files, "_PIECE_BYTES", piece_bytes)
    monkeypatch.setattr(large_files, "_DIRECT_BYTES", 0)
    (tmp_path / "large").write_bytes(data := os.urandom(size_bytes))
    handle = os.open(tmp_path / "large", os.O_RDONLY)
    try:
        assert large_files.take_in_pieces(handle, str(tmp_path / "blob")) == (md5(data), size_bytes)
    finally:
        os.close(handle)
    assert (tmp_path / "blob").read_bytes() == data
    assert has_hallmark(md5(data), (tmp_path / "blob").stat(), time.time())


def test_a_disk_that_fails_in_the_middle_of_a_large_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader does not wait for pieces that nobody gives back."""
    monkeypatch.setattr(large_files, "_PIECE_BYTES", 1_000)

    def fail(handle: int, data: memoryview) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(large_files, "write_all", fail)
    (tmp_path / "large").write_bytes(b"x" * 20_000)
    handle = os.open(tmp_path / "large", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="No space left"):
            large_files.take_in_pieces(handle, str(tmp_path / "blob"))
    finally:
        os.close(handle)
