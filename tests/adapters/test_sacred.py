"""Runs of Sacred become runs of the project, with everything that Sacred kept of them.

``sacred_runs.json`` holds the files of a folder that Sacred 0.8.7 wrote: one run that completed and one that failed.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from kairos.adapters.sacred import SacredRun, Unreadable, read_folder
from kairos.app.importing import import_sacred
from kairos.app.needs import needs
from kairos.app.project import Project
from kairos.app.recording import Record
from kairos.errors import NotFound
from kairos.experiments import runs

pytestmark = [  # MLflow's own, and that of SQLAlchemy about it
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The observer's folder."""
    for name, text in json.loads(Path(__file__).with_name("sacred_runs.json").read_text()).items():
        (tmp_path / "runs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / name).write_text(text)
    return tmp_path / "runs"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty one."""
    (tmp_path / "kairos.toml").write_text('[project]\nname = "noise"\n')
    return Project(tmp_path, actor="tester")


def read(folder: Path) -> dict[str, SacredRun]:
    """Runs by Sacred's own ids."""
    return {run.id: run for run in read_folder(folder) if isinstance(run, SacredRun)}


def test_all_of_a_run_is_read(folder: Path) -> None:
    """Config, every value of its metrics, result, host, artifacts, output, sources and resources."""
    run = read(folder)["1"]
    assert run.params == {
        **{"fails": "false", "fit.depth": "3", "fit.rate": "0.1", "kind": "small", "layers": "[8, 4]", "seed": "1"}
    }
    assert [(p.step, p.value) for p in run.points if p.name == "loss"] == [(0, 0.1), (1, 0.05), (2, 0.1 / 3)]
    assert {p.name: p.value for p in run.points if p.name != "loss"} == {"accuracy.test": 0.75, "result": 0.75}
    assert (run.experiment, run.status, run.failure) == ("noise", "COMPLETED", None)
    assert run.tags["sacred.host.python_version"] == "3.11.7"
    assert run.libraries == {"sacred": "0.8.7"}
    assert set(run.files) == {
        "artifacts/model.txt",
        *(f"sacred/{name}" for name in ("run.json", "config.json", "metrics.json", "info.json", "cout.txt")),
        "sacred/sources/noise.py",
        "sacred/resources/srv/noise/words.txt",
    }
    assert "fitting" in run.files["sacred/cout.txt"].read_text()
    assert not run.problems
    assert run.ended_at > run.started_at


def test_a_failed_run_says_what_went_wrong(folder: Path) -> None:
    """The last line of its traceback."""
    failure = read(folder)["2"].failure
    assert failure is not None
    assert (failure["type"], failure["message"]) == ("ValueError", "no such depth")


@pytest.mark.parametrize("status", ["RUNNING", "INTERRUPTED", "TIMED_OUT"])
def test_a_run_without_an_end_is_what_it_is(folder: Path, status: str) -> None:
    """It ends with its last heartbeat, and its failure is its status."""
    place = folder / "1" / "run.json"
    told = {**json.loads(place.read_text()), "status": status, "heartbeat": "2026-11-26T23:00:00"}
    del told["stop_time"]
    place.write_text(json.dumps(told))
    run = read(folder)["1"]
    assert run.failure is not None
    assert run.failure["type"] == status
    assert run.ended_at.hour == 23


def test_what_is_damaged_is_named_and_the_rest_is_read(folder: Path) -> None:
    """A file that was cut off, one that is missing, values that are none; the bytes are kept all the same."""
    (folder / "1" / "metrics.json").write_text('{"loss": {"steps": [0')
    (folder / "1" / "config.json").unlink()
    (folder / "1" / "model.txt").unlink()
    (folder / "_sources").rename(folder / "_gone")
    metrics = {"loss": {"steps": [0, 1], "timestamps": ["2026-01-01T00:00:00"] * 2, "values": [0.5, "?"]}}
    (folder / "2" / "metrics.json").write_text(json.dumps(metrics))
    found = read(folder)
    said = " ".join(found["1"].problems)
    for part in ("metrics.json is no JSON", "config.json is not there", "'model.txt'", "'noise.py'"):
        assert part in said
    assert "sacred/metrics.json" in found["1"].files
    assert [point.value for point in found["2"].points] == [0.5]
    assert "1 values of the metric 'loss' are no numbers; they are in its file alone" in found["2"].problems


def test_a_run_that_cannot_be_told_is_named(folder: Path) -> None:
    """Without its document, or not begun; the others are read, and a folder without runs is an error."""
    (folder / "1" / "run.json").write_text("{")
    (folder / "3").mkdir()
    (folder / "3" / "run.json").write_text('{"status": "QUEUED"}')
    (folder / "4").mkdir()
    (folder / "4" / "config.json").write_text("{}")
    (folder / "5").mkdir()
    odd = json.loads((folder / "2" / "run.json").read_text()) | {"artifacts": 5}
    (folder / "5" / "run.json").write_text(json.dumps(odd))
    left = {Path(one.where).name: one.why for one in read_folder(folder) if isinstance(one, Unreadable)}
    assert set(left) == {"1", "3", "4", "5"}
    assert "QUEUED" in left["3"]
    assert set(read(folder)) == {"2"}
    with pytest.raises(NotFound, match="no run of Sacred"):
        list(read_folder(folder / "_sources"))


def test_names_that_a_record_does_not_take_are_told_apart(folder: Path) -> None:
    """No value is lost where two names become one."""
    (folder / "1" / "config.json").write_text('{"a?": 1, "a!": 2, "../up": 3}')
    assert sorted(read(folder)["1"].params.values()) == ["1", "2", "3"]


def test_a_run_imported_twice_is_one_run(folder: Path, project: Project) -> None:
    """As the ledger lists it; what it keeps is needed, so the garbage collection leaves it."""
    first = list(import_sacred(project, [folder]))
    again = list(import_sacred(project, [folder / "1", folder / "2"]))
    assert [one.is_new for one in (*first, *again)] == [True, True, False, False]
    assert [one.run for one in first] == [one.run for one in again]
    listed = runs(project.ledger)
    assert [(run.status, run.failure) for run in listed] == [
        ("finished", None),
        ("failed", "noise: ValueError: no such depth"),
    ]
    assert listed[0].metrics == {"accuracy.test": 0.75, "loss": 0.1 / 3, "result": 0.75}
    needed = {need.digest for need in needs(project)}
    assert {digest for run in listed for step in run.steps for digest in step.logged} <= needed


def test_a_run_that_went_on_is_imported_again(folder: Path, project: Project) -> None:
    """Its content is a part of its identity."""
    list(import_sacred(project, [folder / "1"]))
    (folder / "1" / "cout.txt").write_text("more")
    (again,) = import_sacred(project, [folder / "1"])
    assert again.is_new
    assert len(runs(project.ledger)) == 2


def test_mlflow_has_all_of_it(folder: Path, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Params, the history of a metric, times, tags, and files to the byte."""
    done = list(import_sacred(project, [folder]))
    with Record(project):
        pass
    uri = f"sqlite:///{project.home / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("noise")
    assert experiment is not None
    found = {run.data.tags["kairos.run"]: run for run in client.search_runs([experiment.experiment_id])}
    assert set(found) == {one.run for one in done}
    run = found[str(done[0].run)]
    assert run.info.status == "FINISHED"
    assert found[str(done[1].run)].info.status == "FAILED"
    assert run.data.params["fit.rate"] == "0.1"
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(each.step, each.value) for each in history] == [(0, 0.1), (1, 0.05), (2, 0.1 / 3)]
    assert run.data.tags["sacred.status"] == "COMPLETED"
    for name, path in read(folder)["1"].files.items():
        kept = Path(client.download_artifacts(run.info.run_id, name, str(project.home)))
        assert kept.read_bytes() == path.read_bytes()
    record = runs(project.ledger)[0]
    assert (run.info.start_time, run.info.end_time) == tuple(
        round(moment.timestamp() * 1000) for moment in (record.started_at, record.ended_at)
    )
