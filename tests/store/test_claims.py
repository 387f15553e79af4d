"""Claims that the system holds: one holder at a time, let go of by whoever dies, named to who asks."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kairos.store.claims import Claims

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such locks")

HOLD = """
import sys
from pathlib import Path
from kairos.store.claims import Claims
claims = Claims(Path(sys.argv[1]))
print(all([claims.take(name) for name in sys.argv[2:]]), flush=True)
sys.stdin.read()
"""


def hold(folder: Path, *names: str) -> subprocess.Popen[str]:
    """A process that holds claims until its input ends or it is killed."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "True\n"
    return child


def test_a_killed_process_lets_go_of_all_its_claims(tmp_path: Path) -> None:
    """At once, with nothing to clean up; until then others are told which process it is."""
    claims = Claims(tmp_path)
    with hold(tmp_path, "a", "b") as child:
        assert [claims.take(name) for name in ("a", "b", "c")] == [False, False, True]
        holder = claims.holder("b")
        assert holder is not None
        assert (holder.pid, holder.host) == (child.pid, os.uname().nodename)
        assert claims.holder("c") is None  # its own
        child.kill()
        child.wait()
        assert [claims.take(name) for name in ("a", "b")] == [True, True]
        assert claims.holder("a") is None
    claims.close()


def test_ten_thousand_claims_open_few_files(tmp_path: Path) -> None:
    """A fan-out of many steps costs neither open files nor files on the disk."""
    before = len(os.listdir("/proc/self/fd"))
    claims, other = Claims(tmp_path), Claims(tmp_path)
    names = [f"step {number}" for number in range(10_000)]
    assert all(claims.take(name) for name in names)
    assert len(os.listdir("/proc/self/fd")) - before <= 17
    assert not any(other.take(name) for name in names[::100])
    for name in names[::2]:
        claims.release(name)
    assert [other.take(name) for name in names[:4]] == [True, False, True, False]
    claims.close()
    assert other.take(names[1])
    other.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(list(tmp_path.iterdir())) < 20


def test_where_nothing_may_be_written_nobody_waits(tmp_path: Path) -> None:
    """A folder that cannot be made keeps nobody from working."""
    (tmp_path / "file").touch()
    claims = Claims(tmp_path / "file" / "claims")
    assert claims.take("a")
    assert claims.holder("a") is None
    claims.release("a")
    claims.close()


class Holders(RuleBasedStateMachine):
    """Three holders take, release and end in any order; a book beside them says who must have what."""

    names = st.sampled_from(["a", "b", "c", "d"])
    holders = st.integers(0, 2)

    @initialize()
    def begin(self) -> None:
        """Nobody has anything."""
        self.folder = tempfile.TemporaryDirectory()
        self.claims = [Claims(Path(self.folder.name)) for _ in range(3)]
        self.book: dict[str, int] = {}

    @rule(holder=holders, name=names)
    def take(self, holder: int, name: str) -> None:
        """It is granted unless another one has it."""
        assert self.claims[holder].take(name) == (self.book.get(name, holder) == holder)
        self.book.setdefault(name, holder)

    @rule(holder=holders, name=names)
    def release(self, holder: int, name: str) -> None:
        """What is another's stays another's."""
        self.claims[holder].release(name)
        if self.book.get(name) == holder:
            del self.book[name]

    @rule(holder=holders)
    def end(self, holder: int) -> None:
        """All of one's claims end with it; its seat is free for the next one."""
        self.claims[holder].close()
        self.claims[holder] = Claims(Path(self.folder.name))
        self.book = {name: other for name, other in self.book.items() if other != holder}

    @invariant()
    def who_asks_is_told(self) -> None:
        """Each of the others hears of a holder, and nobody of one where there is none."""
        if hasattr(self, "book"):
            for name in ("a", "b", "c", "d"):
                for number, claims in enumerate(self.claims):
                    is_told = claims.holder(name) is not None
                    assert is_told == (self.book.get(name, number) != number)

    def teardown(self) -> None:
        """Closes all."""
        if hasattr(self, "claims"):
            for claims in self.claims:
                claims.close()
            self.folder.cleanup()


Holders.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestHolders = Holders.TestCase
