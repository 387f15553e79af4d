"""What is not needed goes, what is needed stays; and a crash in the middle leaves no folder without its files."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import BlobDamaged
from kairos.store import Store
from kairos.store.folders import is_folder, listing_bytes
from kairos.store.garbage import closure, remove, sweep_desks, unneeded
from kairos.store.shards import Digests
from kairos.values import Digest
from tests.store.places import assert_leaves_before_trees

LATER_NS = 1 << 62


def folder(store: Store, files: list[str]) -> Digest:
    """A folder with files of these texts."""
    leaves = {str(number): store.put_bytes(text.encode()) for number, text in enumerate(files)}
    return store._put_bytes(listing_bytes(leaves), suffix=".dir")


@given(
    folders=st.lists(st.lists(st.sampled_from("abcdef"), max_size=4), max_size=6),
    files=st.lists(st.sampled_from("abcdefgh"), max_size=4),
    data=st.data(),
)
def test_nothing_that_is_needed_goes(
    folders: list[list[str]], files: list[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever folders share: all parts of what is needed stay whole, and all else goes."""
    store = Store(tmp_path_factory.mktemp("store"))
    roots = [folder(store, texts) for texts in folders] + [store.put_bytes(text.encode()) for text in files]
    kept = data.draw(st.lists(st.sampled_from(roots), unique=True)) if roots else []
    whole, unknown = closure(store, kept)
    wastes, young = unneeded(store, whole, before_ns=LATER_NS)
    remove(store, wastes)
    assert (unknown, young) == ([], 0)
    assert list(store.digests()) == sorted(whole)
    assert store.verify(kept) == []
    assert_leaves_before_trees(store.root)


def test_what_is_young_stays(tmp_path: Path) -> None:
    """However long ago its bytes were written: what counts is when it came to the store."""
    store = Store(tmp_path)
    (tmp_path / "old").write_text("old")
    os.utime(tmp_path / "old", (0, 0))
    digest = store.put_file(tmp_path / "old")
    os.utime(store.path(digest), (0, 0))
    before_ns = time.time_ns() - 3_600_000_000_000
    assert unneeded(store, Digests(), before_ns=before_ns) == ([], 1)


def test_what_a_folder_needs_is_known_or_nothing_goes(tmp_path: Path) -> None:
    """A listing that is not here is told; one that is damaged stops all."""
    store = Store(tmp_path)
    lost, harmed = folder(store, ["a"]), folder(store, ["b"])
    store.path(lost).unlink()
    store.path(harmed).chmod(0o644)
    store.path(harmed).write_bytes(b"[]")
    whole, unknown = closure(store, [lost])
    assert (list(whole), unknown) == ([lost], [lost])
    with pytest.raises(BlobDamaged):
        closure(store, [lost, harmed])


def test_stopped_at_each_removal_no_folder_lacks_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next collection ends the work."""
    whole = Path.unlink
    for number in itertools.count():
        store = Store(tmp_path / str(number))
        kept = folder(store, ["a", "b"])
        folder(store, ["b", "c"])
        folder(store, ["d"])
        left = number

        def unlink(path: Path, missing_ok: bool = False) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            whole(path, missing_ok=missing_ok)

        wastes, _ = unneeded(store, closure(store, [kept])[0], before_ns=LATER_NS)
        monkeypatch.setattr(Path, "unlink", unlink)
        try:
            remove(store, wastes)
        except KeyboardInterrupt:
            is_ended = False
        else:
            is_ended = True
        monkeypatch.setattr(Path, "unlink", whole)
        for digest in store.digests():
            assert not is_folder(digest) or store.has(digest)
        wastes, _ = unneeded(store, closure(store, [kept])[0], before_ns=LATER_NS)
        remove(store, wastes)
        assert list(store.digests()) == sorted(closure(store, [kept])[0])
        if is_ended:
            break
    assert number == 4  # two listings and two files


def test_desks_of_killed_processes_are_swept(tmp_path: Path) -> None:
    """Old ones; those at which somebody may be at work stay."""
    store = Store(tmp_path)
    (tmp_path / "tmp" / "take-1").mkdir(parents=True)
    (tmp_path / "tmp" / "take-1" / "1").write_text("half")
    (tmp_path / "tmp" / "listing-2").write_text("[")
    assert sweep_desks(store, before_ns=time.time_ns() - 3_600_000_000_000) == 0
    assert sweep_desks(store, before_ns=LATER_NS) == 2
    assert list((tmp_path / "tmp").iterdir()) == []
    assert sweep_desks(Store(tmp_path / "none"), before_ns=LATER_NS) == 0
