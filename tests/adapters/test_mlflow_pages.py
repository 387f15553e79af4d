"""What people see: a real MLflow server opens a project's file, or takes its records over HTTP, and shows all of it.

The server is asked for what its pages ask for.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

from kairos.adapters.mlflow import open_recorder
from kairos.experiments import CodeRecord, RunRecord, VersionRecord
from kairos.models.finish import FinishModel
from kairos.models.package import open_package
from kairos.store import Store
from kairos.values import Digest, Json

MARCH = datetime(2012, 3, 3, 12, tzinfo=UTC)
RAW, TRAIN = Digest("0123456789abcdef" * 2), Digest("fedcba9876543210" * 2 + ".dir")
RUN = RunRecord(
    run="r0000000001",
    status="finished",
    started_at=MARCH,
    ended_at=MARCH + timedelta(hours=1),
    window="2011-01-01T00:00:00Z..2012-01-01T00:00:00Z",
    actor="ann",
    models=("demand",),
    params={f"features.p{n}": n for n in range(150)} | {"demand.loss": "absolute", "demand.depth": None},
    metrics={"mae": 41.5, "skill": -0.25},
    inputs={"rentals": RAW, "split.train": TRAIN},
    outputs={"rentals": RAW, "demand": Digest("2" * 32 + ".dir")},
    code=CodeRecord(commit="c" * 40, branch="main", dirty_digest="d" * 64, steps={"demand": "e" * 64}),
)
FAILED = replace(
    RUN,
    run="r0000000002",
    status="failed",
    models=(),
    metrics={},
    params={"a.text": "x" * 9000},
    failure="demand: no",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to finish a model."""

    returned: object
    inputs: dict[str, Any]
    workdir: Path
    step: str = "demand"
    target: str | None = "users"
    drop: tuple[str, ...] = ()
    params: dict[str, Json] = field(default_factory=dict)
    seed: int | None = 0
    lineage: dict[str, Json] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    also: dict[str, Any] = field(default_factory=dict)


def package(folder: Path, slope: float) -> tuple[Digest, Path]:
    """A real package, whose model predicts about ``slope`` users an hour, and its digest."""
    hours = np.arange(48)
    noise = np.random.default_rng(0).normal(size=48)
    table = pl.DataFrame({"hour": hours, "users": slope * hours + noise})
    made = FinishModel()(Request(returned=LinearRegression(), inputs={"train": table}, workdir=folder))
    return Store(folder / "store").put_folder(made), made


def record_two_versions(model: str, folder: Path, *, project: str, uri: str | None) -> dict[int, Digest]:
    """Records two runs and two versions as the loop does; returns the packages by number."""
    recorder = open_recorder(folder / ".kairos", name=project, url=uri)
    recorder.record_run(RUN)
    recorder.record_run(FAILED)
    packages = {}
    with tempfile.TemporaryDirectory() as work:
        for number in (1, 2):
            digest, made = package(Path(work, str(number)), slope=float(number))
            recorder.record_version(
                VersionRecord(
                    model=model,
                    number=number,
                    run=RUN.run,
                    package=digest,
                    package_folder=made,
                    registered_at=MARCH,
                    metrics={"mae": 41.5, "holdout_mae": 40.0},
                    params={"max_iter": 200},
                )
            )
            packages[number] = digest
        recorder.set_aliases(model, {"champion": 2, "challenger": 1})
        recorder.set_aliases(model, {"challenger": None})
        recorder.close()
    return packages


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A project that was recorded, and the server that shows it."""

    project: str
    model: str
    packages: dict[int, Digest]
    url: str

    def ask(self, path: str, body: Json = None, **query: str) -> Any:
        """Asks as the pages do."""
        url = f"{self.url}/ajax-api/2.0/mlflow/{path}"
        answer = httpx.get(url, params=query) if body is None else httpx.post(url, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def runs(self) -> dict[str, Any]:
        """Runs of the project's experiment, by name."""
        experiment = self.ask("experiments/get-by-name", experiment_name=self.project)["experiment"]
        found = self.ask("runs/search", {"experiment_ids": [experiment["experiment_id"]]})["runs"]
        return {run["info"]["run_name"]: run for run in found}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """``mlflow server`` on a project's own file; gives the project's folder and the server's address."""
    folder = tmp_path_factory.mktemp("mybikes")
    recorder = open_recorder(folder / ".kairos", name="empty")
    recorder.set_aliases("none", {})  # makes the file
    recorder.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)),
            *("--backend-store-uri", f"sqlite:///{folder / '.kairos/mlflow.db'}"),
            *("--artifacts-destination", str(folder / "server-artifacts")),
        ],
        cwd=folder,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    yield folder, f"http://127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def embedded(server: tuple[Path, str]) -> Shown:
    """A project recorded in its own file."""
    folder, url = server
    packages = record_two_versions("demand", folder, project="mybikes", uri=None)
    wait_for(url)
    return Shown(project="mybikes", model="demand", packages=packages, url=url)


@pytest.fixture(scope="module")
def team(server: tuple[Path, str]) -> Shown:
    """A project recorded over HTTP."""
    folder, url = server
    wait_for(url)
    packages = record_two_versions("supply", folder / "team", project="team-bikes", uri=url)
    return Shown(project="team-bikes", model="supply", packages=packages, url=url)


@pytest.fixture(params=["embedded", "team"])
def shown(request: pytest.FixtureRequest) -> Shown:
    """Either of them."""
    shown = request.getfixturevalue(request.param)
    assert isinstance(shown, Shown)
    return shown


def wait_for(url: str) -> None:
    """Returns once the server answers."""
    deadline = time.monotonic() + 120
    while True:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the MLflow server did not start"
        time.sleep(0.2)


def by_key(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: pair.get("value") for pair in pairs}


def test_a_run_is_shown_with_params_metrics_and_times(shown: Shown) -> None:
    """All params, however many; values that are not text as JSON; the project's times, not the wall clock's."""
    run = shown.runs()[RUN.run]
    params = by_key(run["data"]["params"])
    assert len(params) == len(RUN.params)
    assert (params["features.p149"], params["demand.loss"], params["demand.depth"]) == ("149", "absolute", "null")
    assert by_key(run["data"]["metrics"]) == {"mae": 41.5, "skill": -0.25, "holdout_mae": 40.0}
    assert run["info"]["status"] == "FINISHED"
    assert run["info"]["start_time"] == MARCH.timestamp() * 1000
    assert run["info"]["end_time"] == (MARCH + timedelta(hours=1)).timestamp() * 1000


def test_a_run_is_shown_with_its_code_and_its_author(shown: Shown) -> None:
    """In MLflow's own tags, which its pages show, and in ours."""
    tags = by_key(shown.runs()[RUN.run]["data"]["tags"])
    assert tags["kairos.run"] == RUN.run
    assert tags["kairos.commit"] == tags["mlflow.source.git.commit"] == "c" * 40
    assert tags["kairos.dirty"] == "d" * 64
    assert tags["mlflow.user"] == "ann"
    assert json.loads(tags["kairos.outputs"]) == dict(RUN.outputs)


def test_data_inputs_are_shown_with_their_whole_digests(shown: Shown) -> None:
    """A folder's, the longest, too."""
    inputs = shown.runs()[RUN.run]["inputs"]["dataset_inputs"]
    assert {i["dataset"]["name"]: i["dataset"]["digest"] for i in inputs} == {"rentals": RAW, "split.train": TRAIN}


def test_a_failed_run_is_shown_as_failed(shown: Shown) -> None:
    """With what went wrong; a value that is too long is cut, and says so."""
    run = shown.runs()[FAILED.run]
    assert run["info"]["status"] == "FAILED"
    assert by_key(run["data"]["tags"])["kairos.failure"] == "demand: no"
    text = by_key(run["data"]["params"])["a.text"]
    assert len(text) <= 6000
    assert text.endswith("… (9000 letters)")


def test_versions_are_shown_with_their_numbers_run_package_and_aliases(shown: Shown) -> None:
    """The numbers are ours, and each version leads to its run."""
    run = shown.runs()[RUN.run]["info"]["run_id"]
    model = shown.ask("registered-models/get", name=shown.model)["registered_model"]
    assert model["aliases"] == [{"alias": "champion", "version": "2"}]
    found = shown.ask("model-versions/search", filter=f"name = '{shown.model}'")["model_versions"]
    assert {int(v["version"]): by_key(v["tags"])["kairos.package"] for v in found} == shown.packages
    assert {v["run_id"] for v in found} == {run}
    assert {v["status"] for v in found} == {"READY"}


def test_a_run_is_shown_with_the_models_it_gave(shown: Shown) -> None:
    """Each with its params and metrics, and a link to its version."""
    run = shown.runs()[RUN.run]
    models = {output["model_id"] for output in run["outputs"]["model_outputs"]}
    found = [shown.ask(f"logged-models/{model}")["model"] for model in models]
    assert [model["info"]["status"] for model in found] == ["LOGGED_MODEL_READY"] * 2
    tags = [by_key(model["info"]["tags"]) for model in found]
    assert sorted(tag["kairos.version"] for tag in tags) == [f"{shown.model}@1", f"{shown.model}@2"]
    assert {link["version"] for tag in tags for link in json.loads(tag["mlflow.modelVersions"])} == {1, 2}
    assert [by_key(model["data"]["params"]) for model in found] == [{"max_iter": "200"}] * 2
    assert [by_key(model["data"]["metrics"]) for model in found] == [{"mae": 41.5, "holdout_mae": 40.0}] * 2


def test_mlflow_loads_the_champion_and_predicts_the_same(embedded: Shown, team: Shown, tmp_path: Path) -> None:
    """``models:/demand@champion``, in a process that has no Kairos, though the files that were recorded are gone."""
    script = (
        "import sys; sys.modules['kairos'] = None\n"
        "import mlflow, pandas\n"
        "for model in sys.argv[1:]:\n"
        "    loaded = mlflow.pyfunc.load_model(f'models:/{model}@champion')\n"
        "    print('answer', *loaded.predict(pandas.DataFrame({'hour': [3, 12]})))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, embedded.model, team.model],
        capture_output=True,
        text=True,
        env={**os.environ, "MLFLOW_TRACKING_URI": team.url, "MLFLOW_DISABLE_TELEMETRY": "true"},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    answers = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("answer")]
    digest, made = package(tmp_path / "again", slope=2.0)
    assert digest == embedded.packages[2]
    expected = open_package(made).runner().predict({"hour": np.array([3, 12])})
    assert len(answers) == 2
    for answer in answers:
        np.testing.assert_allclose([float(number) for number in answer], expected, rtol=1e-12)
