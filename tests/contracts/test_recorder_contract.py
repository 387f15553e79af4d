"""Every recorder keeps the promises of the port."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from kairos.adapters.mlflow.database import make_database
from kairos.adapters.mlflow.writer import MlflowWriter
from kairos.experiments import Recorder
from kairos.testing import MemoryRecorder, RecorderContract, RecorderPlace

pytestmark = [  # MLflow's own, and that of SQLAlchemy about it
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


class MemoryPlace:
    """One recorder in memory, opened again and again."""

    def __init__(self) -> None:
        self._recorder = MemoryRecorder()

    def open(self) -> Recorder:
        return self._recorder

    def runs(self) -> Mapping[str, str]:
        return {run: record.status for run, record in self._recorder.runs.items()}

    def versions(self, model: str) -> Mapping[int, str]:
        return {number: record.package for number, record in self._recorder.versions.get(model, {}).items()}

    def aliases(self, model: str) -> Mapping[str, int]:
        return self._recorder.aliases.get(model, {})


class MlflowPlace:
    """An MLflow database, read with MLflow's own client."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._uri = f"sqlite:///{folder / 'mlflow.db'}"
        self._client = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    def open(self) -> Recorder:
        return MlflowWriter(project="bikes", uri=self._uri, artifacts=(self._folder / "artifacts").as_uri())

    def runs(self) -> Mapping[str, str]:
        experiment = self._client.get_experiment_by_name("bikes")
        if experiment is None:
            return {}
        found = self._client.search_runs([experiment.experiment_id])
        assert len({run.data.tags["kairos.run"] for run in found}) == len(found)
        return {run.data.tags["kairos.run"]: run.info.status.lower() for run in found}

    def versions(self, model: str) -> Mapping[int, str]:
        found = self._client.search_model_versions(f"name = '{model}'")
        return {int(version.version): version.tags["kairos.package"] for version in found}

    def aliases(self, model: str) -> Mapping[str, int]:
        return {alias: int(number) for alias, number in self._client.get_registered_model(model).aliases.items()}


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables without a row; making them takes seconds, so it is done once."""
    folder = tmp_path_factory.mktemp("empty")
    make_database(folder)
    return folder / "mlflow.db"


class TestMemoryRecorder(RecorderContract):
    """The fake."""

    @pytest.fixture
    def place(self) -> RecorderPlace:
        """In memory."""
        return MemoryPlace()


class TestMlflowWriter(RecorderContract):
    """The real one, on SQLite, without the child process that it usually runs in."""

    @pytest.fixture
    def place(self, tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> RecorderPlace:
        """In a folder of its own."""
        shutil.copy(empty_database, tmp_path)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")  # as the child does
        return MlflowPlace(tmp_path)
