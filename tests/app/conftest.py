"""What is dear to make is made once: packages, and worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kairos.pipeline.engine.local import LocalEngine
from tests.app.worlds import Stock, World
from tests.lending import lend


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Packages that nobody writes to."""
    return Stock.make(tmp_path_factory.mktemp("stock"))


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    """One worker for all the runs of this room."""
    with LocalEngine(workers=1) as engine:
        yield engine


@pytest.fixture
def lent(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Projects and commands of this process have that worker, for tests that stop none of its steps."""
    lend(engine, monkeypatch)


@pytest.fixture
def world(tmp_path: Path, stock: Stock) -> World:
    """A project without a version."""
    return World(tmp_path / "toy", stock)
