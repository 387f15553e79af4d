"""A run tells what its steps took, each by itself; what a module switches on in MLflow holds for all of its steps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kairos.app.project import Project
from kairos.app.training import train
from kairos.clock import ReplayClock
from kairos.experiments import RunRecord, StepRecord, runs
from kairos.values import Window

WINDOW = Window.parse("2011-01-01..2011-01-31")

COSTLY = """\
import subprocess
import sys
import time

from kairos import step


@step
def large() -> int:
    return sum(bytearray(b"x" * 200_000_000)[:3])


@step
def small(large: int) -> int:
    return 1


@step
def busy(small: int) -> int:
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    return 1


@step
def elsewhere(busy: int) -> int:
    code = "import time; b = bytearray(b'x' * 150_000_000)\\nwhile time.process_time() < 0.5: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    return 1


@step(retries=2, retry_wait="0s")
def flaky(elsewhere: int) -> int:
    from pathlib import Path

    tried = Path("tried")
    tried.write_text(tried.read_text() + "x" if tried.exists() else "x")
    if len(tried.read_text()) < 3:
        raise ValueError("not yet")
    return 1
"""
SWITCHED = """\
import mlflow
import numpy as np
from sklearn.linear_model import Ridge

from kairos import step

mlflow.set_experiment("theirs")
mlflow.sklearn.autolog(log_models=False, log_datasets=False, log_post_training_metrics=False)


def fitted(alpha: float) -> float:
    x = np.arange(12.0).reshape(6, 2) % 5
    return float(Ridge(alpha=alpha).fit(x, x[:, 0]).coef_[0])


@step
def first() -> float:
    return fitted(0.25)


@step
def second(first: float) -> float:
    mlflow.sklearn.autolog(disable=True)
    return fitted(0.5)


@step
def third(second: float) -> float:
    return fitted(0.75)
"""


def ran(root: Path, text: str) -> RunRecord:
    """One run of a project in one worker, as the ledger tells it."""
    (root / "kairos.toml").write_text('[project]\nname = "noted"\n')
    (root / "pipeline.py").write_text(text)
    with Project(root, workers=1) as project:
        train(project, window=WINDOW)
        (record,) = runs(project.ledger)
    assert record.failure is None
    return record


def by_name(record: RunRecord) -> dict[str, StepRecord]:
    """Its steps."""
    return {step.step: step for step in record.steps}


def test_each_step_tells_its_own_time_processors_and_memory(tmp_path: Path) -> None:
    """What an earlier step occupied in the same process does not count; what a step started does; tries are counted."""
    record = ran(tmp_path, COSTLY)
    steps = by_name(record)
    assert steps["large"].peak_bytes > 200e6 > steps["small"].peak_bytes > 10e6
    assert steps["elsewhere"].peak_bytes > 150e6 > steps["busy"].peak_bytes
    assert steps["busy"].cpu_s >= 0.3 > steps["small"].cpu_s
    assert steps["elsewhere"].cpu_s >= 0.5
    assert steps["busy"].elapsed_s >= 0.3
    assert (steps["flaky"].tries, steps["busy"].tries) == (3, 1)
    assert record.cpu_s >= sum(step.cpu_s for step in record.steps)
    assert record.elapsed_s >= sum(step.elapsed_s for step in record.steps)
    assert record.peak_bytes == steps["large"].peak_bytes
    assert {"host", "system", "processor", "cpus", "memory_bytes"} <= record.machine.keys()


def test_a_replay_leaves_out_what_is_chance(tmp_path: Path) -> None:
    """Its facts are the same however often it is made."""
    (tmp_path / "kairos.toml").write_text('[project]\nname = "noted"\n')
    (tmp_path / "pipeline.py").write_text("from kairos import step\n\n\n@step\ndef one() -> int:\n    return 1\n")
    with Project(tmp_path, clock=ReplayClock(WINDOW.end)) as project:
        train(project, window=WINDOW)
        (entry,) = project.ledger.read()
    assert "measured" not in entry.body


def test_what_a_module_switches_on_holds_for_all_its_steps(tmp_path: Path) -> None:
    """Also after a step that switched it off for itself; nothing is left in the project's folder or in this process."""
    script = f"import pathlib, tests.app.test_noting as own; own.look_on(pathlib.Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, cwd=Path(__file__).parents[2])


def look_on(tmp_path: Path) -> None:
    """In a process of its own: one that has loaded MLflow before is left as it is."""
    record = ran(tmp_path, SWITCHED)
    assert {name for name, step in by_name(record).items() if step.logged} == {"first", "third"}
    assert (record.params["first.alpha"], record.params["third.alpha"]) == ("0.25", "0.75")
    assert {path.name for path in tmp_path.iterdir()} <= {".kairos", ".dvc", "kairos.toml", "pipeline.py"}
    switches = sys.modules["mlflow.utils.autologging_utils"]
    assert all(config.get("disable", True) for config in switches.AUTOLOGGING_INTEGRATIONS.values() if config)
