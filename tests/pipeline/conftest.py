"""One engine for all tests of this room: workers stay, so most tests do not pay for their start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kairos.pipeline.engine.local import LocalEngine
from tests.pipeline.projects import Place


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    """Two workers that can import the finisher of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        root = Path(__file__).parents[2]
        patch.setenv("PYTHONPATH", os.pathsep.join([str(root), str(root / "src")]))
        with LocalEngine(workers=2) as engine:
            yield engine


@pytest.fixture
def place(tmp_path: Path, engine: LocalEngine) -> Iterator[Place]:
    """An empty project."""
    place = Place(tmp_path, engine)
    yield place
    place.cache.close()
