"""What a step may use and how often it is tried: declared, honoured by the engine, in no fingerprint."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import IO

import pytest

from kairos.errors import UsageError
from kairos.pipeline.artifacts import decode
from kairos.pipeline.declare import step
from kairos.pipeline.engine import local
from kairos.pipeline.engine.local import LocalEngine
from kairos.pipeline.engine.messages import read_message
from kairos.pipeline.engine.resources import Resources
from kairos.pipeline.limits import Limits, read_limits
from kairos.pipeline.ports import Task
from kairos.pipeline.project import PipelineSource
from kairos.pipeline.result import StepEvent
from kairos.values import Digest
from tests.pipeline.projects import Place, statuses


@pytest.fixture
def wide(tmp_path: Path) -> Iterator[Place]:
    """A project whose engine has two processors and two cards."""
    with LocalEngine(workers=2, cpus=2, gpus=["7", "9"]) as engine:
        place = Place(tmp_path, engine)
        yield place
        place.cache.close()


def test_options_are_read_and_mistakes_named() -> None:
    """Sizes and lengths as people write them; what cannot be used says what can."""
    limits = read_limits("step", {"memory": "1.5GiB", "timeout": "2m", "retries": 3, "retry_wait": "5s"})
    assert (limits.memory_bytes, limits.timeout, limits.retries) == (1610612736, timedelta(minutes=2), 3)
    wrong = {"memory": "much", "timeout": "0s", "retries": -1, "gpus": 1.5, "cpus": True}
    for name, value in wrong.items():
        with pytest.raises(UsageError, match="@step"):
            read_limits("step", {name: value})
    with pytest.raises(UsageError, match=r"@step has no option 'retrys'.*Did you mean 'retries'"):
        step(retrys=1)  # type: ignore[call-overload]


def test_a_step_that_fails_at_first_is_tried_again(place: Place) -> None:
    """With a longer wait each time; each failure is told; the result is as if it had never failed."""
    text = """
        from pathlib import Path
        @step(retries=2, retry_wait="0.05s")
        def a() -> int:
            tries = Path("tries")
            count = len(tries.read_text()) if tries.exists() else 0
            tries.write_text("x" * (count + 1))
            if count < 2: raise OSError("the line is busy")
            return 7
        @step
        def b(a: int) -> int: return a
    """
    result = place.run(text)
    assert statuses(result) == {"a": "ran", "b": "ran"}
    told = [event.why for event in place.events if event.what == "retried"]
    assert [why[1] for why in told] == ["try 2 of 3 in 0.05 s", "try 3 of 3 in 0.1 s"]
    assert "the line is busy" in told[0][0]


def test_a_step_that_always_fails_fails_after_its_last_try(place: Place) -> None:
    """And a mistake that no new try can mend, such as a result that cannot be stored, is not tried again."""
    result = place.run("@step(retries=1, retry_wait='0.01s')\ndef a() -> int: raise ValueError('never')")
    assert result.failure is not None
    assert [event.what for event in place.events] == ["started", "retried", "failed"]
    place.run("@step(retries=1, retry_wait='0.01s')\ndef a(): return object()")
    assert [event.what for event in place.events] == ["started", "failed"]


def test_limits_are_in_no_fingerprint(place: Place) -> None:
    """Whoever gives a step more time has not changed what comes out."""
    place.run("@step\ndef a() -> int: return 1")
    options = "retries=1, retry_wait='2s', timeout='1h', memory='4GB', cpus=2"
    assert statuses(place.run(f"@step({options})\ndef a() -> int: return 1")) == {"a": "reused"}


def test_a_step_that_takes_too_long_is_ended_with_all_that_it_started(place: Place) -> None:
    """It fails with a sentence; its child processes are gone; the engine goes on."""
    text = """
        import subprocess, time
        from pathlib import Path
        @step(timeout="2s")
        def a():
            child = subprocess.Popen(["sleep", "600"])
            Path("pid.new").write_text(str(child.pid))
            Path("pid.new").rename("pid")
            time.sleep(600)
    """
    failure = place.run(text).failure
    assert failure is not None
    assert failure.type == "TimedOut"
    assert failure.message == "Step 'a' took longer than its timeout of 2s; its process was ended."
    child = int((place.root / "pid").read_text())
    while Path(f"/proc/{child}").exists() and b"Z" not in Path(f"/proc/{child}/stat").read_bytes().split()[2:3]:
        time.sleep(0.01)
    assert place.run("@step\ndef a() -> int: return 1").ok


def test_an_answer_that_is_there_before_anybody_waits_for_it_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step may end before the engine, on a busy machine, has read that its worker is up."""

    def late(stream: IO[bytes]) -> bytes:
        there = bytearray(4)
        while struct.unpack("i", there)[0] <= struct.calcsize(">Q") + len("up"):
            fcntl.ioctl(stream.fileno(), termios.FIONREAD, there)
        monkeypatch.undo()
        return read_message(stream)

    monkeypatch.setattr(local, "read_message", late)
    with LocalEngine(workers=1) as engine:
        place = Place(tmp_path, engine)
        result = place.run('@step(timeout="10s")\ndef a() -> int: return 1')
        place.cache.close()
    assert result.ok, result.failure


@pytest.mark.parametrize(
    "body",
    [
        "import numpy\n            return float(numpy.ones(100_000_000).sum())",
        "import polars\n            return polars.select(polars.ones(100_000_000, dtype=polars.Float64)).sum().item()",
        "return len(bytearray(b'x') * 800_000_000)",
    ],
    ids=["numpy", "polars", "python"],
)
def test_a_step_that_takes_too_much_memory_is_ended(place: Place, body: str) -> None:
    """Whoever allocates it; the sentence names the limit and what was used. Less than the limit is no matter."""
    text = f"""
        @step(memory="400MB")
        def a() -> float:
            {body}
    """
    failure = place.run(text).failure
    assert failure is not None
    assert failure.type == "OutOfMemory"
    assert "MB of memory, more than its limit of 400 MB; its process was ended." in failure.message
    assert place.run(text.replace("00_000_000", "00_000")).ok


def test_steps_that_ask_for_all_processors_do_not_run_at_once(wide: Place) -> None:
    """Those that ask for one each do."""
    text = """
        import time
        from pathlib import Path
        def alone(name) -> float:
            with open("at work", "x"): time.sleep(0.2)
            Path("at work").unlink()
            return 1.0
        @step(cpus=2)
        def a() -> float: return alone("a")
        @step(cpus=2)
        def b() -> float: return alone("b")
    """
    assert wide.run(text).ok
    assert not wide.run(text.replace("cpus=2", "cpus=1").replace("0.2", "2")).ok


def test_cards_are_handed_out(wide: Place) -> None:
    """Each to one step; who asks for more than there are is told at once."""
    text = """
        import os
        @step(gpus=2)
        def both() -> str: return os.environ["CUDA_VISIBLE_DEVICES"]
        @step(gpus=1)
        def one(both: str) -> str: return os.environ["CUDA_VISIBLE_DEVICES"]
        @step(gpus=3)
        def more(one: str) -> str: return ""
    """
    result = wide.run(text)
    names = [decode(wide.store, result.artifact(name), workdir=wide.root) for name in ("both", "one")]
    assert names == ["7,9", "7"]
    assert result.failure is not None
    assert "asks for more graphics cards than this machine has" in result.failure.message


def task(name: str, cpus: int = 1) -> Task:
    """One that nobody runs."""
    place = PipelineSource(root=Path())
    return Task(source=place, code=Digest(""), store=Path(), step=name, outputs=[], limits=Limits(cpus=cpus))


def test_a_large_task_is_not_overtaken_for_ever() -> None:
    """Small ones go before it as long as it does not fit, but only so many."""
    resources = Resources(2, cpus=2)
    resources.put(task("first", 1), Future())
    held = resources.take()
    assert held is not None
    resources.put(task("large", 2), Future())
    for number in range(40):
        resources.put(task(f"small {number}", 1), Future())
    order = []
    for _ in range(16):
        granted = resources.take()
        assert granted is not None
        order.append(granted.task.step)
        resources.give_back(granted)
    resources.give_back(held)
    granted = resources.take()
    assert granted is not None
    assert granted.task.step == "large"
    assert order == [f"small {number}" for number in range(16)]


def test_the_next_task_is_for_who_has_a_worker() -> None:
    """Somebody without one, who has waited longer, gets the one after it."""
    resources, others = Resources(2, cpus=2), list[str]()

    def other() -> None:
        granted = resources.take()
        assert granted is not None
        others.append(granted.task.step)

    resources.put(task("first"), Future())
    first = resources.take()
    assert first is not None
    waiting = threading.Thread(target=other)
    waiting.start()
    resources.give_back(first, is_warm=True)
    for name in ("second", "third"):
        resources.put(task(name), Future())
    second = resources.take(is_warm=True)
    waiting.join(60)
    assert second is not None
    assert (second.task.step, others) == ("second", ["third"])


def test_torch_is_seeded_where_a_step_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is not loaded for those that do not; a stand-in says what it was told."""
    library = tmp_path / "library"
    library.mkdir()
    (library / "torch.py").write_text("told = []\ndef manual_seed(seed): told.append(seed)\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(library), os.environ.get("PYTHONPATH", "")]))
    (tmp_path / "project").mkdir()
    with LocalEngine(workers=1) as engine:
        place = Place(tmp_path / "project", engine)
        text = """
            import sys
            @step
            def a() -> bool: return "torch" in sys.modules
            @step(seed=5)
            def b(a: bool) -> list:
                import torch
                return torch.told
        """
        result = place.run(text)
        assert result.ok, result.failure
        found = [decode(place.store, result.artifact(name), workdir=tmp_path) for name in ("a", "b")]
        assert found == [False, [5]]
        place.cache.close()


@pytest.mark.parametrize(
    ("option", "body"),
    [("timeout='0.2s'", "time.sleep(600)"), ("memory='300MB'", "len(bytearray(b'x') * 600_000_000)")],
    ids=["time", "memory"],
)
def test_a_process_that_was_ended_is_gone_before_its_step_is_told_as_failed(
    place: Place, option: str, body: str
) -> None:
    """So the next task is given to a new one, and not to one that is about to die."""
    text = f"""
        import os, time
        from pathlib import Path
        @step({option})
        def a():
            Path("pid").write_text(str(os.getpid()))
            {body}
    """
    assert not place.run(text).ok
    with pytest.raises(ProcessLookupError):
        os.kill(int((place.root / "pid").read_text()), 0)


def test_a_step_that_waits_for_its_next_try_when_another_fails_is_told_as_failed(place: Place) -> None:
    """With what its last try said; it is tried no more."""
    text = """
        import time
        from pathlib import Path
        @step(retries=5, retry_wait="1h")
        def a(): raise ValueError("not yet")
        @step
        def b():
            while not Path("retried").exists(): time.sleep(0.01)
            raise KeyError("never")
    """

    def let_the_other_fail(event: StepEvent) -> None:
        if event.what == "retried":
            (place.root / "retried").touch()

    result = place.run(text, on_event=let_the_other_fail)
    assert statuses(result) == {"a": "failed", "b": "failed"}
    assert result.failure is not None
    assert [result.failure.type, *(each.type for each in result.also_failed)] == ["KeyError", "ValueError"]


def test_nothing_is_left_of_a_step_that_was_ended(place: Place) -> None:
    """Its temporary files go with it."""
    text = """
        import tempfile, time
        from pathlib import Path
        @step(timeout="0.5s")
        def a():
            place = Path(tempfile.mkdtemp())
            (place / "half").write_text("written")
            Path("place").write_text(str(place))
            time.sleep(600)
    """
    assert not place.run(text).ok
    left = Path((place.root / "place").read_text())
    deadline = time.monotonic() + 30
    while left.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left.exists()  # though nobody has run anything since
