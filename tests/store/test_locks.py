"""Locks wait for whoever holds them and say who that is; a holder that dies holds nothing any more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kairos.errors import StoreError
from kairos.store.locks import Holder, holders, locked

HOLD = """
import sys, time
from pathlib import Path
from kairos.store.locks import locked
sys.argv = ["/bin/kairos", "run", "--token=s3cret", "s3cret!"]
with locked(Path("{path}"), is_shared={is_shared}):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def somebody(path: Path, *, is_shared: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is told to let go."""
    program = HOLD.format(path=path, is_shared=is_shared)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_it_waits_and_says_for_whom(tmp_path: Path) -> None:
    """Process, host, the command without what may be secret, and since when; once, not at each look."""
    told = list[tuple[Holder, ...]]()

    with somebody(tmp_path / "lock") as process:

        def tell(held_by: tuple[Holder, ...]) -> None:
            told.append(held_by)
            assert process.stdin is not None
            process.stdin.write("\n")  # now it lets go
            process.stdin.flush()

        with locked(tmp_path / "lock", told=tell):
            assert [holder.pid for holder in holders(tmp_path / "lock")] == [os.getpid()]
    first = told[0][0]
    assert (first.pid, first.command, len(told[0])) == (process.pid, "kairos run", 1)
    assert abs(first.since_s - time.time()) < 60
    assert f"`kairos run`, process {process.pid} on " in str(first)
    assert holders(tmp_path / "lock") == ()


def test_a_killed_holder_is_no_holder(tmp_path: Path) -> None:
    """Neither of the lock, nor among those who are told, though its file is still there."""
    with somebody(tmp_path / "lock") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(list((tmp_path / "lock.by").iterdir())) == 1
        with locked(tmp_path / "lock", longest_s=0.0):
            assert len(holders(tmp_path / "lock")) == 1


def test_those_who_share_it_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """But who wants it alone waits for all of them, at most as long as it may."""
    with (
        somebody(tmp_path / "lock", is_shared=True) as one,
        locked(tmp_path / "lock", is_shared=True, longest_s=0.0),
        pytest.raises(StoreError, match=f"process {one.pid} on") as error,
        locked(tmp_path / "lock", longest_s=0.2),
    ):
        raise AssertionError("it was had")
    assert str(os.getpid()) in str(error.value)


def test_what_is_said_of_holders_matters_to_nobody(tmp_path: Path) -> None:
    """Notes that cannot be read are passed over."""
    (tmp_path / "lock.by").mkdir()
    (tmp_path / "lock.by" / "a").write_text("not JSON")
    (tmp_path / "lock.by" / "b").write_text(json.dumps({"pid": 1}))
    with locked(tmp_path / "lock", longest_s=0.0):
        assert [holder.pid for holder in holders(tmp_path / "lock")] == [os.getpid()]


def test_a_process_that_was_forked_meanwhile_holds_nothing(tmp_path: Path) -> None:
    """Though it has the file open still."""
    with locked(tmp_path / "lock"):
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
    try:
        with locked(tmp_path / "lock", longest_s=0.0):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
