"""What a step's own code logs with MLflow lands in the run's MLflow run, and comes along when the step is reused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from kairos.app.keeping import check_store
from kairos.app.needs import needs
from kairos.app.project import Project
from kairos.app.recording import Record
from kairos.app.training import train
from kairos.experiments import RunRecord, runs
from kairos.values import Window

pytestmark = [  # MLflow's own, and that of SQLAlchemy about it
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

PIPELINE = """\
from kairos import step


@step
def rows() -> int:
    return 3


@step
def fit(rows: int, *, rate: float = 0.5) -> float:
    import mlflow

    mlflow.set_experiment("mine")
    with mlflow.start_run(run_name="whatever"):
        mlflow.log_param("rate", rate)
        for epoch in range(5):
            mlflow.log_metric("loss", rate / (epoch + 1), step=epoch)
        mlflow.log_metrics({"loss_twice": 1.0, "odd": float("nan")})
        mlflow.log_text("seen", "notes/seen.txt")
        mlflow.set_tag("team", "bikes")
        for name in ("error", "error/val", "kl/x/y", "kl", "kl/x"):
            mlflow.log_metric(name, len(name))
            mlflow.log_param(name, name)
            mlflow.set_tag(name, name)
    return rate


@step
def auto(fit: float) -> float:
    import mlflow
    import numpy as np
    from sklearn.linear_model import Ridge

    mlflow.autolog(log_models=False)
    mlflow.sklearn.autolog(log_models=False)  # of which mlflow.autolog(disable=True) takes nothing back
    mlflow.log_metric("loss", 9.0)
    x = np.arange(12.0).reshape(6, 2) % 5
    return float(Ridge(alpha=0.25).fit(x, x[:, 0]).coef_[0])


@step
def silent(auto: float) -> float:
    import numpy as np
    from sklearn.linear_model import Ridge

    x = np.arange(12.0).reshape(6, 2) % 5
    return float(Ridge(alpha=0.75).fit(x, x[:, 0]).coef_[0])


@step
def again(silent: float) -> float:
    import mlflow
    import numpy as np
    from sklearn.linear_model import Lasso

    mlflow.autolog(log_models=False, log_datasets=False)
    x = np.arange(12.0).reshape(6, 2) % 5
    return float(Lasso(alpha=0.125).fit(x, x[:, 0]).coef_[0])


@step
def several(again: float) -> list:
    import mlflow

    for depth in (2, 4):
        with mlflow.start_run(run_name=f"depth {depth}"):
            mlflow.log_param("depth", depth)
            mlflow.log_metric("score", depth / 10)
    return [2, 4]


@step
def last(several: list, *, fails: bool = False) -> int:
    import mlflow

    mlflow.log_metric("reached", 1)
    if fails:
        raise ValueError("no")
    return 1
"""
WINDOW = Window.parse("2011-01-01..2011-01-31")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Three runs in one worker: all steps run, all are reused, and the last one fails; then the record is told."""
    root = tmp_path_factory.mktemp("logging")
    (root / "kairos.toml").write_text('[project]\nname = "logging"\n')
    (root / "pipeline.py").write_text(PIPELINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # where nobody is: no step may ask it
        patch.setenv("MLFLOW_EXPERIMENT_NAME", "theirs")
        with Project(root, workers=1) as project:
            for params in ({}, {}, {"last": {"fails": True}}):
                train(project, window=WINDOW, params=params)
            left = {path.name for path in root.iterdir()}
            assert left <= {".kairos", ".dvc", "kairos.toml", "pipeline.py"}
            assert os.environ["MLFLOW_EXPERIMENT_NAME"] == "theirs"
            with Record(project):
                pass
            yield project


@pytest.fixture(scope="module")
def client(project: Project) -> MlflowClient:
    """Looks into the project's record."""
    with pytest.MonkeyPatch.context() as patch:
        uri = f"sqlite:///{project.home / 'mlflow.db'}"
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        return MlflowClient(tracking_uri=uri)


def told(project: Project) -> list[RunRecord]:
    """As the ledger tells them."""
    return runs(project.ledger)


def recorded(client: MlflowClient, record: RunRecord) -> Run:
    """The MLflow run of a run; there is one."""
    experiment = client.get_experiment_by_name("logging")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], f"tags.`kairos.run` = '{record.run}'")
    return run


def test_a_run_has_what_its_steps_logged(project: Project, client: MlflowClient) -> None:
    """Params, last values and tags, under their own names, or with the step's where two steps used one."""
    run = recorded(client, told(project)[0])
    assert run.data.params["rate"] == "0.5"
    assert (run.data.params["auto.alpha"], run.data.params["again.alpha"]) == ("0.25", "0.125")
    assert {name: run.data.metrics[name] for name in ("fit.loss", "auto.loss", "loss_twice", "reached")} == {
        "fit.loss": 0.1,
        "auto.loss": 9.0,
        "loss_twice": 1.0,
        "reached": 1.0,
    }
    assert "auto.training_r2_score" in run.data.metrics
    assert (run.data.tags["team"], run.data.tags["mlflow.runName"]) == ("bikes", told(project)[0].run)
    assert told(project)[0].metrics["fit.loss"] == 0.1


def test_names_that_files_could_not_have_beside_each_other_are_kept(project: Project, client: MlflowClient) -> None:
    """A metric, param or tag may be called as the folder of another one would be, as on a server."""
    run = recorded(client, told(project)[0])
    for name in ("error", "error/val", "kl/x/y", "kl", "kl/x"):
        assert (run.data.metrics[name], run.data.params[name], run.data.tags[name]) == (len(name), name, name)


def test_metrics_keep_their_steps_times_and_order(project: Project, client: MlflowClient) -> None:
    """Every value is there once, though it was also told as the last one."""
    run = recorded(client, told(project)[0])
    history = client.get_metric_history(run.info.run_id, "fit.loss")
    assert [(point.step, point.value) for point in history] == [(n, 0.5 / (n + 1)) for n in range(5)]
    times = [point.timestamp for point in history]
    assert times == sorted(times)
    assert 0 <= run.info.end_time - times[0] < 600_000


def test_files_keep_their_names_and_stand_beside_ours(project: Project, client: MlflowClient, tmp_path: Path) -> None:
    """Of the run itself: what each step took, the environment, and the code, as Git has none of it."""
    run = recorded(client, told(project)[0])
    place = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    assert (place / "notes/seen.txt").read_text() == "seen"
    assert (place / "kairos/code/pipeline.py").read_text() == PIPELINE
    assert json.loads((place / "kairos/environment.json").read_text())
    steps = {step["step"]: step for step in json.loads((place / "kairos/steps.json").read_text())}
    assert steps["fit"]["cpu_s"] > 0


def test_who_needs_what_was_logged_is_known(project: Project, tmp_path: Path) -> None:
    """The run that made it, and those that reused it. It may be gone, as the step logs it again; not an environment."""
    root = tmp_path / "copy"
    shutil.copytree(project.root, root)
    with Project(root) as copy:
        record = told(copy)[0]
        logged = next(step for step in record.steps if step.step == "fit").logged[0]
        copy.store.path(logged).unlink()
        (harmed,) = (checked := check_store(copy)).harmed
        assert harmed.needed_by == tuple(f"what fit of run {one.run} logged" for one in told(copy))
        assert (harmed.is_lasting, checked.is_sound) == (False, True)
        (entry,) = copy.ledger.read(kinds=["run.finished"], subject=record.run)
        copy.store.path(entry.body["kept"]["environment"]).unlink()
        assert not (checked := check_store(copy)).is_sound
        assert f"environment kept of run {record.run}" in {who for one in checked.harmed for who in one.needed_by}


def test_what_one_step_switches_on_is_off_in_the_next(project: Project) -> None:
    """``silent`` fits a model in the worker in which ``auto`` asked for autologging, and logs nothing."""
    by_step = {step.step: step for step in told(project)[0].steps}
    assert by_step["auto"].logged
    assert by_step["silent"].logged == ()
    assert by_step["rows"].logged == ()


def test_runs_that_a_step_begins_one_after_the_other_are_parts_of_the_run(
    project: Project, client: MlflowClient
) -> None:
    """Each with its own params, once for the run that made them and once for each that reused them."""
    for record in told(project)[:2]:
        run = recorded(client, record)
        found = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
        parts = {part.info.run_name: (part.data.params, part.data.metrics) for part in found}
        assert parts == {
            "depth 2": ({"depth": "2"}, {"score": 0.2}),
            "depth 4": ({"depth": "4"}, {"score": 0.4}),
        }


def test_a_reused_step_brings_along_what_it_logged(project: Project, client: MlflowClient) -> None:
    """All of it, with the times at which it was logged; nothing was taken of the machine."""
    first, second = told(project)[:2]
    assert {step.status for step in second.steps} == {"reused"}
    histories = [
        [(point.step, point.value, point.timestamp) for point in client.get_metric_history(run.info.run_id, "fit.loss")]
        for run in (recorded(client, first), recorded(client, second))
    ]
    assert histories[0] == histories[1]
    assert (second.steps[1].cpu_s, second.steps[1].tries) == (0.0, 0)
    run = recorded(client, second)
    assert run.data.metrics["kairos/steps_reused"] == 7
    assert run.data.tags["kairos.reused"].startswith("rows, fit")


def test_a_step_that_failed_keeps_what_it_had_logged(project: Project, client: MlflowClient) -> None:
    """And what it took."""
    failed = told(project)[2]
    assert (failed.status, failed.metrics["reached"]) == ("failed", 1.0)
    assert failed.steps[-1].elapsed_s > 0
    assert recorded(client, failed).data.metrics["reached"] == 1.0


def test_what_the_newest_results_logged_is_no_garbage(project: Project) -> None:
    """Nor is what it names."""
    needed = {need.digest for need in needs(project)}
    logged: set[Any] = {digest for record in told(project) for step in record.steps for digest in step.logged}
    assert logged
    assert logged <= needed
