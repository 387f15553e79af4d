"""Networks keep what every runner, and every package, promises; in both forms."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kairos.models.package import Package, open_package
from kairos.models.ports import Runner
from kairos.models.score import score_columns
from kairos.testing import PackageContract, RunnerContract
from tests.models.trainings import finish, hours
from tests.networks.modules import KINDS, TABLE
from tests.networks.modules import made as network

Array = np.ndarray[Any, Any]
ROWS = TABLE.head(60)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the packages are."""
    return tmp_path_factory.mktemp("networks")


@cache
def packaged(kind: str, folder: Path) -> Path:
    """The package of a kind, made once below a folder; "embedded" has seen missing values."""
    return finish(folder / kind, network(kind), train=hours() if kind == "embedded" else TABLE)


class Kinds:
    """The fixtures of both suites."""

    @pytest.fixture(params=KINDS)
    def kind(self, request: pytest.FixtureRequest) -> str:
        """Each in turn."""
        return str(request.param)

    @pytest.fixture
    def folder(self, kind: str, made: Path) -> Path:
        """Not to be written to."""
        return packaged(kind, made)

    @pytest.fixture
    def package(self, folder: Path) -> Package:
        """Opened."""
        return open_package(folder)

    @pytest.fixture
    def table(self) -> Any:
        """Rows of training."""
        return ROWS

    @pytest.fixture
    def columns(self, package: Package) -> Mapping[str, Array]:
        """The same, as a runner takes them."""
        return score_columns(package, ROWS)

    @pytest.fixture
    def expected(self, kind: str, columns: Mapping[str, Array]) -> Array:
        """What the network says, asked as people ask it."""
        module = network(kind).eval()
        matrix = torch.tensor(np.column_stack([values.astype(float) for values in columns.values()]))
        with torch.inference_mode():
            answers: Array = module(matrix.to(next(module.parameters()).dtype)).numpy()
        return np.ravel(answers).astype(np.float64)

    @pytest.fixture
    def nullable(self, kind: str) -> Collection[str]:
        """Where training had missing values."""
        return ("weather",) if kind == "embedded" else ()


class TestNative(Kinds, RunnerContract):
    """PyTorch's own operations."""

    tolerance = 1e-5

    @pytest.fixture
    def runner(self, package: Package) -> Runner:
        """Of the kind."""
        return package.native_runner()


class TestCompiled(Kinds, RunnerContract):
    """ONNX Runtime."""

    tolerance = 1e-5

    @pytest.fixture
    def runner(self, package: Package) -> Runner:
        """Of the kind."""
        return package.compiled_runner()


class TestPackage(Kinds, PackageContract):
    """The folder."""

    tolerance = 1e-5
