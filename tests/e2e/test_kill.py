"""``kill -9`` of the real command: what was acknowledged is kept, files stay valid, and the next command goes on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from kairos.ledger import SqliteLedger
from kairos.store.blobs import Store
from kairos.store.predictions import PredictionLog
from tests.e2e.commands import Deployed, Server, kairos, serving, start

ROW = {
    "hour_of_day": 8,
    "weekday": 1,
    "workingday": 1,
    "holiday": 0,
    "season": 2,
    "weather": 1,
    "temperature_c": 21.5,
    "feels_like_c": 22.0,
    "humidity": 52.0,
    "windspeed": 11.0,
}

SLOW = """
import os, time
from pathlib import Path
from kairos import step

HERE = Path(__file__).parent

@step
def first() -> int:
    return 1

@step
def slow(first: int) -> int:
    while not (HERE / "go on").exists():
        (HERE / "pid.new").write_text(str(os.getpid()))
        (HERE / "pid.new").rename(HERE / "pid")
        time.sleep(0.02)
    return first + 1

@step
def last(slow: int) -> int:
    return slow + 1
"""


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits without a limit of its own; the tests have one."""
    while not condition():
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def send_until_it_dies(server: Server, acknowledged: list[str]) -> None:
    """Asks again and again; notes the id of every answer that came in whole."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        try:
            while True:
                answer = client.post("/predict/demand", json={"inputs": ROW})
                acknowledged.append(answer.json()["prediction_id"])
        except httpx.TransportError:
            return


def test_a_server_killed_under_traffic_loses_no_acknowledged_prediction(deployed: Deployed, tmp_path: Path) -> None:
    """Each id that a client got is found again, once; the next server answers and the ledger is whole."""
    project = deployed.copy(tmp_path / "mybikes")
    acknowledged: list[str] = []
    with serving(project, "serve") as server, ThreadPoolExecutor(4) as clients:
        for _ in range(4):
            clients.submit(send_until_it_dies, server, acknowledged)
        wait_for(lambda: len(acknowledged) >= 300)
        assert server.stop(signal.SIGKILL).code == -signal.SIGKILL
    log = PredictionLog(project / ".kairos" / "predictions")
    assert len(set(acknowledged)) == len(acknowledged) >= 300
    assert [name for name in acknowledged if len(log.find(name)) != 1] == []
    log.roll()
    assert [name for name in acknowledged[::50] if len(log.find(name)) != 1] == []
    assert log.damages() == ()
    with serving(project, "serve") as server:
        assert server.post("/predict/demand", {"inputs": ROW}).status_code == 200
    assert kairos(project, "ledger", "verify", "--json").json["broken_seq"] is None


def test_a_run_killed_in_the_middle_of_a_step_is_continued(tmp_path: Path) -> None:
    """No worker is left behind, ledger and store are valid, and the next run reuses what was finished."""
    (tmp_path / "kairos.toml").write_text('[project]\nname = "slow"\nwindow = "2012-01-01..2012-01-31"\n')
    (tmp_path / "pipeline.py").write_text(SLOW)
    with start(tmp_path, "run") as run:
        wait_for((tmp_path / "pid").exists)
        worker = int((tmp_path / "pid").read_text())
        assert is_alive(worker)
        run.kill()
    wait_for(lambda: not is_alive(worker))
    assert Store(tmp_path / ".dvc" / "cache").verify() == []
    assert SqliteLedger(tmp_path / ".kairos" / "ledger.db").verify().is_intact
    (tmp_path / "go on").touch()
    again = kairos(tmp_path, "run", "--json").json
    statuses = {step["step"]: step["status"] for step in again["steps"]}
    assert statuses == {"first": "reused", "slow": "ran", "last": "ran"}
    told, dead = kairos(tmp_path, "runs", "--json").json
    assert (dead["status"], dead["pid"]) == ("dead", run.pid)
    assert (told["run"], told["status"]) == (again["id"], "finished")
    assert kairos(tmp_path, "ledger", "verify", "--json").json["entries"] == 1


def test_a_run_that_is_stopped_is_told_and_continued(tmp_path: Path) -> None:
    """It ends at once, says where it was, is recorded as failed, and the next run reuses what was finished."""
    (tmp_path / "kairos.toml").write_text('[project]\nname = "slow"\nwindow = "2012-01-01..2012-01-31"\n')
    (tmp_path / "pipeline.py").write_text(SLOW)
    with start(tmp_path, "run") as run:
        wait_for((tmp_path / "pid").exists)
        worker = int((tmp_path / "pid").read_text())
        run.send_signal(signal.SIGTERM)  # as Ctrl-C does
        _, complaint = run.communicate()
    assert run.returncode == 130
    assert "The run was stopped by the user at step 'slow'." in complaint
    assert "Traceback" not in complaint
    assert not is_alive(worker)
    [told] = kairos(tmp_path, "runs", "--json").json
    assert told["status"] == "failed"
    (tmp_path / "go on").touch()
    again = kairos(tmp_path, "run", "--json").json
    assert {step["step"]: step["status"] for step in again["steps"]} == {
        "first": "reused",
        "slow": "ran",
        "last": "ran",
    }
