"""A team's MLflow server on PostgreSQL, which stops and comes back: nothing is lost, and all of it is there once.

PostgreSQL of this machine, the MLflow of this environment, and what takes the one to the other from `.venv-tracking`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kairos.app.beside import start
from kairos.app.project import Project
from kairos.app.recording import Record
from kairos.store.locks import is_held
from tests.adapters.outages import held, mlflow_server, some_runs, tell

pytestmark = [  # MLflow's own, and that of SQLAlchemy about it
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

ROOT = Path(__file__).parents[2]
PIPELINE = """\
from kairos import step


@step
def fit(*, many: int = 3) -> int:
    import mlflow

    for epoch in range(many):
        mlflow.log_metric("loss", 1 / (epoch + 1), step=epoch)
    return many
"""


@dataclass
class Postgres:
    """A PostgreSQL server of its own, which can be stopped and started."""

    programs: Path
    folder: Path
    port: int
    _log: Path = field(init=False)

    def __post_init__(self) -> None:
        self._log = self.folder / "log"
        self._run("initdb", "-D", self._data, "-U", "mlflow", "--auth=trust", "--no-sync", "--encoding=UTF8")

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    @property
    def url(self) -> str:
        """As SQLAlchemy takes it."""
        return f"postgresql+psycopg://mlflow@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Returns when it answers."""
        options = f"-p {self.port} -k {self.folder} -F"
        self._run("pg_ctl", "-D", self._data, "-l", str(self._log), "-o", options, "-w", "start")

    def stop(self) -> None:
        """In the middle of whatever it does."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *words: str) -> None:
        own = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        command = [*own, str(self.programs / program), *words]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """Started."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="kairos-"))  # pytest's own are closed to other users
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        server = Postgres(found[-1], folder, port)
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server on it."""
    drivers = sorted((ROOT / ".venv-tracking").glob("lib/python3*/site-packages"))
    if not drivers:
        pytest.fail("There is no driver of PostgreSQL: .venv-tracking is missing. Type: make tracking", pytrace=False)
    with mlflow_server(tmp_path_factory.mktemp("server"), postgres.url, PYTHONPATH=str(drivers[-1])) as url:
        yield url


def test_a_database_that_stops_behind_the_server_loses_nothing(server: str, postgres: Postgres, tmp_path: Path) -> None:
    """The server answers that it cannot; that counts as an outage, and nothing that comes after is recorded before."""
    runs = some_runs(tmp_path)
    assert tell(runs[:1], tmp_path, server) is None
    postgres.stop()
    trouble = tell(runs, tmp_path, server)
    assert trouble is not None
    assert "It is recorded later, with all that comes after it." in trouble
    postgres.start()
    assert tell(runs, tmp_path, server) is None
    found = held(server)
    assert [run[:2] for run in found] == [(name, "FINISHED") for name in ("fold",) * 3 + ("r1", "r2", "r3")]
    assert all(history == [(0, 1.0), (1, 0.5), (2, 1 / 3)] for _, _, _, history, _ in found)


def test_a_project_goes_on_while_the_server_is_down(server: str, postgres: Postgres, tmp_path: Path) -> None:
    """Its runs are told once the database is back, in order, with what their steps logged."""
    (tmp_path / "kairos.toml").write_text(f'[project]\nname = "team"\n\n[tracking]\nmlflow = "{server}"\n')
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    environment = {name: value for name, value in os.environ.items() if name != "KAIROS_RECORD"}

    def run(many: int) -> None:
        words = ["-C", str(tmp_path), "run", "--window", "2011-01-01..2011-01-31", "-p", f"fit.many={many}"]
        subprocess.run([sys.executable, "-m", "kairos.cli", *words], env=environment, check=True)

    run(1)
    wait_until_told(tmp_path)
    postgres.stop()
    for many in (2, 3):
        run(many)
    deadline = time.monotonic() + 200
    while not (tmp_path / ".kairos/following.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    postgres.start()
    run(4)
    wait_until_told(tmp_path)
    found = held(server, "team")
    with Project(tmp_path) as project:
        assert {run[0] for run in found} == {entry.subject for entry in project.ledger.read()}
    assert sorted(len(history) for _, _, _, history, _ in found) == [1, 2, 3, 4]


def wait_until_told(root: Path) -> None:
    """Waits for the process beside the commands; it ends by itself, and is started again while it could not tell."""
    deadline = time.monotonic() + 200
    with Project(root) as project:
        while Record.is_behind(project) or is_held(project.home / "following.lock"):
            assert time.monotonic() < deadline
            start(project)
            time.sleep(1)
