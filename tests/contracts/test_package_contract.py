"""Every kind of model keeps what is promised of its package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kairos.testing import PackageContract
from tests.contracts.kinds import KINDS, expected, packaged

ALONE = [name for name, kind in KINDS.items() if not kind.needs_leave]
WITH_LEAVE = [name for name, kind in KINDS.items() if kind.needs_leave]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the packages are."""
    return tmp_path_factory.mktemp("kinds")


class Kinds(PackageContract):
    """The fixtures, of the kinds that a subclass names."""

    tolerance = 1e-6  # of XGBoost; tests/contracts/test_runner_contract.py has the native forms to 1e-9

    @pytest.fixture
    def folder(self, kind: str, made: Path) -> Path:
        """Not to be written to."""
        return packaged(kind, made)

    @pytest.fixture
    def table(self, kind: str) -> Any:
        """What it was trained on."""
        return KINDS[kind].table

    @pytest.fixture
    def expected(self, kind: str, made: Path) -> np.ndarray[Any, Any]:
        """What it answers itself."""
        return expected(kind, made)


class TestAlone(Kinds):
    """Kinds that run no code."""

    @pytest.fixture(params=ALONE)
    def kind(self, request: pytest.FixtureRequest) -> str:
        """Each in turn."""
        return str(request.param)


class TestWithLeave(Kinds):
    """Pickles, and what MLflow packs."""

    allow_pickle = True

    @pytest.fixture(params=WITH_LEAVE)
    def kind(self, request: pytest.FixtureRequest) -> str:
        """Each in turn."""
        return str(request.param)
