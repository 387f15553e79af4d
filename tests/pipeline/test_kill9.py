"""``kill -9`` of a run, at any moment: store and cache stay valid, workers end, the next run continues."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.projects import Place, statuses

RUN = """
import sys
from pathlib import Path
from kairos.pipeline.engine.local import LocalEngine
from tests.pipeline.projects import Place
with LocalEngine(workers=2) as engine:
    result = Place(Path(sys.argv[1]), engine).run()
    sys.exit(0 if result.ok else 1)
"""


def run_elsewhere(place: Place) -> subprocess.Popen[bytes]:
    """The same run in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", RUN, str(place.root)], cwd=Path(__file__).parents[2])


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits without a limit of its own; the tests have one."""
    while not condition():
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes end")
def test_a_run_killed_in_the_middle_of_a_step_is_continued(place: Place) -> None:
    """What was finished is reused; the worker that was at work has ended with its parent."""
    place.write(
        """
        import os, time
        from pathlib import Path
        @step
        def first() -> int: return 1
        @step
        def slow(first: int) -> int:
            if not Path("go on").exists():
                Path("pid.new").write_text(str(os.getpid()))
                Path("pid.new").rename("pid")
                while True: time.sleep(0.01)
            return first + 1
        @step
        def last(slow: int) -> int: return slow + 1
        """
    )
    with run_elsewhere(place) as child:
        wait_for((place.root / "pid").exists)
        worker = int((place.root / "pid").read_text())
        assert is_alive(worker)
        child.kill()
    wait_for(lambda: not is_alive(worker))
    (place.root / "go on").touch()
    assert place.store.verify() == []
    result = place.run()
    assert result.ok
    assert statuses(result) == {"first": "reused", "slow": "ran", "last": "ran"}


def test_runs_killed_at_any_moment_lose_nothing(place: Place, tmp_path: Path) -> None:
    """Killed after each of its steps in turn, a run ends with the same results as one that was left alone."""
    text = """
        from pathlib import Path
        @step
        def s0() -> str: return "x" * 100_000
        """
    for number in range(1, 4):
        text += f"""
        @step
        def s{number}(s{number - 1}: str) -> str:
            Path("at {number}").touch()
            return s{number - 1} + "{number}"
        """
    place.write(text)
    for number in (1, 2, 3):
        (tmp_path / f"at {number}").unlink(missing_ok=True)
        with run_elsewhere(place) as child:
            wait_for(lambda number=number: (tmp_path / f"at {number}").exists() or child.poll() is not None)  # type: ignore[misc]
            child.kill()
        assert place.store.verify() == []
    result = place.run()
    assert result.ok
    assert place.store.get_bytes(result.artifact("s3").digest) == b"x" * 100_000 + b"123"
    assert statuses(result)["s0"] == "reused"


def test_two_processes_may_run_one_project_at_once(place: Place) -> None:
    """Both end well, and what they made is reused."""
    place.write("@step\ndef a() -> int: return 1\n@step\ndef b(a: int) -> int: return a\n")
    children = [run_elsewhere(place) for _ in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    assert set(statuses(place.run()).values()) == {"reused"}


def test_a_backfill_that_was_killed_goes_on_with_what_is_missing(place: Place) -> None:
    """Partitions that were there by then are not pulled again."""
    place.write("""
        import polars as pl, time
        from datetime import timedelta
        from pathlib import Path
        from kairos import Files, Rows
        @source(every="1d", reads=Files("data/{date}.csv"))
        def rentals(rows: Rows) -> pl.DataFrame:
            table = rows.table()
            with open("pulled.txt", "a") as log: print(table["day"][0], file=log)
            while len(Path("pulled.txt").read_text().splitlines()) >= 8 and not Path("go").exists(): time.sleep(0.01)
            return table
    """)
    (place.root / "data").mkdir()
    days = [f"2011-01-{day:02}" for day in range(3, 24)]
    for day in days:
        (place.root / "data" / f"{day}.csv").write_text(f"day\n{day}\n")
    log = place.root / "pulled.txt"
    process = run_elsewhere(place)
    wait_for(lambda: log.exists() and len(log.read_text().splitlines()) >= 9)
    process.kill()
    process.wait()
    before = log.read_text().splitlines()
    (place.root / "go").touch()
    result = place.run()
    assert result.ok
    after = log.read_text().splitlines()[len(before) :]
    assert sorted(set(before) | set(after)) == days
    assert len(after) <= len(days) - len(before) + 4  # two were under way, and two may have been on their way back
    assert result.artifact("rentals").meta["rows"] == 21
