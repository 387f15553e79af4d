"""A server that fails at any moment: what was recorded is there once, what was not is recorded later, in order."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kairos.adapters.mlflow.database import make_database
from tests.adapters.outages import DyingProxy, held, mlflow_server, some_runs, tell, tell_here

pytestmark = [  # MLflow's own, and that of SQLAlchemy about it
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """With an SQLite file behind it."""
    folder = tmp_path_factory.mktemp("server")
    with mlflow_server(folder, make_database(folder)) as url:
        yield url


def test_a_server_that_dies_at_any_request_has_each_run_once_and_in_order(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It breaks ever later, after it has done what it was asked: the caller cannot know how far it came.

    The first and the last time a process of its own tells it; the others its code here, without MLflow's start.
    """
    runs, proxy = some_runs(tmp_path), DyingProxy(server)
    broke, seen = 0, 0
    try:
        for left in (1, 2, 3, 5, 8, 12, None):
            proxy.left = left
            if left in (1, None):
                trouble = tell(runs, tmp_path, proxy.url)
            else:
                trouble = tell_here(runs, tmp_path, proxy.url, monkeypatch)
            names = [run[0] for run in held(server) if run[0].startswith("r")]
            assert names == [run.run for run in runs][: len(names)]  # none is there before an earlier one
            assert len(names) >= seen
            seen = len(names)
            broke += trouble is not None
            assert trouble is None or "It is recorded later, with all that comes after it." in trouble
    finally:
        proxy.close()
    assert broke == 6
    assert trouble is None
    found = held(server)
    assert [run[:2] for run in found] == [(name, "FINISHED") for name in ("fold",) * 3 + ("r1", "r2", "r3")]
    for name, _, metrics, history, files in found:
        assert history == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
        assert files == (0 if name == "fold" else 2)
        assert name == "fold" or metrics["fit.mae"] == 41.5


def test_after_a_connection_that_fails_nothing_more_is_tried(tmp_path: Path) -> None:
    """However many runs wait, each of which would have to wait for its own failure."""
    runs = [replace(run, run=f"{run.run}-{n}") for n in range(100) for run in some_runs(tmp_path)]
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))  # nobody answers there
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    started = time.monotonic()
    trouble = tell(runs, tmp_path, url)
    listener.close()
    assert trouble is not None
    assert "'r1-0'" in trouble
    assert "Also" not in trouble
    assert time.monotonic() - started < 60
