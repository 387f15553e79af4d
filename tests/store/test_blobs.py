"""Blobs: named by content, written whole or not at all, never used when damaged."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairos.errors import BlobDamaged, BlobMissing, NotFound, StoreError, UsageError
from kairos.store import Damage, Store
from kairos.store.files import Link
from kairos.store.folders import listing_bytes, parse_listing
from kairos.values import Digest

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
DIGESTS = st.text("0123456789abcdef", min_size=32, max_size=32).map(Digest)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "cache")


def folder_of(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def spoil(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def test_bytes_come_back_under_their_md5(store: Store) -> None:
    """The digest is plain MD5, and the file lies where DVC 3 looks for it, read-only."""
    digest = store.put_bytes(b"a\n")
    assert digest == "60b725f10c9c85c70d97880dfe8191b3"
    assert store.get_bytes(digest, verify=True) == b"a\n"
    place = store.root / "files" / "md5" / "60" / "b725f10c9c85c70d97880dfe8191b3"
    assert store.path(digest) == place
    assert stat.S_IMODE(place.stat().st_mode) == 0o444


def test_putting_twice_stores_once_and_leaves_no_temporary_file(store: Store, tmp_path: Path) -> None:
    """Equal bytes are one blob, however they were put."""
    (tmp_path / "x").write_bytes(b"same")
    assert store.put_bytes(b"same") == store.put_file(tmp_path / "x") == store.put_bytes(b"same")
    assert len([path for path in store.root.rglob("*") if path.is_file()]) == len(list(store.digests())) == 1
    assert list((store.root / "tmp").iterdir()) == []


def test_names_may_be_synced_later_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are on the disk when a put returns; names when the store was told of those that are needed."""
    synced = list[str]()
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}").removeprefix(f"{tmp_path}/"))
        real(handle)

    Store(tmp_path).put_bytes(b"makes the folders")
    monkeypatch.setattr(os, "fsync", fsync)
    store = Store(tmp_path, names_later=True)
    one = store.put_bytes(b"one")
    folder = f"files/md5/{one[:2]}"
    assert synced[0].startswith("tmp/")
    assert folder not in synced
    store.sync([one], since_s=time.time() + 60)
    assert folder not in synced
    store.sync([one, Digest("0" * 32)])  # what is not here is passed over
    assert synced.count(folder) == 1
    Store(tmp_path).put_bytes(b"one")  # must not count on who put it before
    assert synced.count(folder) == 2


def test_missing_things_are_named(store: Store, tmp_path: Path) -> None:
    """A blob, a file or a folder that is not there is an error that says which."""
    absent = Digest("0" * 32)
    assert not store.has(absent)
    with pytest.raises(BlobMissing, match=absent):
        store.get_bytes(absent)
    with pytest.raises(NotFound, match=r"nowhere\.csv"):
        store.put_file(tmp_path / "nowhere.csv")
    with pytest.raises(NotFound, match="nofolder"):
        store.put_folder(tmp_path / "nofolder")


@pytest.mark.parametrize("text", ["", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 32 + "\n", "0" * 32 + ".dirx"])
def test_what_is_no_digest_is_refused(store: Store, text: str) -> None:
    """No text but a digest ever becomes a path."""
    with pytest.raises(UsageError, match="digest"):
        store.has(Digest(text))


def test_damaged_blob_is_found_named_and_healed_by_the_same_data(store: Store) -> None:
    """Damage of equal length is found when asked; storing the data again repairs the blob."""
    digest = store.put_bytes(b"good")
    spoil(store.path(digest), b"evil")
    assert store.get_bytes(digest) == b"evil"
    with pytest.raises(BlobDamaged, match=digest):
        store.get_bytes(digest, verify=True)
    assert store.verify() == [Damage(digest=digest, how="changed")]
    store.put_bytes(b"good")
    assert store.verify() == []


def test_folder_is_dvcs_listing(store: Store, tmp_path: Path) -> None:
    """A folder's digest and bytes are those that DVC gives the same folder; empty folders leave no trace."""
    folder = folder_of(tmp_path / "d", {"a": "a\n", "sub/é.txt": "é\n"})
    (folder / "empty").mkdir()
    digest = store.put_folder(folder)
    assert digest == "778f4c11fc4650e5e5f31521f143da2c.dir"  # what `dvc add` wrote for it
    assert list(store.listing(digest)) == ["a", "sub/é.txt"]
    assert store.has(digest)


def test_folder_without_one_of_its_files_is_not_there(store: Store, tmp_path: Path) -> None:
    """A folder counts as present only with all its files; verify says which is missing and where it belongs."""
    digest = store.put_folder(folder_of(tmp_path / "d", {"a": "1", "b": "2"}))
    leaf = store.listing(digest)["b"]
    store.path(leaf).unlink()
    assert not store.has(digest)
    assert store.verify([digest]) == [Damage(digest=leaf, how="missing", within=digest)]
    with pytest.raises(BlobMissing, match=leaf):
        store.checkout(digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["folder link", "broken link", "pipe", "name"])
def test_folder_with_something_unstorable_is_refused(store: Store, tmp_path: Path, kind: str) -> None:
    """What would silently be lost (DVC skips links to folders) is refused by name."""
    folder = folder_of(tmp_path / "d", {"a": "1"})
    match kind:
        case "folder link":
            (folder / "odd").symlink_to(tmp_path)
        case "broken link":
            (folder / "odd").symlink_to("nowhere")
        case "pipe":
            os.mkfifo(folder / "odd")
        case _:
            os.close(os.open(os.fsencode(folder) + b"/odd\xff", os.O_CREAT))
    with pytest.raises(StoreError, match="odd"):
        store.put_folder(folder)


@pytest.mark.parametrize("link", ["copy", "hardlink", "reflink"])
def test_checkout_gives_back_what_was_put(store: Store, tmp_path: Path, link: Link) -> None:
    """Files and folders come back the same, and replace what is there, a file by a folder and the reverse."""
    files = {"a": "1", "deep/er/b": "2"}
    folder = store.put_folder(folder_of(tmp_path / "d", files))
    file = store.put_bytes(b"file")
    target = tmp_path / "new" / "out"
    for _ in range(2):
        store.checkout(folder, target, link=link)
        assert {p.relative_to(target).as_posix(): p.read_text() for p in target.rglob("*") if p.is_file()} == files
        store.checkout(folder, target, link=link)
        store.checkout(file, target, link=link)
        assert target.read_bytes() == b"file"
        store.checkout(file, target, link=link)
    assert [p.name for p in target.parent.iterdir()] == ["out"]
    if link == "hardlink":
        assert target.stat().st_ino == store.path(file).stat().st_ino
    else:
        target.write_bytes(b"mine")  # writable, and no change reaches the store
        assert store.verify() == []


def test_checkout_never_uses_damaged_bytes(store: Store, tmp_path: Path) -> None:
    """A damaged file stops the checkout before the target is touched."""
    digest = store.put_folder(folder_of(tmp_path / "d", {"a": "1", "b": "2"}))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    spoil(store.path(store.listing(digest)["a"]), b"9")
    with pytest.raises(BlobDamaged, match="The file 'a' is damaged in the store"):
        store.checkout(digest, tmp_path / "out")
    store.path(store.listing(digest)["a"]).unlink()
    with pytest.raises(BlobMissing, match="The file 'a' is not in the store"):
        store.checkout(digest, tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "kept"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a//b", "a/./b", "", "a\0b"])
def test_listing_that_leaves_its_folder_is_refused(store: Store, name: str) -> None:
    """A listing from elsewhere cannot write outside the target."""
    data = json.dumps([{"md5": "0" * 32, "relpath": name}]).encode()
    with pytest.raises(BlobDamaged, match="refused"):
        parse_listing(data, Digest("1" * 32 + ".dir"))


@pytest.mark.parametrize("data", [b"", b"{}x", b"[1]", b"[{}]", b"3"])
def test_what_is_no_listing_is_called_damaged(data: bytes) -> None:
    """Bytes that are no listing are an error that names the digest."""
    with pytest.raises(BlobDamaged, match="1111"):
        parse_listing(data, Digest("1" * 32 + ".dir"))


@given(st.dictionaries(PATHS, DIGESTS, max_size=6))
def test_listing_has_one_form(files: dict[str, Digest]) -> None:
    """A listing reads back as it was, and does not depend on the order it was given in."""
    data = listing_bytes(files)
    assert parse_listing(data, Digest("1" * 32 + ".dir")) == files
    assert listing_bytes(dict(reversed(files.items()))) == data


@settings(max_examples=25)
@given(
    st.dictionaries(st.sampled_from(["a", "b/c", "b/d", "é"]), st.binary(max_size=3)),
    st.dictionaries(st.sampled_from(["a", "b/c", "b/d", "é"]), st.binary(max_size=3)),
)
def test_folders_share_a_digest_only_if_they_are_equal(one: dict[str, bytes], two: dict[str, bytes]) -> None:
    """Names and bytes decide the digest of a folder, and nothing else does."""
    with tempfile.TemporaryDirectory() as base:
        store, digests = Store(Path(base) / "cache"), []
        for number, files in enumerate((one, two)):
            root = Path(base) / str(number)
            root.mkdir()
            for name, data in files.items():
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).write_bytes(data)
            digests.append(store.put_folder(root))
        assert (digests[0] == digests[1]) == (one == two)


def test_checkouts_to_the_same_place_at_the_same_time_all_succeed(store: Store, tmp_path: Path) -> None:
    """Whoever is last leaves what it was asked for; no part of another is seen, and nothing is left beside it."""
    digests = [store.put_folder(folder_of(tmp_path / str(number), {"a": str(number), "b/c": "x"})) for number in (1, 2)]
    target = tmp_path / "out" / "package"
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(store.checkout, digests[number % 2], target) for number in range(80)]:
            done.result()
    assert (target / "a").read_text() in ("1", "2")
    assert (target / "b" / "c").read_text() == "x"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["package"]
