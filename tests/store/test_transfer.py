"""Blobs to a remote and back: what arrived stays, what is damaged is not used, and nothing is ever half there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kairos.errors import RemoteFailed
from kairos.store import Store
from kairos.store.comparing import Difference, compare
from kairos.store.fetching import pull
from kairos.store.places import FolderPlace, PlaceRefused, name_of
from kairos.store.sending import push
from kairos.store.trying import Patience
from kairos.values import Digest
from tests.store.places import FailingPlace, assert_leaves_before_trees

AT_ONCE = Patience(tries=3, first_wait_s=0.0)
NEVER_AGAIN = Patience(tries=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of 40 files, two of them the same."""
    path = tmp_path / "data"
    (path / "sub").mkdir(parents=True)
    for number in range(39):
        (path / "sub" / f"{number}").write_text(f"{number}\n" * 50)
    (path / "same").write_text("0\n" * 50)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that is empty."""
    return Store(tmp_path / "store")


def other(tmp_path: Path, name: str = "other") -> Store:
    return Store(tmp_path / name)


def told(difference: Difference) -> list[list[Digest]]:
    return [list(difference.new), list(difference.deleted), list(difference.missing)]


def harm(file: Path, data: bytes) -> None:
    file.chmod(0o644)
    file.write_bytes(data)


def test_a_folder_goes_there_and_comes_back(store: Store, folder: Path, tmp_path: Path) -> None:
    """Equal bytes go once; a second push sends nothing, and a second pull fetches nothing."""
    root, place = store.put_folder(folder), FolderPlace(tmp_path / "remote")
    sent = push(store, place, [root])
    assert (sent.blobs, sent.there, sent.is_whole) == (40, 0, True)
    assert_leaves_before_trees(tmp_path / "remote")
    assert (again := push(store, place, [root])).blobs == 0
    assert again.there == 40
    fetched = pull(clone := other(tmp_path), place, [root])
    assert (fetched.blobs, fetched.size_bytes) == (40, sent.size_bytes)
    clone.checkout(root, tmp_path / "copy")
    assert (tmp_path / "copy" / "sub" / "7").read_text() == "7\n" * 50
    assert all(clone.path(digest).stat().st_mode & 0o777 == 0o444 for digest in clone.digests())
    assert (pull(clone, place, [root]).blobs, list((clone.root / "tmp").iterdir())) == (0, [])


def test_only_what_is_new_is_sent_and_fetched(store: Store, folder: Path, tmp_path: Path) -> None:
    """Of a folder with one file more, that file and the listing."""
    place = FailingPlace(tmp_path / "remote")
    first = store.put_folder(folder)
    push(store, place, [first])
    pull(clone := other(tmp_path), place, [first])
    (folder / "more").write_text("more")
    second = store.put_folder(folder)
    assert list(compare(store, place, [second]).new) == [second, store.put_bytes(b"more")]
    place.sent.clear()
    push(store, place, [second])
    assert place.sent == [store.put_bytes(b"more"), second]  # the listing last
    assert len(compare(clone, place, [second]).deleted) == 1  # the listing: what it names is not known here
    place.fetched.clear()
    pull(clone, place, [second])
    assert place.fetched == [second, store.put_bytes(b"more")]
    assert told(compare(clone, place, [second])) == told(compare(store, place, [second]))


@pytest.mark.parametrize("listed", [True, False])
def test_a_part_that_somebody_left_there_is_sent_anew(store: Store, tmp_path: Path, listed: bool) -> None:
    """Its size tells; so a place whose protocol shows parts heals."""
    digest, place = store.put_bytes(b"1234"), FailingPlace(tmp_path / "remote")
    place.lists = listed
    push(store, place, [digest])
    harm(tmp_path / "remote" / name_of(digest), b"12")
    assert push(store, place, [digest]).blobs == 1
    assert (tmp_path / "remote" / name_of(digest)).read_bytes() == b"1234"


def test_what_is_damaged_there_is_named_and_not_used(store: Store, folder: Path, tmp_path: Path) -> None:
    """The rest arrives, and the folder's listing is not there before all of it is."""
    root, place = store.put_folder(folder), FailingPlace(tmp_path / "remote")
    push(store, place, [root])
    bad, gone = store.put_bytes(b"3\n" * 50), store.put_bytes(b"4\n" * 50)
    harm(tmp_path / "remote" / name_of(bad), b"4\n" * 50)
    (tmp_path / "remote" / name_of(gone)).unlink()
    got = pull(clone := other(tmp_path), place, [root])
    assert (got.damaged, got.missing, got.blobs, got.is_whole) == ((bad,), (gone,), 37, False)
    assert place.fetched.count(bad) == 2  # it might have been harmed on the way
    assert not clone.holds(root)
    assert_leaves_before_trees(clone.root)
    harm(tmp_path / "remote" / name_of(root), b"[]")
    assert pull(other(tmp_path, "third"), place, [root]).damaged == (root,)


def test_what_is_damaged_or_missing_here_is_not_sent(store: Store, folder: Path, tmp_path: Path) -> None:
    """Nor the listing of its folder; it is named."""
    root, place = store.put_folder(folder), FolderPlace(tmp_path / "remote")
    bad, gone = store.put_bytes(b"3\n" * 50), store.put_bytes(b"4\n" * 50)
    harm(store.path(bad), b"5")
    store.path(gone).unlink()
    sent = push(store, place, [root])
    assert (sent.damaged, sent.missing, sent.blobs) == ((bad,), (gone,), 37)
    assert place.size(root) is None


def test_what_is_damaged_here_is_mended_from_there(store: Store, folder: Path, tmp_path: Path) -> None:
    """Leaves and listings that are named, and a listing that cannot be read though it was not."""
    root, place = store.put_folder(folder), FolderPlace(tmp_path / "remote")
    push(store, place, [root])
    bad = store.put_bytes(b"3\n" * 50)
    harm(store.path(bad), b"5")
    harm(store.path(root), b"5")
    pull(store, place, [root])
    assert [damage.digest for damage in store.verify([root])] == [bad]
    assert pull(store, place, [bad], anew=[bad]).blobs == 1
    assert store.verify() == []


@pytest.mark.parametrize("for_good", [True, False])
def test_whichever_operation_fails_nothing_is_half_there(tmp_path: Path, for_good: bool) -> None:
    """Of a push and a pull each operation fails in turn: what arrived is whole, stays, and is not moved again."""
    (tmp_path / "data").mkdir()
    for number in range(6):
        (tmp_path / "data" / f"{number}").write_text(f"{number}")
    store = Store(tmp_path / "store")
    root = store.put_folder(tmp_path / "data")
    whole = FailingPlace(tmp_path / "whole")
    push(store, whole, [root])

    def at(number: int) -> Callable[[int], bool]:
        return lambda asked: asked >= number if for_good else asked == number

    for number in range(1, 2 * 7 + 1):  # 7 looks, 7 sends
        place = FailingPlace(tmp_path / f"remote-{number}", at(number))
        if for_good:
            with pytest.raises(RemoteFailed, match="Connection reset") as error:
                push(store, place, [root], patience=AT_ONCE, jobs=2)
            assert "sent and stay" in str(error.value)
        else:
            assert push(store, place, [root], patience=AT_ONCE, jobs=2).is_whole
        assert_leaves_before_trees(place.root)
        again = FailingPlace(place.root)
        assert push(store, again, [root]).is_whole
        assert not {*again.sent} & {*place.sent}
        assert FolderPlace(place.root).size(root) is not None
    for number in range(1, 7 + 1):
        clone = other(tmp_path, f"clone-{number}")
        place = FailingPlace(tmp_path / "whole", at(number))
        if for_good:
            with pytest.raises(RemoteFailed, match="fetched and stay"):
                pull(clone, place, [root], patience=AT_ONCE, jobs=2)
        else:
            assert pull(clone, place, [root], patience=AT_ONCE, jobs=2).is_whole
        assert_leaves_before_trees(clone.root)
        assert list((clone.root / "tmp").iterdir()) == []
        again = FailingPlace(tmp_path / "whole")
        assert pull(clone, again, [root]).is_whole
        assert not {*again.fetched} & ({*place.fetched} - {root})


def test_a_place_that_says_no_is_not_asked_again(store: Store, tmp_path: Path) -> None:
    """And one that is gone is given up by all threads at once, not after each has waited."""

    class Closed(FailingPlace):
        def size(self, digest: Digest) -> int | None:
            super().size(digest)
            raise PlaceRefused("who asks is not known")

    closed = Closed(tmp_path / "remote")
    with pytest.raises(RemoteFailed, match="not known"):
        push(store, closed, [store.put_bytes(b"1")])
    assert closed.asked == 1
    gone = FailingPlace(tmp_path / "remote", lambda number: True)
    with pytest.raises(RemoteFailed):
        push(store, gone, [store.put_bytes(f"{n}".encode()) for n in range(500)], jobs=4, patience=AT_ONCE)
    assert gone.asked <= 4 * 3


def test_a_full_disk_is_told_at_once(store: Store, tmp_path: Path) -> None:
    """Waiting does not make room."""

    class Full(FailingPlace):
        def fetch(self, digest: Digest, target: Path) -> None:
            self._ask()
            raise OSError(28, "No space left on device")

    digest, full = store.put_bytes(b"1"), Full(tmp_path / "remote")
    with pytest.raises(RemoteFailed, match="No space left"):
        pull(other(tmp_path), full, [digest])
    assert full.asked == 1


# Kills the process at the n-th call that writes, for each n; every child works on a copy of its own.
KILLED = """
import itertools, os, shutil, sys
from pathlib import Path
from kairos.store import Store
from kairos.store.places import FolderPlace
from kairos.store.fetching import pull
from kairos.store.sending import push
from tests.store.places import assert_leaves_before_trees

base = Path(sys.argv[1])
(base / "data").mkdir()
for number in range(3):
    (base / "data" / str(number)).write_text(str(number) * 10)
store = Store(base / "store")
root = store.put_folder(base / "data")
push(store, FolderPlace(base / "whole"), [root])

def act(what, here):
    if what == "push":
        push(store, FolderPlace(here), [root], jobs=1)
    else:
        pull(Store(here), FolderPlace(base / "whole"), [root], jobs=1)

for what in ("push", "pull"):
    for number in itertools.count(1):
        here = base / f"{what}-{number}"
        child = os.fork()
        if child == 0:
            left = number
            for name in ("open", "replace", "mkdir", "fsync", "unlink", "rmdir", "fchmod", "chmod", "write"):
                def kill(*args, _whole=getattr(os, name), **options):
                    global left
                    left -= 1
                    if left == 0:
                        os._exit(9)
                    return _whole(*args, **options)
                setattr(os, name, kill)
            act(what, here)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, 9), code
        assert_leaves_before_trees(here)
        act(what, here)
        assert Store(here).has(root) and Store(here).verify() == []
        shutil.rmtree(here)
        if code == 0:
            print(what, number)
            break
"""


def test_killed_at_each_write_nothing_is_half_there(tmp_path: Path) -> None:
    """A push and a pull of three files, killed at each call that writes; the next one ends the work."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = {line.split()[0]: int(line.split()[1]) for line in done.stdout.splitlines()}
    assert counts.keys() == {"push", "pull"}
    assert min(counts.values()) > 20
