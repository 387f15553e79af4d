"""Every runner keeps the promises of the port: each kind of model, in its native and in its compiled form."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kairos.models.package import Package, open_package
from kairos.models.ports import Runner
from kairos.models.score import score_columns
from kairos.testing import RunnerContract
from tests.contracts.kinds import GOLDEN, KINDS, expected, opened
from tests.models.trainings import hours

Array = np.ndarray[Any, Any]
FRAMES = {"polars": "polars", "pandas": "pandas", "pickle": "polars", "mlflow": "polars"}
"""Kinds that need a frame: for text, or as they ask for columns by name."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the packages are."""
    return tmp_path_factory.mktemp("kinds")


class Answering(RunnerContract):
    """The fixtures of both forms."""

    @pytest.fixture(params=KINDS)
    def kind(self, request: pytest.FixtureRequest) -> str:
        """Each in turn."""
        return str(request.param)

    @pytest.fixture
    def package(self, kind: str, made: Path) -> Package:
        """Of the kind."""
        return opened(kind, made)

    @pytest.fixture
    def columns(self, kind: str, package: Package) -> Mapping[str, Array]:
        """The rows that it was trained on."""
        return score_columns(package, KINDS[kind].table)

    @pytest.fixture
    def expected(self, kind: str, made: Path) -> Array:
        """What the model says of them."""
        return expected(kind, made)

    @pytest.fixture
    def nullable(self, kind: str) -> Collection[str]:
        """Where training had missing values."""
        return KINDS[kind].nullable


class TestNative(Answering):
    """The model itself."""

    @pytest.fixture
    def runner(self, package: Package) -> Runner:
        """Of the kind."""
        return package.native_runner()

    def test_numbers_need_no_frame(self, kind: str, package: Package) -> None:
        """A matrix is built where every column is a number, whatever library the estimator is of."""
        assert package.spec.form.kind == FRAMES.get(kind, "matrix")


class TestCompiled(Answering):
    """Its compiled form, of each kind that has one."""

    tolerance = 1e-6  # of XGBoost, whose numbers are float32; of the others the proof says more

    @pytest.fixture(params=[name for name, kind in KINDS.items() if not kind.needs_leave])
    def kind(self, request: pytest.FixtureRequest) -> str:
        """Each in turn."""
        return str(request.param)

    @pytest.fixture
    def runner(self, package: Package) -> Runner:
        """Of the kind."""
        assert package.compilation.is_proven, package.compilation.why
        return package.compiled_runner()


class TestNetwork(RunnerContract):
    """The compiled form of a network, where there is no PyTorch; the native one is in ``tests/networks``."""

    tolerance = 1e-5

    @pytest.fixture
    def runner(self) -> Runner:
        """Of the package that lies in the tree."""
        return open_package(GOLDEN / "package").compiled_runner()

    @pytest.fixture
    def columns(self) -> Mapping[str, Array]:
        """The first rows that it was trained on."""
        return score_columns(open_package(GOLDEN / "package"), hours().drop_nulls().head(100))

    @pytest.fixture
    def expected(self) -> Array:
        """As PyTorch answered."""
        return np.array(json.loads((GOLDEN / "answers.json").read_text()))
