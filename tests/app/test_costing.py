"""What a version costs to run is measured on its own rows, as many times over as a batch has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from sklearn.linear_model import LinearRegression

from kairos.app.costing import time_package
from kairos.models.package import open_package
from tests.models.trainings import finish


def test_fewer_rows_than_a_batch_are_taken_again_as_whole_rows(tmp_path: Path) -> None:
    """Also rows of arrays, which keep their shape."""
    vectors = np.random.default_rng(0).normal(size=(20, 3))
    rows = pl.DataFrame({"vector": vectors, "age": np.arange(20.0), "users": vectors.sum(axis=1) ** 2})
    package = open_package(finish(tmp_path / "made", LinearRegression(), train=rows))
    cost = time_package(package, rows)
    assert cost.one_row_ms is not None
    assert cost.batch_ms is not None
    assert min(cost.one_row_ms, cost.batch_ms) > 0
