"""A second run of a pipeline in which nothing has changed.

Run: ``python -m benchmarks.pipeline.nothing_changed``. The pipeline is that of the bikes example, four steps. DVC's has
a stage for each step, a script that calls the same function and keeps its tables as Parquet. Kairos does more in that
time: it measures the model on its holdout, writes the run into the ledger, and, as a command, into MLflow.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from time import perf_counter

from benchmarks.side_by_side import US, Figure, Sample, Setting, Turn, command, main, take_turns, timed
from kairos.app.project import Project
from kairos.app.starting import start_project
from kairos.app.training import train
from kairos.examples import copy_example
from kairos.values import Window

IN_PROCESS, AS_COMMAND = "in a running process", "as a command"

STAGE = """\
import sys
from datetime import UTC, datetime
from pathlib import Path
import joblib
import polars as pl
import pipeline
from kairos import Window

def read(name):
    return pl.read_parquet(f"out/{name}.parquet")

def write(name, table):
    table.write_parquet(f"out/{name}.parquet")

Path("out").mkdir(exist_ok=True)
match sys.argv[1]:
    case "rentals":
        write("rentals", pipeline.rentals(Window.parse(sys.argv[2])))
    case "features":
        write("features", pipeline.features(read("rentals")))
    case "split":
        parts = pipeline.split(read("features"))
        write("train", parts.train)
        write("holdout", parts.holdout)
    case "demand":
        train = read("train")
        inputs = train.drop("users", "hour").to_numpy()
        joblib.dump(pipeline.demand(train).fit(inputs, train["users"].to_numpy()), "out/demand.joblib")
"""

STAGES = {
    "rentals": (["data/bikes.csv.gz"], ["out/rentals.parquet"]),
    "features": (["out/rentals.parquet"], ["out/features.parquet"]),
    "split": (["out/features.parquet"], ["out/train.parquet", "out/holdout.parquet"]),
    "demand": (["out/train.parquet"], ["out/demand.joblib"]),
}


def measure(setting: Setting) -> list[Figure]:
    """Both have made everything once before the first turn."""
    os.environ.update(setting.environment)  # for DVC in this process
    window = "2011-01-01..2011-01-31" if setting.quick else "2011-01-01..2011-06-30"
    contenders: dict[str, Turn] = {}
    with Project(start_project("bikes", setting.folder / "ours")) as ours:
        if not train(ours, window=Window.parse(window)).result.ok:
            raise SystemExit("error: the first run failed")
        contenders[US] = lambda: _kairos(setting, ours, window)
        if "dvc" in setting.peers:
            theirs = _dvc_project(setting, window)
            contenders["dvc"] = lambda: _dvc(setting, theirs)
        return take_turns(contenders, setting.rounds)


def _kairos(setting: Setting, project: Project, window: str) -> Iterator[Sample]:
    started = perf_counter()
    result = train(project, window=Window.parse(window)).result
    yield Sample(IN_PROCESS, perf_counter() - started, "s")
    if {step.status for step in result.steps} != {"reused"}:
        raise SystemExit(f"error: not everything was reused: {[(step.step, step.status) for step in result.steps]}")
    yield Sample(AS_COMMAND, timed(setting, command(US), "run", "--window", window, folder=project.root), "s")


def _dvc(setting: Setting, folder: Path) -> Iterator[Sample]:
    from dvc.repo import Repo  # type: ignore[import-untyped]  # loads for a second or two; that is measured by the command

    with chdir(folder), Repo() as repo, redirect_stdout(StringIO()):
        started = perf_counter()
        made = repo.reproduce()
        yield Sample(IN_PROCESS, perf_counter() - started, "s")
    if made:
        raise SystemExit(f"error: not everything was reused: {made}")
    yield Sample(AS_COMMAND, timed(setting, command("dvc"), "repro", "--quiet", folder=folder), "s")


def _dvc_project(setting: Setting, window: str) -> Path:
    """The same functions under DVC and git, made once."""
    folder = copy_example("bikes", setting.folder / "theirs")
    (folder / "stage.py").write_text(STAGE)
    lines = ["stages:"]
    for name, (inputs, outputs) in STAGES.items():
        argument = f" {window}" if name == "rentals" else ""
        lines += [f"  {name}:", f"    cmd: {sys.executable} stage.py {name}{argument}"]
        lines += [f"    deps: [{', '.join(['pipeline.py', 'stage.py', *inputs])}]", f"    outs: [{', '.join(outputs)}]"]
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n")
    subprocess.run(["git", "-C", folder, "init", "--quiet"], check=True, env=dict(setting.environment))
    timed(setting, command("dvc"), "init", "--quiet", folder=folder)
    timed(setting, command("dvc"), "repro", folder=folder)
    return folder


if __name__ == "__main__":
    raise SystemExit(main("A second run, nothing changed", ["dvc"], measure, rounds=5))
