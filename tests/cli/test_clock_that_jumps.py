"""The machine's clock is set while runs go on, far forward and far back: nothing hangs, is lost, or is called dead."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

DAY_S = 86_400.0
PIPELINE = """
import time
from pathlib import Path
import polars as pl
from kairos import Window, source, step

@source(every="1d", settles_after="1d")
def rentals(window: Window) -> pl.DataFrame:
    return pl.DataFrame({"at": [window.start], "users": [1]})

@step
def slow(rentals) -> int:
    with open("slow.txt", "a") as file:
        file.write("x")
    while not Path("go").exists():
        time.sleep(0.02)
    return rentals.height

@step(retries=2, timeout="60s")
def after(slow: int) -> int:
    if not Path("tried").exists():
        Path("tried").touch()
        raise RuntimeError("not yet")
    return slow + 1
"""


class Machine:
    """A project on a machine of which the clock can be set."""

    def __init__(self, root: Path, library: Path) -> None:
        self.root = root
        self.clock = root / "clock"
        self.set(0.0)
        (root / "right").write_bytes(struct.pack("d", 0.0))
        self.environment = {**os.environ, "LD_PRELOAD": str(library), "CLOCK_FILE": str(self.clock)}
        (root / "pipeline.py").write_text(PIPELINE)
        (root / "kairos.toml").write_text('[project]\nname = "jumps"\npipeline = "pipeline.py"\n')
        self.started: list[subprocess.Popen[bytes]] = []

    def set(self, offset_s: float) -> None:
        """Sets the clock so far from the right time; all programs see it at once."""
        if self.clock.exists():
            with self.clock.open("r+b") as file:
                file.write(struct.pack("d", offset_s))
        else:
            self.clock.write_bytes(struct.pack("d", offset_s))

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Starts a command."""
        command = [sys.executable, "-m", "kairos.cli", "-C", str(self.root), *words]
        child = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.started.append(child)
        return child

    def plain(self, *words: str, host: str | None = None) -> Any:
        """What a command prints as JSON."""
        command = [sys.executable, "-m", "kairos.cli", "-C", str(self.root), *words, "--json"]
        other = {"CLOCK_HOST": host or "", "CLOCK_FILE": str(self.root / "right")}  # nobody set its clock
        environment = {**self.environment, **({} if host is None else other)}
        done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=True)
        return json.loads(done.stdout)

    def now_s(self) -> float:
        """What its programs take for the time."""
        code = "from kairos.clock import SystemClock; print(SystemClock().now().timestamp())"
        return float(
            subprocess.run([sys.executable, "-c", code], env=self.environment, check=True, capture_output=True).stdout
        )

    def wait_for(self, name: str) -> None:
        """Waits for a file of the project."""
        until_s = time.monotonic() + 60
        while not (self.root / name).exists():
            assert time.monotonic() < until_s, [child.poll() for child in self.started]
            time.sleep(0.02)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What sets clocks, compiled."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("a C compiler on Linux makes the clock that is set")
    target = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(target), str(source)], check=True)
    return target


@pytest.fixture
def machine(tmp_path: Path, library: Path) -> Iterator[Machine]:
    """A machine; what runs on it ends with the test."""
    made = Machine(tmp_path, library)
    yield made
    for child in made.started:
        with suppress(ProcessLookupError):
            child.kill()
        child.communicate()


def test_runs_go_on_when_the_clock_is_set(machine: Machine) -> None:
    """One in the middle of a step, and another that waits for it: alive here, and from elsewhere where the clock is
    right; both end, each step was made once, durations are those it took, and afterwards nothing is made again."""
    window = ["--window", "2011-01-03..2011-01-05"]
    first = machine.start("run", *window)
    machine.wait_for("slow.txt")
    second = machine.start("run", *window)
    for jump_s, host in ((400 * DAY_S, "elsewhere"), (-400 * DAY_S, "elsewhere"), (-400 * DAY_S, None)):
        machine.set(jump_s)
        told = machine.plain("runs", host=host)
        assert {run["status"] for run in told} == {"running"}, (host, told)
    assert abs(machine.now_s() - time.time() + 400 * DAY_S) < DAY_S
    (machine.root / "go").touch()
    for child in (first, second):
        _, said = child.communicate(timeout=60)
        assert child.returncode == 0, said.decode()
    runs = machine.plain("runs")
    assert [run["status"] for run in runs] == ["finished", "finished"]
    assert all(0 <= step["elapsed_s"] < 60 for step in machine.plain("show", runs[0]["run"])["steps"])
    machine.set(0.0)
    assert machine.start("ledger", "verify").wait(timeout=60) == 0
    assert machine.start("run", *window).wait(timeout=60) == 0
    assert (machine.root / "slow.txt").read_text() == "x"
