"""What is dear to make is made once: packages, and worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kairos.pipeline.engine.local import LocalEngine
from tests.app.worlds import Stock, World


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
def world(tmp_path: Path, stock: Stock) -> World:
    """A project without a version."""
    return World(tmp_path / "toy", stock)
