"""Two runs of one project at once: what one of them is at, the other waits for and reuses."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from kairos.pipeline.progress import Progress, read_unended
from kairos.pipeline.project import PipelineSource
from kairos.pipeline.result import RunResult, RunStopped, StepEvent
from kairos.pipeline.run import run
from kairos.values import Window
from tests.pipeline.projects import NOW, WINDOW, Finisher, Place, statuses

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such locks")

RUN = """
import sys
from pathlib import Path
from kairos.pipeline.engine.local import LocalEngine
from kairos.values import Window
from tests.pipeline.projects import Place, WINDOW
with LocalEngine(workers=2) as engine:
    targets = sys.argv[3:] or None
    result = Place(Path(sys.argv[1]), engine).run(window=Window.parse(sys.argv[2]), targets=targets)
    sys.exit(0 if result.ok else 1)
"""

SLOW = """
import os, time
from pathlib import Path
@step
def slow() -> int:
    with Path("calls").open("a") as calls: calls.write(f"{os.getppid()}\\n")
    while not Path("go on").exists(): time.sleep(0.01)
    if Path("fail").exists():
        Path("fail").unlink()
        raise ValueError("no luck")
    return 1
@step
def beside() -> int: return 2
@step
def last(slow: int, beside: int) -> int: return slow + beside
"""


def run_elsewhere(place: Place, *targets: str, window: Window = WINDOW) -> subprocess.Popen[bytes]:
    """The same run in a process of its own, which has begun to call a step."""
    child = subprocess.Popen(
        [sys.executable, "-c", RUN, str(place.root), str(window), *targets], cwd=Path(__file__).parents[2]
    )
    while not (place.root / "calls").exists():
        assert child.poll() is None
        time.sleep(0.01)
    return child


def calls(place: Place) -> list[str]:
    """What the steps have written down, a line for each call."""
    return (place.root / "calls").read_text().splitlines()


def go_on_at(place: Place, step: str, what: str) -> Callable[[StepEvent], None]:
    """Lets the slow step end once something has happened."""

    def look(event: StepEvent) -> None:
        if (event.step, event.what) == (step, what):
            (place.root / "go on").touch()

    return look


def test_what_another_run_is_at_is_waited_for_and_reused(place: Place) -> None:
    """Called once; it is said for whom is waited, and other steps go on meanwhile."""
    place.write(SLOW)
    with run_elsewhere(place, "slow") as child:
        result = place.run(on_event=go_on_at(place, "beside", "ran"))
    assert child.returncode == 0
    assert statuses(result) == {"slow": "reused", "beside": "ran", "last": "ran"}
    assert calls(place) == [str(child.pid)]
    (waits,) = [event for event in place.events if event.what == "waits"]
    assert waits.step == "slow"
    assert f"process {child.pid} on " in waits.why[0]
    assert " since 20" in waits.why[0]


def test_a_run_takes_over_from_one_that_is_killed(place: Place) -> None:
    """Within a second or so, with nothing to clean up."""
    place.write(SLOW)
    killed_at, took_over_s = list[float](), list[float]()
    with run_elsewhere(place) as child:

        def look(event: StepEvent) -> None:
            if (event.step, event.what) == ("slow", "waits"):
                child.send_signal(signal.SIGKILL)
                killed_at.append(time.monotonic())
            if (event.step, event.what) == ("slow", "started"):
                took_over_s.append(time.monotonic() - killed_at[0])
                (place.root / "go on").touch()

        result = place.run(on_event=look)
    assert statuses(result)["slow"] == "ran"
    assert len(calls(place)) == 2
    assert took_over_s[0] < 2


def test_a_run_takes_over_from_one_that_fails(place: Place) -> None:
    """Another run's failure is not this one's."""
    place.write(SLOW)
    (place.root / "fail").touch()
    with run_elsewhere(place, "slow") as child:
        result = place.run(on_event=go_on_at(place, "slow", "waits"))
    assert child.returncode == 1
    assert statuses(result) == {"slow": "ran", "beside": "ran", "last": "ran"}
    assert len(calls(place)) == 2


def test_a_step_that_is_forced_waits_for_nobody(place: Place) -> None:
    """It runs here, whoever is at it elsewhere."""
    place.write(SLOW)
    with run_elsewhere(place, "slow") as child:
        result = place.run(force=["slow"], on_event=go_on_at(place, "slow", "started"))
    assert child.returncode == 0
    assert statuses(result)["slow"] == "ran"
    assert len(calls(place)) == 2


def test_a_run_that_waits_can_be_stopped_and_is_seen_to_wait(place: Place, tmp_path: Path) -> None:
    """As by Ctrl-C, which is seen at the next beat; its failure names the step that waited."""
    place.write(SLOW)
    waiting = list[bool]()
    with run_elsewhere(place, "slow") as child, Progress(tmp_path / "runs", window=WINDOW, started_at=NOW) as progress:

        def look(event: StepEvent) -> None:
            progress.note(event)
            if event.what == "waits":
                progress._write()
                (told,) = read_unended(tmp_path / "runs")
                waiting.append(told.steps["slow"]["state"] == "waiting" and "process" in told.steps["slow"]["why"][0])

        with pytest.raises(RunStopped) as stop:
            run_here(place, on_event=look, should_stop=lambda: bool(waiting))
        (place.root / "go on").touch()
    assert child.returncode == 0
    assert waiting == [True]
    assert "'slow'" in str(stop.value)


def run_here(place: Place, *, on_event: Callable[[StepEvent], None], should_stop: Callable[[], bool]) -> RunResult:
    """A run that somebody may stop."""
    return run(
        PipelineSource(root=place.root),
        store=place.store,
        cache=place.cache,
        engine=place.engine,
        window=WINDOW,
        params={},
        clock=place.clock,
        finish_model=Finisher(),
        targets=["slow"],
        on_event=on_event,
        should_stop=should_stop,
    )


PARTS = """
import time
from pathlib import Path
import polars as pl
@source(every="7d", settles_after="1d")
def rows(window: Window) -> pl.DataFrame:
    with Path("calls").open("a") as calls: calls.write(f"{window}\\n")
    while not Path("go on").exists(): time.sleep(0.01)
    return pl.DataFrame({"at": [window.start]})
"""


def test_partitions_are_shared(place: Place) -> None:
    """Two runs over windows that overlap pull each partition once between them."""
    place.write(PARTS)
    with run_elsewhere(place, window=Window.parse("2011-01-03..2011-01-16")) as child:
        while len(calls(place)) < 2:
            time.sleep(0.01)
        result = place.run(window=Window.parse("2011-01-10..2011-01-30"), on_event=go_on_at(place, "rows", "waits"))
    assert child.returncode == 0
    assert result.ok
    assert set(Counter(calls(place)).values()) == {1}
    assert len(calls(place)) == 4
    assert [event.parts for event in place.events if event.what == "ran"] == [2]


def test_a_source_that_may_get_rows_still_is_pulled_by_each_run(place: Place) -> None:
    """What another run began to pull sooner may lack rows, so nobody waits for it."""
    place.write(PARTS.replace(', settles_after="1d"', ""))
    with run_elsewhere(place) as child:
        result = place.run(on_event=go_on_at(place, "rows", "started"))
    assert child.returncode == 0
    assert result.ok
    assert "waits" not in {event.what for event in place.events}
    assert set(Counter(calls(place)).values()) == {2}


def test_runs_that_wait_for_each_other_both_end(place: Place) -> None:
    """Each is at steps that the other waits for, all the time; every step is called once, and none for ever."""
    steps = [f"@step\ndef a{n}() -> int: return called({n})\n" for n in range(12)]
    steps += [f"@step\ndef b{n}(a{n}: int, a{(n + 5) % 12}: int) -> int: return called(a{n})\n" for n in range(12)]
    head = """
import os, random, time
from pathlib import Path
def called(n: int) -> int:
    with Path("calls").open("a") as calls: calls.write("called\\n")
    time.sleep(0.02)
    return n
"""
    place.write(head + "".join(steps))
    with run_elsewhere(place) as child:
        result = place.run()
    assert child.returncode == 0
    assert result.ok
    assert len(calls(place)) == 24
