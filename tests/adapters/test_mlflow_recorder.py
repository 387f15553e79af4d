"""The recorder: quick for its caller, silent, and whole after any crash."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from mlflow.entities import RunStatus
from mlflow.tracking import MlflowClient

import kairos
from kairos.adapters.mlflow import open_recorder
from kairos.adapters.mlflow.database import make_database
from kairos.adapters.mlflow.naming import PARAM_LENGTH, milliseconds, param_texts, run_tags, shorten, version_tags
from kairos.adapters.mlflow.writer import MlflowWriter
from kairos.errors import AdapterError, AdapterMissing, SettingsError
from kairos.experiments import FailedSeed, Recorder, RunRecord, SeedLog, SeedRecord, StepRecord, VersionRecord
from kairos.pipeline.logged import Logged, LoggedRun, Point
from kairos.store import Store
from kairos.values import Digest

pytestmark = [  # MLflow's own, and that of SQLAlchemy about it
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

MARCH = datetime(2012, 3, 3, 12, tzinfo=UTC)
RUN = RunRecord(
    run="r0000000001",
    status="finished",
    started_at=MARCH,
    ended_at=MARCH,
    window="2011-01-01T00:00:00Z..2012-01-01T00:00:00Z",
    actor="ann",
    params={"demand.max_iter": 200},
    metrics={"mae": 41.5},
    inputs={"rentals": Digest("1" * 32)},
)


def version(number: int, folder: Path) -> VersionRecord:
    """A version with a small package."""
    package = folder / f"package-{number}"
    package.mkdir(exist_ok=True)
    (package / "MLmodel").write_text("flavors: {}\n")
    return VersionRecord(
        model="demand",
        number=number,
        run=RUN.run,
        package=Digest(str(number) * 32 + ".dir"),
        package_folder=package,
        registered_at=MARCH,
        metrics={"mae": 41.5},
    )


def trial(number: int) -> RunRecord:
    """One of the study ``s1``."""
    return replace(RUN, run=f"r{number}", study="s1", tags={"study": "s1", "trial": str(number)})


def judged(*, winner: int, unseen: float, later: int = 0) -> RunRecord:
    """The study ``s1`` at its end, or some minutes later."""
    return replace(
        RUN,
        run="s1",
        study="s1",
        ended_at=RUN.ended_at + timedelta(minutes=later),
        params={"demand.level": winner},
        metrics={"mae.unseen": unseen},
        tags={"study": "s1", "verdict": "better"},
    )


def runs_in(folder: Path) -> list[tuple[str, str]]:
    """Name and status of the runs in a project's file, in the order of writing."""
    if not (folder / "mlflow.db").exists():
        return []
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        return connection.execute("SELECT name, status FROM runs ORDER BY rowid").fetchall()


def python(script: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in a process of its own."""
    return subprocess.run([sys.executable, *flags, "-c", script], capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's ``.kairos`` folder, in which MLflow was stopped while it made its tables for the first time."""
    folder = tmp_path_factory.mktemp("mybikes") / ".kairos"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "mlflow.db.unfinished")) as connection:
        connection.execute("CREATE TABLE experiments (half INTEGER)")
    make_database(folder)
    return folder


@pytest.fixture
def writer(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[MlflowWriter, MlflowClient, str]:
    """What the child writes with, a client beside it, and the experiment; each test has its own in the same file."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    artifacts = (tmp_path / "artifacts").as_uri()
    experiment = client.create_experiment(tmp_path.name, artifact_location=artifacts)
    return MlflowWriter(project=tmp_path.name, uri=uri, artifacts=artifacts), client, experiment


def test_calls_are_silent_and_their_order_is_kept(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a pipe holds is handed over at once; nothing is printed, nothing is left in the working folder."""
    monkeypatch.chdir(tmp_path)
    recorder = open_recorder(folder, name="order")
    names = [f"order-{number}" for number in range(20, 0, -1)]
    for name in names:
        recorder.record_run(replace(RUN, run=name, params={"demand.text": "x" * 8000}))
    recorder.close()
    assert [run for run in runs_in(folder) if run[0].startswith("order-")] == [(name, "FINISHED") for name in names]
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_every_refusal_is_told_and_what_is_beside_it_is_kept(folder: Path) -> None:
    """The first is raised, by a later call or by the end, and the others are noted on it; MLflow's words are kept."""
    recorder = open_recorder(folder, name="refusals")
    told: list[str] = []

    def listen(call: Callable[[], None]) -> None:
        try:
            call()
        except AdapterError as error:
            told.extend([str(error), *getattr(error, "__notes__", [])])

    for run in (replace(RUN, run="odd", metrics={"a metric?": 1.0}), replace(RUN, run="kept")):
        listen(partial(recorder.record_run, run))
    listen(partial(recorder.set_aliases, "nothing", {"champion": 1}))
    listen(recorder.close)
    assert len(told) == 2
    assert "MLflow did not take run 'odd'" in told[0]
    assert "a metric?" in told[0]
    assert "'champion' of 'nothing'" in told[1]
    assert ("kept", "FINISHED") in runs_in(folder)


def test_what_mlflow_refuses_of_a_run_is_left_out_and_named(
    writer: tuple[MlflowWriter, MlflowClient, str], tmp_path: Path
) -> None:
    """The rest of the run is there, and it is ended; told again, nobody complains a second time."""
    write, client, experiment = writer
    store = Store(tmp_path / "store")
    points = [Point("what?", 1.0, 1, 0), Point("loss", 2.0, 2, 0)]
    data = {"name": "d" * 600, "digest": "x", "source_type": "local", "source": "s"}
    own = LoggedRun(name="", points=points, tags={"team": "bikes", "no?": "x"}, inputs=[data])
    step = StepRecord(step="fit", status="ran", logged=Logged(runs=(own,)).keep(store))
    record = replace(
        RUN,
        run="parts",
        params={"ok": 1, "not?": 2, "n" * 300: 3},
        metrics={"mae": 41.5, "a metric?": 1.0},
        steps=(step,),
        store=store.root,
    )
    with pytest.raises(AdapterError) as refusal:
        write.record_run(record)
    assert "did not take run 'parts' as a whole" in str(refusal.value)
    (run,) = client.search_runs([experiment], "tags.`kairos.run` = 'parts'")
    assert run.info.status == "FINISHED"
    assert (run.data.params, run.data.tags["team"]) == ({"ok": "1"}, "bikes")
    assert (run.data.metrics["mae"], run.data.metrics["loss"]) == (41.5, 2.0)
    for part in ("param 'not?'", "param 'nnn", "metric 'a metric?'", "metric 'what?'", "tag 'no?'", "data set 'ddd"):
        assert part in run.data.tags["kairos.refused"]
    write.record_run(record)


def test_a_deleted_experiment_is_waited_for(writer: tuple[MlflowWriter, MlflowClient, str]) -> None:
    """MLflow would refuse each run of it; none is set aside, and the message says how it comes back."""
    _, client, experiment = writer
    name = client.get_experiment(experiment).name
    client.delete_experiment(experiment)
    another = MlflowWriter(project=name, uri=client.tracking_uri, artifacts=None)
    with pytest.raises(AdapterError, match=f"restore --experiment-id {experiment}") as refusal:
        another.record_run(RUN)
    assert refusal.value.facts["passing"]
    client.restore_experiment(experiment)
    another.record_run(RUN)


def test_a_record_with_another_database_is_not_told_what_is_new_alone(folder: Path, tmp_path: Path) -> None:
    """The caller learns of it, and nothing is recorded; the same one, and one of which nobody knows, go on."""
    places: list[str | None] = []
    for known in (None, "it"):
        recorder = open_recorder(folder, name="places")
        recorder.expect(known and places[0])
        recorder.record_run(replace(RUN, run=f"place-{known}"))
        recorder.close()
        places.append(recorder.place)
    assert places[0] == places[1]
    assert places[0] is not None
    shutil.copy(folder / "mlflow.db", tmp_path)  # with its tables, which take long to make
    other = open_recorder(tmp_path, name="other places")
    other.expect(places[0])
    with pytest.raises(AdapterError, match="another database") as another:
        hand_over_and_close(other, replace(RUN, run="place-other"))
    assert another.value.facts["another"]
    assert [run for run in runs_in(tmp_path) if run[0] == "place-other"] == []


def hand_over_and_close(recorder: Recorder, record: RunRecord) -> None:
    """An error may come with either."""
    try:
        recorder.record_run(record)
    finally:
        recorder.close()


def test_a_recorder_whose_child_was_killed_says_so_and_a_new_one_repairs(folder: Path) -> None:
    """What is recorded again is there once."""
    recorder = open_recorder(folder, name="killed")
    with closing(sqlite3.connect(folder / "mlflow.db", isolation_level=None)) as blocker:
        blocker.execute("BEGIN EXCLUSIVE")  # so that the child is in the middle of it
        recorder.record_run(replace(RUN, run="killed-1"))
        os.kill(child_of_this_process(), signal.SIGKILL)
        with pytest.raises(AdapterError, match=r"ended early.*exit status -9"):
            recorder.close()
        blocker.execute("ROLLBACK")
    with pytest.raises(AdapterError, match="closed"):
        recorder.record_run(RUN)
    again = open_recorder(folder, name="killed")
    again.record_run(replace(RUN, run="killed-1"))
    again.close()
    assert [run for run in runs_in(folder) if run[0] == "killed-1"] == [("killed-1", "FINISHED")]


def test_each_seed_is_a_run_below_the_run(writer: tuple[MlflowWriter, MlflowClient, str], tmp_path: Path) -> None:
    """With its metrics, the seed as a param, and what its steps logged, also of one that failed; told again, it is
    there once. Files of the run's own seed are in the run."""
    store = Store(tmp_path / "store")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "seen.txt").write_text("seen")

    def logged(seed: int) -> SeedLog:
        points = [Point("loss", float(seed + n), 1000 + n, n) for n in range(3)]
        run = LoggedRun(name="", points=points, params={"rate": "0.5"}, files=store.put_folder(tmp_path / "files"))
        step = StepRecord(step="demand", status="ran", logged=Logged(runs=(run,)).keep(store))
        return SeedLog(params={"rate": "0.5"}, metrics={"loss": seed + 2.0}, steps=(step,))

    seeds = [
        SeedRecord(
            seed=seed,
            package=Digest(f"{seed:032x}.dir"),
            holdout=Digest("3" * 32),
            metrics={"demand.mae": mae},
            logged=logged(seed),
        )
        for seed, mae in ((0, 41.5), (991723509, 43.0))
    ]
    record = replace(
        RUN,
        seeds={"demand": tuple(seeds)},
        failed_seeds={"demand": (FailedSeed(seed=5, failure="demand: ValueError: odd", logged=logged(5)),)},
        metrics={"demand.mae": 41.5, "demand.mae.mean": 42.25},
        store=store.root,
    )
    write, client, experiment = writer
    for _ in range(2):
        write.record_run(record)
    (run,) = client.search_runs([experiment], "tags.`kairos.run` = 'r0000000001'")
    assert run.data.metrics["demand.mae.mean"] == 42.25
    below = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    told = {each.data.params["demand.seed"]: (each.info.status, each.data.metrics) for each in below}
    assert told == {
        "0": ("FINISHED", {"demand.mae": 41.5, "loss": 2.0}),
        "991723509": ("FINISHED", {"demand.mae": 43.0, "loss": 991723511.0}),
        "5": ("FAILED", {"loss": 7.0}),
    }
    for each in below:
        seed = int(each.data.params["demand.seed"])
        history = client.get_metric_history(each.info.run_id, "loss")
        assert [(point.step, point.value) for point in history] == [(n, seed + n) for n in range(3)]
        assert each.data.params["rate"] == "0.5"
        assert [file.path for file in client.list_artifacts(each.info.run_id)] == ([] if seed == 0 else ["seen.txt"])


def child_of_this_process() -> int:
    """Process id of the recorder's child, found as a person would find it."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
            parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"kairos.adapters.mlflow" in command and parent == os.getpid():
            return int(path.parent.name)
    raise AssertionError("the recorder has no child process")


def test_what_was_handed_over_is_written_though_the_caller_is_killed(folder: Path) -> None:
    """``kill -9`` right after the call."""
    script = (
        "import os, pathlib, signal\n"
        "from datetime import UTC, datetime\n"
        "from kairos.adapters.mlflow import open_recorder\n"
        "from kairos.experiments import RunRecord\n"
        f"recorder = open_recorder(pathlib.Path({str(folder)!r}), name='orphans')\n"
        "now = datetime(2012, 3, 3, tzinfo=UTC)\n"
        "recorder.record_run(RunRecord(run='orphan', status='finished', started_at=now, ended_at=now, window='',"
        " actor='ann'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert python(script).returncode == -signal.SIGKILL
    deadline = time.monotonic() + 120
    while ("orphan", "FINISHED") not in runs_in(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_that_a_crash_cut_short_is_completed(writer: tuple[MlflowWriter, MlflowClient, str]) -> None:
    """What is there is not written twice, what is missing is added, and the run ends."""
    recorder, client, experiment = writer
    begun = client.create_run(experiment, tags={"kairos.run": RUN.run}, run_name=RUN.run)
    client.log_param(begun.info.run_id, "demand.max_iter", "200")
    recorder.record_run(RUN)
    (run,) = client.search_runs([experiment])
    assert run.info.run_id == begun.info.run_id
    assert run.info.status == RunStatus.to_string(RunStatus.FINISHED)
    assert run.data.metrics == {"mae": 41.5}


def test_trials_are_below_their_study(writer: tuple[MlflowWriter, MlflowClient, str]) -> None:
    """Which is there from the first of them on, and gets its own values and its end when it is judged."""
    recorder, client, experiment = writer
    for number in range(2):
        recorder.record_run(trial(number))
    open_study = client.search_runs([experiment], "tags.`kairos.run` = 's1'")[0]
    assert open_study.info.status == "RUNNING"
    recorder.record_run(judged(winner=1, unseen=40.0))
    (study,) = client.search_runs([experiment], "tags.`kairos.run` = 's1'")
    assert (study.info.run_id, study.info.status) == (open_study.info.run_id, "FINISHED")
    assert study.data.metrics["mae.unseen"] == 40.0
    assert study.data.tags["verdict"] == "better"
    below = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{study.info.run_id}'")
    assert sorted(run.data.tags["trial"] for run in below) == ["0", "1"]


def test_a_study_that_goes_on_is_open_again_and_tells_of_its_last_judging(
    writer: tuple[MlflowWriter, MlflowClient, str],
) -> None:
    """Also where the record is told from the beginning once more, as after a crash."""
    recorder, client, experiment = writer
    past = [trial(0), judged(winner=0, unseen=41.0), trial(1), judged(winner=1, unseen=39.0, later=5)]
    seen = []
    for record in (*past, *past, trial(2), *past):
        recorder.record_run(record)
        (study,) = client.search_runs([experiment], "tags.`kairos.run` = 's1'")
        tags, metrics = study.data.tags, study.data.metrics
        seen.append((study.info.status, tags.get("kairos.winner.demand.level"), metrics.get("mae.unseen")))
    first, last = ("0", 41.0), ("1", 39.0)
    assert seen[:4] == [("RUNNING", None, None), ("FINISHED", *first), ("RUNNING", *first), ("FINISHED", *last)]
    assert seen[4:8] == [("FINISHED", *last)] * 4
    assert seen[8:] == [("RUNNING", *last)] * 5  # the third trial has not been judged
    assert study.info.end_time == milliseconds(past[-1].ended_at)


def test_a_version_that_a_crash_cut_short_is_completed(
    writer: tuple[MlflowWriter, MlflowClient, str], tmp_path: Path
) -> None:
    """A model whose files were not all copied is copied again, and there is no second one."""
    recorder, client, experiment = writer
    recorder.record_run(RUN)
    record = replace(version(1, tmp_path), model="cut_short")
    begun = client.create_logged_model(experiment, name="cut_short", tags={"kairos.version": "cut_short@1"})
    recorder.record_version(record)
    (model,) = client.search_logged_models([experiment])
    assert (model.model_id, model.status) == (begun.model_id, "READY")
    assert [file.path for file in client.list_logged_model_artifacts(model.model_id)] == ["MLmodel"]
    recorder.record_version(record)
    (run,) = client.search_runs([experiment])
    assert run.outputs is not None
    assert [output.model_id for output in run.outputs.model_outputs] == [begun.model_id]
    assert client.get_model_version("cut_short", "1").run_id == run.info.run_id


def test_a_version_without_its_number_is_completed(
    writer: tuple[MlflowWriter, MlflowClient, str], tmp_path: Path
) -> None:
    """Everything was written but the number, which is the last thing."""
    recorder, client, experiment = writer
    recorder.record_run(RUN)
    record = replace(version(1, tmp_path), model="unnumbered")
    recorder.record_version(record)
    client.delete_registered_model("unnumbered")
    recorder.record_version(record)
    (model,) = client.search_logged_models([experiment])
    assert client.get_model_version("unnumbered", "1").source == f"models:/{model.model_id}"
    assert model.metrics is not None
    assert [(metric.key, metric.value) for metric in model.metrics] == [("mae", 41.5)]


def test_a_number_that_was_used_and_deleted_is_not_used_again(
    writer: tuple[MlflowWriter, MlflowClient, str], tmp_path: Path
) -> None:
    """MLflow would count on from it; then there is an error, and no version under a wrong number."""
    recorder, client, _ = writer
    recorder.record_run(RUN)
    client.create_registered_model("deleted")
    client.create_model_version("deleted", source=tmp_path.as_uri())
    client.delete_model_version("deleted", "1")
    with pytest.raises(AdapterError, match=r"number deleted@1 differently.*is 2"):
        recorder.record_version(replace(version(1, tmp_path), model="deleted"))
    assert client.search_model_versions("name = 'deleted'") == []


def test_an_unfinished_file_is_made_anew(folder: Path) -> None:
    """MLflow was stopped between two tables; the file that is used is whole."""
    assert not (folder / "mlflow.db.unfinished").exists()
    assert runs_in(folder) is not None


def test_a_server_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its address."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    recorder = open_recorder(tmp_path, name="mybikes", url="http://127.0.0.1:9")
    recorder.record_run(RUN)
    with pytest.raises(AdapterError, match=r"did not take run 'r0000000001'.*127\.0\.0\.1"):
        recorder.close()


@pytest.mark.parametrize("uri", ["localhost:5000", "sqlite:///mlflow.db", "http://", "databricks"])
def test_an_address_that_is_no_server_is_refused(uri: str, tmp_path: Path) -> None:
    """Before anything is started."""
    with pytest.raises(SettingsError, match="MLflow server cannot be used"):
        open_recorder(tmp_path, name="mybikes", url=uri)


def test_a_password_in_the_address_is_refused_and_not_repeated(tmp_path: Path) -> None:
    """The error names the variables that MLflow reads."""
    with pytest.raises(SettingsError, match="MLFLOW_TRACKING_PASSWORD") as raised:
        open_recorder(tmp_path, name="mybikes", url="https://ann:secret@mlflow.example")
    assert "secret" not in str(raised.value)


def test_without_mlflow_the_error_says_what_to_install(tmp_path: Path) -> None:
    """In a Python without any installed package."""
    source = Path(kairos.__file__).parents[1]
    script = (
        f"import sys, pathlib; sys.path.insert(0, {str(source)!r})\n"
        "from kairos.adapters.mlflow import open_recorder\n"
        "try:\n"
        f"    open_recorder(pathlib.Path({str(tmp_path)!r}), name='mybikes')\n"
        "except ImportError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = python(script, "-S", "-E")
    assert done.stdout.startswith(AdapterMissing.__name__), done.stderr
    assert "pip install mlflow-skinny sqlalchemy alembic" in done.stdout


def test_the_caller_loads_nothing_heavy() -> None:
    """Neither MLflow nor what it brings."""
    script = "import sys, kairos.adapters.mlflow; print(*sys.modules)"
    assert not {"mlflow", "sqlalchemy", "pandas", "numpy", "polars"} & set(python(script).stdout.split())


def test_values_keep_their_look_in_mlflow() -> None:
    """Text as it is, the rest as JSON, too long ones cut with a note of their length."""
    params = {"a": "200", "b": 1.0, "c": True, "d": None, "e": [1, "x"], "f": float("nan"), "g": "x" * 7000}
    texts = param_texts(params)
    assert [texts[name] for name in "abcde"] == ["200", "1.0", "true", "null", '[1,"x"]']
    assert len(texts["g"]) == PARAM_LENGTH
    assert texts["g"].endswith("x … (7000 letters)")
    assert shorten("x" * 10, 10) == "x" * 10


def test_a_runs_own_tags_do_not_hide_ours() -> None:
    """And what is not known is left out."""
    tags = run_tags(replace(RUN, tags={"team": "bikes", "kairos.run": "mine"}), project="mybikes")
    assert (tags["team"], tags["kairos.run"]) == ("bikes", RUN.run)
    assert "kairos.commit" not in tags


def test_a_version_says_why_it_was_made_and_of_which_other_one(tmp_path: Path) -> None:
    """Of a recalibrated version the one that it puts right, of a refit its twin; of others neither."""
    plain = version_tags(version(1, tmp_path))
    assert plain["kairos.origin"] == "manual"
    assert not {"kairos.base", "kairos.twin"} & plain.keys()
    right = version_tags(replace(version(2, tmp_path), origin="recalibration", base="demand@1"))
    assert (right["kairos.origin"], right["kairos.base"]) == ("recalibration", "demand@1")
    assert version_tags(replace(version(3, tmp_path), origin="age", twin="demand@2"))["kairos.twin"] == "demand@2"
