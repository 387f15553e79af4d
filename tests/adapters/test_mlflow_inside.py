"""What a step's code left in its folder is read whole, in whatever order it was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from kairos.adapters.mlflow.inside import keep
from kairos.pipeline.clashing import let_names_clash
from kairos.pipeline.logged import Logged
from kairos.store import Store

pytestmark = [  # MLflow's own, and that of SQLAlchemy about it
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """Writes to a step's folder."""
    uri = (tmp_path / "log").as_uri()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    let_names_clash()
    return MlflowClient(tracking_uri=uri)


def kept(tmp_path: Path) -> Logged:
    """What is kept of it."""
    store = Store(tmp_path / "store")
    return Logged.read(store, keep(tmp_path / "log", store)[0])


def test_a_model_that_was_logged_before_any_run_belongs_to_the_first(client: MlflowClient, tmp_path: Path) -> None:
    """As of code that calls ``log_model`` before all else; without any run it has one of its own."""
    model = client.create_logged_model("0", name="ridge")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}")
    client.log_model_artifacts(model.model_id, str(tmp_path / "model"))
    (alone,) = kept(tmp_path).runs
    assert [(each.name, each.files is None) for each in alone.models] == [("ridge", False)]
    run = client.create_run("0")
    client.log_metric(run.info.run_id, "loss", 1.0)
    main = kept(tmp_path).main
    assert main is not None
    assert ([point.name for point in main.points], [each.name for each in main.models]) == (["loss"], ["ridge"])


def test_what_was_cut_off_in_its_middle_takes_nothing_else_along(client: MlflowClient, tmp_path: Path) -> None:
    """As by a power cut, or where a disk was full: half a line, a file without one, a run that nothing is known of."""
    run, half = (client.create_run("0").info.run_id for _ in range(2))
    for step in range(3):
        client.log_metric(run, "loss", 1.0 / (step + 1), step=step)
    client.log_metric(run, "loss/val", 4.0)
    (tmp_path / "x.csv").write_text("no metric")
    client.log_artifact(run, str(tmp_path / "x.csv"), "metrics")
    folder = tmp_path / "log" / "0"
    with open(folder / run / "metrics" / "loss", "a") as file:
        file.write("17957")
    (folder / run / "metrics" / "empty").touch()
    (folder / run / "inputs" / "x").mkdir(parents=True)
    (folder / half / "meta.yaml").write_text("")
    (folder / "models" / "m-1").mkdir(parents=True)
    store = Store(tmp_path / "store")
    (kept,) = Logged.read(store, keep(tmp_path / "log", store, was_killed=True)[0]).runs
    assert sorted((point.name, point.step, point.value) for point in kept.points) == [
        ("loss", 0, 1.0),
        ("loss", 1, 0.5),
        ("loss", 2, 1 / 3),
        ("loss/val", 0, 4.0),
    ]
    assert kept.is_failed
    assert kept.files is not None
    assert list(store.listing(kept.files)) == ["metrics/x.csv"]
