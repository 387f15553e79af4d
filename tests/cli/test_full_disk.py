"""A disk that is really full: what there is no room for is named, nothing is half there, and all goes on later."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PIPELINE = """
from pathlib import Path
from kairos import step
@step
def small() -> str: return "x" * 1000
@step
def large(small: str, *, size: int = 1) -> bytes: return bytes(range(256)) * (size * 4)
"""
SETTINGS = '[project]\nname = "p"\npipeline = "p.py"\nwindow = "2011-01-01..2011-01-02"\n'

# Typed on a disk of 4 MB, in a namespace of its own.
TYPED = """
import contextlib, io, os, sys
from pathlib import Path
from kairos.cli import main
from kairos.store import Store

def type_in(*words):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = main(list(words))
        except SystemExit as stop:
            code = stop.code
    return code, said.getvalue()

def fill(left):
    Path("fill").write_bytes(b"")
    disk = os.statvfs(".")
    with open("fill", "wb", buffering=0) as file:
        file.write(bytes(max(0, disk.f_bavail * disk.f_frsize - left)))

def halves():
    found = [path for path in Path(".").rglob("*") if path.is_file()]
    return [str(path) for path in found if ".tmp" in path.name or path.parent.name == "tmp"]

assert type_in("run")[0] == 0
Path("a.bin").write_bytes(os.urandom(300_000))
assert type_in("data", "add", "a.bin")[0] == 0
before = sorted(Store(Path(".dvc/cache")).digests())

fill(0)
for words in (["runs"], ["status"], ["models"], ["store", "verify"], ["ledger", "verify"], ["data", "status"]):
    assert type_in(*words)[0] == 0, words
code, said = type_in("run", "-p", "large.size=2")
assert code == 1 and "There is no room for the cache cache.db." in said and "Make room" in said, said
assert "Delete it" not in said

fill(300_000)
Path("b.bin").write_bytes(os.urandom(200_000))
code, said = type_in("data", "add", "b.bin")
assert code == 1 and "No space left on device" in said and "given:    " in said and "cache/tmp" in said, said
assert not Path("b.bin.dvc").exists()
Path("b.bin").unlink()
code, said = type_in("run", "-p", "large.size=1000")
assert code == 1 and "There is no room for what step 'large' gave" in said and "Traceback" not in said, said
Path("a.bin").unlink()
fill(100_000)
code, said = type_in("data", "checkout")
assert code == 1 and "No space left on device" in said and "a.bin" in said, said
assert not Path("a.bin").exists() and halves() == [], halves()
assert sorted(Store(Path(".dvc/cache")).digests()) == before

Store(Path(".dvc/cache")).put_bytes(os.urandom(50_000))
fill(0)
code, said = type_in("data", "gc", "--grace", "0s")
assert code == 0 and "1 blob" in said, said

Path("fill").unlink()
assert type_in("data", "checkout")[0] == 0 and Path("a.bin").stat().st_size == 300_000
assert type_in("run", "-p", "large.size=1000")[0] == 0
assert type_in("store", "verify")[0] == type_in("ledger", "verify")[0] == 0
print("all is well")
"""
MOUNTED = 'mount -t tmpfs -o size=4m tmpfs "$1" && cp p.py kairos.toml "$1" && cd "$1" && exec "$2" -c "$3"'


def may_mount(place: Path) -> bool:
    """Whether a person may make a disk of her own here."""
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def test_a_full_disk_costs_nothing_but_time(tmp_path: Path) -> None:
    """Reading goes on; `data add`, `run` and `checkout` say what there is no room for; a collection makes room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not may_mount(disk):
        pytest.skip("nobody may make a disk of her own here")
    (tmp_path / "p.py").write_text(PIPELINE)
    (tmp_path / "kairos.toml").write_text(SETTINGS)
    command = ["unshare", "-rm", "sh", "-c", MOUNTED, "sh", str(disk), sys.executable, TYPED]
    done = subprocess.run(command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.stdout == "all is well\n", done.stderr
