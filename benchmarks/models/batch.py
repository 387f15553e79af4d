"""A trained model predicts 1 and 10 million rows of a Parquet file into another one: seconds and memory of the process.

Run: ``python -m benchmarks.models.batch``. The model is that of the bikes example, 150 trees of scikit-learn. Kairos
holds each row to the signature, guards what leaves, and keeps every prediction so that it can be explained; *nothing
kept* is with ``--no-capture``. *MLflow* loads the same package with ``mlflow.pyfunc`` and predicts a data frame of
pandas, and *scikit-learn* does so with the estimator itself, a hundred thousand rows at a time.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

import polars as pl

from benchmarks.side_by_side import (
    US,
    Figure,
    Findings,
    Goal,
    Sample,
    Setting,
    Turn,
    command,
    main,
    median_of,
    take_turns,
)
from kairos.app.project import Project
from kairos.app.starting import start_project
from kairos.app.training import train
from kairos.values import Window

ROWS = (1_000_000, 10_000_000)
KEPT_NOT, MLFLOW, SKLEARN = f"{US}, nothing kept", "MLflow", "scikit-learn"

WITH_MLFLOW = """
import sys
import mlflow.pyfunc
import pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
rows = pd.read_parquet(sys.argv[2])
rows["prediction"] = model.predict(rows[model.metadata.get_input_schema().input_names()])
rows.to_parquet(sys.argv[3])
"""

WITH_SKLEARN = """
import sys
import mlflow.sklearn
import polars as pl
model = mlflow.sklearn.load_model(sys.argv[1])
rows = pl.read_parquet(sys.argv[2])
names = list(getattr(model, "feature_names_in_", sys.argv[4].split(",")))
said = [model.predict(piece.select(names).to_numpy()) for piece in rows.iter_slices(100_000)]
rows.with_columns(prediction=pl.concat([pl.Series(each) for each in said])).write_parquet(sys.argv[3])
"""


def measure(setting: Setting) -> Findings:
    """Each turn is a process of its own over the same file."""
    os.environ.update(setting.environment)
    root = start_project("bikes", setting.folder / "bikes")
    with Project(root) as project:
        trained = train(project, window=Window.parse("2011-01-01..2011-06-30"))
        [ref] = trained.versions
        package = root / "package"
        project.store.checkout(project.state().model(ref.model).version(ref.number).package, package)
        names = trained_names(project, str(ref))
        [table] = [pl.read_parquet(project.store.path(trained.result.artifact("split.holdout").digest))]
    figures: list[Figure] = []
    sizes = (10_000,) if setting.quick else ROWS
    for rows in sizes:
        source = setting.folder / f"{rows}.parquet"
        pl.concat([table] * (rows // table.height + 1)).head(rows).write_parquet(source)
        job = f"{rows:,} rows"
        ours = (command(US), "predict", str(ref), source, "-o", root / "out.parquet")
        contenders: dict[str, Turn] = {
            US: partial(_samples, setting, job, root, *ours),
            KEPT_NOT: partial(_samples, setting, job, root, *ours, "--no-capture"),
        }
        for who, script in ((MLFLOW, WITH_MLFLOW), (SKLEARN, WITH_SKLEARN)):
            words = (sys.executable, "-c", script, package, source, root / "theirs.parquet", names)
            contenders[who] = partial(_samples, setting, job, root, *words)
        figures += take_turns(contenders, setting.rounds)
        source.unlink()
    largest = f"{sizes[-1]:,} rows"
    return Findings(
        figures,
        [
            Goal(what="10,000,000 rows, seconds", value=median_of(figures, largest, US), most=60.0),
            Goal(
                what="quicker than scikit-learn itself",
                value=median_of(figures, largest, SKLEARN) / median_of(figures, largest, US),
                least=1.0,
            ),
        ],
    )


def trained_names(project: Project, ref: str) -> str:
    """The version's columns, separated by commas."""
    from kairos.app.packages import open_stored

    model, _, number = ref.partition("@")
    package = open_stored(project.store, project.state().model(model).version(int(number)).package)
    return ",".join(package.spec.signature.names)


def _samples(setting: Setting, job: str, folder: Path, *words: str | Path) -> Iterator[Sample]:
    started = perf_counter()
    process = subprocess.Popen(
        [str(word) for word in words], cwd=folder, env=dict(setting.environment), stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    took_s = perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"error: {words[0]} ended with {process.returncode}")
    yield Sample(job, took_s, "s")
    yield Sample(f"{job}, memory", _bytes(used) / 1e6, "MB")


def _bytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss * 1024.0


if __name__ == "__main__":
    sys.exit(main("A table predicted as a batch", (), measure, rounds=1))
