"""Finding runs among 30,000: the latest, the best, and those that are so.

Run: ``python -m benchmarks.experiments.runs``. Each figure is a process from its start to its end, as a person waits
for it. MLflow's store is SQLite as well, filled row by row as its client would have left it, which would take it hours;
it is asked for the same twenty runs through ``mlflow.search_runs``, and once for all of them, which is what a table in
a notebook begins with. Kairos's first listing of a ledger that has no index yet is a row of its own.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.side_by_side import (
    US,
    Findings,
    Goal,
    Sample,
    Setting,
    Turn,
    command,
    main,
    median_of,
    take_turns,
    timed,
)
from kairos.ledger import Fact, SqliteLedger
from kairos.values import Json

RUNS = 30_000
METRICS = ("demand.absolute_error", "demand.absolute_error.baseline", "demand.rmse", "demand.bias")
LATEST, BEST, CHOSEN, ALL, ONE, FIRST = (
    "the latest 20",
    "the best 20 by a metric",
    "the best 20 of those that are so",
    "all of them",
    "one by the beginning of its id",
    "the first time, without an index",
)
_MLFLOW = """
import sys, mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
found = mlflow.search_runs(
    experiment_names=["bench"], max_results={count}, order_by=[{order!r}], filter_string={where!r}
)
print(found)
"""
_BEGAN = datetime(2012, 1, 1, tzinfo=UTC)


def measure(setting: Setting) -> Findings:
    """Both have the same runs, with twelve params and four metrics each."""
    count = 300 if setting.quick else RUNS
    project = setting.folder / "project"
    project.mkdir()
    (project / "kairos.toml").write_text('[project]\nname = "bench"\npipeline = "pipeline.py"\n')
    made = [_run(number) for number in range(count)]
    _fill_ledger(project / ".kairos" / "ledger.db", made)
    index = project / ".kairos" / "runs.db"
    kairos = command(US)

    def ours() -> Iterator[Sample]:
        index.unlink(missing_ok=True)
        yield Sample(FIRST, timed(setting, kairos, "runs", folder=project), "s")
        yield Sample(LATEST, timed(setting, kairos, "runs", folder=project), "s")
        yield Sample(BEST, timed(setting, kairos, "runs", "--sort", METRICS[0], folder=project), "s")
        where = f"{METRICS[0]} < 45 and split.holdout_days = 7 and status = finished"
        yield Sample(
            CHOSEN, timed(setting, kairos, "runs", "--where", where, "--sort", METRICS[0], folder=project), "s"
        )
        yield Sample(ALL, timed(setting, kairos, "runs", "-n", str(count), folder=project), "s")
        yield Sample(ONE, timed(setting, kairos, "show", made[count // 2].subject[:9], folder=project), "s")

    contenders: dict[str, Turn] = {US: ours}
    if "mlflow" in setting.peers:
        _fill_mlflow(setting, project, made)
        contenders["mlflow"] = lambda: _theirs(setting, project, count)
    figures = take_turns(contenders, setting.rounds)
    goals = [
        Goal(what=f"{job}, in seconds", value=median_of(figures, job, US), most=0.3) for job in (LATEST, BEST, CHOSEN)
    ]
    size = sum(file.stat().st_size for file in index.parent.glob("runs.db*")) / 1e6
    return Findings(figures, goals, [f"the index takes {size:.0f} MB beside a ledger of {_mb(index.parent):.0f} MB"])


def _mb(home: Path) -> float:
    return (home / "ledger.db").stat().st_size / 1e6


def _theirs(setting: Setting, folder: Path, count: int) -> Iterator[Sample]:
    metric = f"metrics.`{METRICS[0]}`"
    where = f"{metric} < 45 and params.`split.holdout_days` = '7' and attributes.status = 'FINISHED'"
    for job, most, order, asked in (
        (LATEST, 20, "attributes.end_time DESC", ""),
        (BEST, 20, f"{metric} ASC", ""),
        (CHOSEN, 20, f"{metric} ASC", where),
        (ALL, count, "attributes.end_time DESC", ""),
    ):
        code = _MLFLOW.format(count=most, order=order, where=asked)
        yield Sample(job, timed(setting, sys.executable, "-c", code, folder=folder), "s")


def _run(number: int) -> Fact:
    """A run of four steps, as the bikes example tells of it."""
    draw = random.Random(number)
    digest = f"{draw.getrandbits(128):032x}"
    error = draw.gauss(50, 5)
    steps = [
        _step("rentals", {}, {}, digest),
        _step("features", {"keep_parts": False, "lags": {"$tuple": [1, 24, 168]}}, {"rentals": digest}, digest),
        _step("split", {"holdout_days": draw.choice((7, 14, 28)), "gap_hours": 0}, {"features": digest}, digest),
        _step("demand", {"max_iter": draw.randrange(50, 500), "learning_rate": draw.uniform(0.01, 0.3), "seed": 0,
                         "max_depth": None, "l2": draw.random(), "max_bins": 255, "loss": "squared_error"},
              {"split": digest}, f"{digest}.dir"),
    ]  # fmt: skip
    body: dict[str, Json] = {
        "id": f"r{draw.getrandbits(40):010x}",
        "started_at": (_BEGAN + timedelta(minutes=number)).isoformat(),
        "window": "2011-01-01..2011-06-30",
        "steps": steps,
        "models": {"demand": f"{digest}.dir"},
        "code": {"commit": f"{number // 100:040x}", "branch": "main", "dirty_digest": None},
        "libraries": {"numpy": "2.3.5", "polars": "1.35.2", "scikit-learn": "1.7.2"},
        "failure": None,
        "metrics": dict(zip(METRICS, (error, error * 2, error * 1.3, draw.gauss(0, 1)), strict=True)),
    }
    return Fact(kind="run.finished", subject=str(body["id"]), body=body)


def _step(name: str, params: dict[str, Json], inputs: dict[str, str], digest: str) -> dict[str, Json]:
    outputs = [{"name": name, "digest": digest, "kind": "table/polars", "meta": {"rows": 4344, "columns": 13}}]
    facts = {"fingerprint": digest * 2, "code": digest * 2, "params": params, "inputs": inputs, "outputs": outputs}
    return {"step": name, "status": "ran", **facts}


def _fill_ledger(path: Path, made: Sequence[Fact]) -> None:
    ledger = SqliteLedger(path)
    for start in range(0, len(made), 1000):
        ledger.append_all(made[start : start + 1000], actor="bench", at=_BEGAN + timedelta(minutes=start + 1000))
    ledger.close()


def _fill_mlflow(setting: Setting, folder: Path, made: Sequence[Fact]) -> None:
    """One run by MLflow's client, which makes the tables; the others as rows beside it."""
    code = """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("bench")
with mlflow.start_run():
    pass
"""
    timed(setting, sys.executable, "-c", code, folder=folder)
    database = sqlite3.connect(folder / "mlflow.db")
    (experiment,) = database.execute("SELECT experiment_id FROM experiments WHERE name = 'bench'").fetchone()
    for number, fact in enumerate(made):
        at = int((_BEGAN + timedelta(minutes=number)).timestamp() * 1000)
        run = f"{number:032x}"
        database.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,"
            " end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) VALUES"
            " (?, ?, 'UNKNOWN', '', '', 'bench', 'FINISHED', ?, ?, '', 'active', '', ?)",
            (run, fact.subject, at, at + 1000, experiment),
        )
        params = [
            (run, f"{step['step']}.{name}", str(value))
            for step in fact.body["steps"]
            for name, value in step["params"].items()
        ]
        database.executemany("INSERT INTO params (run_uuid, key, value) VALUES (?, ?, ?)", params)
        for table in ("metrics", "latest_metrics"):
            database.executemany(
                f"INSERT INTO {table} (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, 0, 0)",
                [(name, value, at, run) for name, value in fact.body["metrics"].items()],
            )
    database.commit()
    database.close()


if __name__ == "__main__":
    raise SystemExit(main("Finding runs among 30,000", ["mlflow"], measure, rounds=3))
