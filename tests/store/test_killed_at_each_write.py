"""Data stored, tracked and put in place, killed at each call that writes: nothing is half there, the next goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

# Kills the process at the n-th call that writes, for each n; every child works on a folder of its own.
KILLED = """
import itertools, os, shutil, sys
from pathlib import Path
from kairos.store import Store, large_files, reads
from kairos.store.pointers import prepare_dvc, read_pointer, track

reads._WHOLE_BYTES, large_files._PIECE_BYTES, large_files._BEGUN_BYTES = 400, 300, 500  # so one is read in pieces

base, what = Path(sys.argv[1]), sys.argv[2]
CALLS = ("open", "replace", "rename", "mkdir", "fsync", "unlink", "rmdir", "fchmod", "chmod", "utime", "link", "write")

def tree(text):
    return {"a": text + "a", "b/c": text + "c", "d": text + "d", "large": text * 200}

def plant(folder, text):
    for name, content in tree(text).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)

def contents(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}

def begin(here):
    plant(here / "data", "old ")
    (here / ".git").mkdir()
    prepare_dvc(here)
    store = Store(here / ".dvc" / "cache")
    if what == "put":
        return None
    if what == "track":
        track(store, here / "data")
        plant(here / "data", "new ")
        return None
    plant(here / "next", "new ")
    return store.put_folder(here / "next")

def act(here, digest):
    store = Store(here / ".dvc" / "cache")
    if what == "put":
        store.put_folder(here / "data", remembers=True)
    elif what == "track":
        track(store, here / "data")
    else:
        store.checkout(digest, here / "data", link=what)

def look(here, digest, is_ended):
    store = Store(here / ".dvc" / "cache")
    assert store.verify() == []
    if what == "put":
        assert not is_ended or store.has(store.put_folder(here / "data", remembers=True))
        return
    if what == "track":
        assert store.has(read_pointer(here / "data.dvc").digest)
        assert (here / ".gitignore").read_text() == "/data\\n"
        if is_ended:
            assert read_pointer(here / "data.dvc").digest == store.put_folder(here / "data")
        return
    places = [here / "data", *here.glob(".data.*/old")]
    found = [contents(place) for place in places if place.exists()]
    assert found[0] in (tree("old "), tree("new ")), found  # what lies beside a whole one may be half gone
    if is_ended:
        assert contents(here / "data") == tree("new ")

for number in itertools.count(1):
    here = base / str(number)
    here.mkdir()
    digest = begin(here)
    child = os.fork()
    if child == 0:
        left = number
        for name in CALLS:
            def kill(*args, _whole=getattr(os, name), **options):
                global left
                left -= 1
                if left == 0:
                    os._exit(9)
                return _whole(*args, **options)
            setattr(os, name, kill)
        act(here, digest)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9), code
    look(here, digest, code == 0)
    act(here, digest)
    look(here, digest, True)
    shutil.rmtree(here)
    if code == 0:
        print(number)
        break
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: a killed process leaves there what it leaves on a disk, only sooner."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.parametrize("what", ["put", "track", "copy", "hardlink"])
def test_killed_at_each_write_data_is_old_or_new(place: Path, what: str) -> None:
    """A name stands for all its bytes, what a pointer names is stored, what lies in place is whole, old or new."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(place), what], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
