"""The prediction log beside others and under ``kill -9``: what was acknowledged is there once, and nothing by half."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kairos.store.predictions import Prediction, PredictionLog
from kairos.store.spool import spools
from kairos.values import Window

START = datetime(2011, 1, 1, tzinfo=UTC)
ALL = Window(START, START + timedelta(days=1))


def pair(name: str) -> list[Prediction]:
    """The champion's and the challenger's row of one request."""
    return [
        Prediction(
            id=name,
            at=START,
            model="demand",
            version=version,
            role="champion" if version == 1 else "challenger",
            answered=version == 1,
            share=0.0,
            inputs={"temp": 0.5},
            raw=1.0,
            output=1.0,
            latency_us=1,
        )
        for version in (1, 2)
    ]


def assert_whole(log: PredictionLog, acknowledged: set[str]) -> None:
    """Every acknowledged request is in the log, and every request in the log has its two rows once."""
    found = log.predictions("demand", ALL).group_by("id").agg(pl.col("version").sort())
    assert acknowledged <= set(found["id"])
    assert set(map(tuple, found["version"])) <= {(1, 2)}


def test_reader_beside_writer_and_roller_sees_every_row_once(tmp_path: Path) -> None:
    """While others write and roll, a reader always sees exactly what has been acknowledged."""
    log, stop, acknowledged = PredictionLog(tmp_path), threading.Event(), set[str]()

    def roll() -> None:
        other = PredictionLog(tmp_path)
        while not stop.is_set():
            other.roll()
            time.sleep(0.005)

    roller = threading.Thread(target=roll)
    roller.start()
    try:
        writer = log.writer("w")
        for number in range(100):
            writer.append(pair(str(number)))
            acknowledged.add(str(number))
            if number % 10 == 0:
                assert_whole(log, acknowledged)
                assert log.predictions("demand", ALL).height == 2 * len(acknowledged)
        writer.close()
    finally:
        stop.set()
        roller.join()


# Two writers and a roller in one process; the id of a request is printed once its rows are acknowledged.
SERVER = """
import itertools, os, sys, threading
from pathlib import Path
from kairos.store.predictions import PredictionLog
from test_kill9 import pair

log, run = PredictionLog(Path(sys.argv[1])), sys.argv[2]

def write(worker):
    writer = log.writer(worker)
    for number in itertools.count():
        writer.append(pair(f"{run}-{worker}-{number}"))
        os.write(1, f"{run}-{worker}-{number}\\n".encode())

def roll():
    while True:
        log.roll()

for work in (lambda: write("a"), lambda: write("b"), roll):
    threading.Thread(target=work).start()
"""


def test_kill_9_of_servers_that_write_and_roll(tmp_path: Path) -> None:
    """Two workers and a roll, killed together again and again: the log stays whole, also for who rolls it next."""
    chance, log, acknowledged = random.Random(5), PredictionLog(tmp_path), set[str]()
    for run in range(6):
        command = [sys.executable, "-c", SERVER, str(tmp_path), str(run)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent) as process:
            assert process.stdout is not None
            for _ in range(chance.randint(1, 400)):
                acknowledged.add(process.stdout.readline().decode().strip())
            assert_whole(log, acknowledged)  # while the others write and roll
            process.kill()
            rest = process.stdout.read().decode().splitlines(keepends=True)
            acknowledged |= {line.strip() for line in rest if line.endswith("\n")}
        for reader in (log, PredictionLog(tmp_path)):
            assert_whole(reader, acknowledged)
        if run % 2:
            log.roll()
            assert_whole(log, acknowledged)
            assert spools(tmp_path) == []


ROLLER = """
import sys
from pathlib import Path
from kairos.store.predictions import PredictionLog

log = PredictionLog(Path(sys.argv[1]))
while True:
    print(log.roll(), flush=True)
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kill_9_of_a_roll_while_a_writer_writes(tmp_path: Path, seed: int) -> None:
    """A roll that is killed at any moment costs the writer beside it and its readers nothing."""
    chance, log, acknowledged = random.Random(seed), PredictionLog(tmp_path), set[str]()
    writer = log.writer("w")
    with subprocess.Popen([sys.executable, "-c", ROLLER, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for number in range(200):
            writer.append(pair(str(number)))
            acknowledged.add(str(number))
            if number % 50 == 0:
                assert_whole(log, acknowledged)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
    writer.append(pair("last"))
    writer.close()
    for _ in range(2):
        for reader in (log, PredictionLog(tmp_path)):
            assert_whole(reader, acknowledged | {"last"})
        log.roll()
    assert spools(tmp_path) == []
