"""Columns of arrays: what is inferred of them, what a plain object gets, and tables that are held to the same shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from kairos.errors import InputRefused, PackageError
from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.frame_building import build_frame
from kairos.models.frame_rows import read_frame, why_refused
from kairos.models.frames import read_column
from kairos.models.package import Package, open_package
from kairos.models.score import score_table
from kairos.models.signature import Signature
from kairos.values import plain
from tests.models.trainings import Request

RANDOM = np.random.default_rng(0)
PICTURES = RANDOM.integers(0, 256, size=(60, 4, 3)).astype(np.uint8)
VECTORS = RANDOM.normal(size=(60, 5))
USERS = PICTURES.reshape(60, -1).mean(axis=1)


class Mean:
    """A model of one array: it gets the array itself."""

    def predict(self, pictures: Any) -> Any:
        """Of shape (n, 4, 3)."""
        assert isinstance(pictures, np.ndarray)
        assert pictures.shape[1:] == (4, 3)
        return pictures.reshape(len(pictures), -1).mean(axis=1)


class Both:
    """A model of an array and a number: it gets a frame."""

    def predict(self, table: Any) -> Any:
        """A column of arrays is one of arrays."""
        vectors = np.array([np.asarray(each) for each in table["vector"]])
        return vectors.sum(axis=1) + np.asarray(table["age"])


def pictures(*, as_list: bool = False) -> pl.DataFrame:
    """A table with an array a row."""
    cells = pl.Series("picture", PICTURES.tolist() if as_list else PICTURES)
    return pl.DataFrame({"picture": cells, "users": USERS})


def people(kind: str) -> Any:
    """A table with a vector and a number a row."""
    import pandas as pd

    if kind == "pandas":
        return pd.DataFrame({"vector": list(VECTORS), "age": np.arange(60.0), "users": USERS})
    cells = pl.Series("vector", VECTORS if kind == "array" else VECTORS.tolist())
    return pl.DataFrame({"vector": cells, "age": np.arange(60.0), "users": USERS})


def finished(folder: Path, model: Any, table: Any) -> Package:
    """Packaged and opened, with leave for its code."""
    options = ModelOptions(allow_pickle=True, loss="squared_error")
    made = FinishModel(settings={"demand": options})(
        Request(returned=model, inputs={"train": table}, workdir=folder, drop=())
    )
    return open_package(made, allow_pickle=True)


def test_shape_and_kind_are_inferred_and_a_plain_object_gets_the_array(tmp_path: Path) -> None:
    """Whole numbers of an image; the signature is read again as it was written, in a format of its own."""
    package = finished(tmp_path, Mean(), pictures())
    [column] = package.spec.signature.columns
    assert (column.kind, column.shape, column.is_whole) == ("array", (4, 3), True)
    assert package.spec.form.kind == "array"
    assert package.spec.format == "2"
    assert Signature.from_plain(plain(package.spec.signature)) == package.spec.signature
    np.testing.assert_allclose(score_table(package, pictures()), USERS, rtol=1e-12)
    np.testing.assert_allclose(score_table(package, pictures(as_list=True)), USERS, rtol=1e-12)
    profile = package.profile.columns["picture"]
    assert profile.kind == "array"
    assert profile.mean == pytest.approx(USERS.mean())
    rows = package.spec.signature.parse_rows([{"picture": PICTURES[0].tolist()}])
    assert package.runner().predict(rows).tolist() == [USERS[0]]


@pytest.mark.parametrize("kind", ["array", "list", "pandas"])
def test_arrays_beside_numbers_come_as_a_frame(tmp_path: Path, kind: str) -> None:
    """Of Polars' arrays and lists, and of pandas' objects; each is built again for a request."""
    table = people(kind)
    package = finished(tmp_path, Both(), table)
    expected = VECTORS.sum(axis=1) + np.arange(60.0)
    np.testing.assert_allclose(score_table(package, table), expected, rtol=1e-12)
    columns = package.spec.signature.parse_rows([{"vector": VECTORS[3].tolist(), "age": 3.0}])
    np.testing.assert_allclose(package.runner().predict(columns), expected[3:4], rtol=1e-12)
    read = read_column(table, "vector")
    again = build_frame("pandas" if kind == "pandas" else "polars", {"vector": read.values}, {"vector": read.dtype}, {})
    np.testing.assert_array_equal(read_column(again, "vector").values, VECTORS)


def test_mlflow_loads_the_folder(tmp_path: Path) -> None:
    """With the shape as nested arrays in its signature."""
    import mlflow.pyfunc

    import kairos.models.pyfunc_model  # noqa: F401 - MLflow is loaded there, without its warnings

    package = finished(tmp_path, Mean(), pictures())
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "package"))
    asked = pictures().head(3).to_dicts()
    import pandas as pd

    frame = pd.DataFrame({"picture": [each["picture"] for each in asked]})
    np.testing.assert_allclose(loaded.predict(frame), USERS[:3], rtol=1e-12)
    assert package.spec.signature.names == ("picture",)


def test_a_table_is_held_to_the_shape_row_by_row(tmp_path: Path) -> None:
    """What would be refused in a request is refused in a table, with the same words."""
    signature = finished(tmp_path, Mean(), pictures()).spec.signature
    good = PICTURES[0].tolist()
    cells = [good, [[1, 2, 3]] * 3, [[0.5, 0, 0], *good[1:]], None, good]
    frame = pl.DataFrame({"picture": pl.Series(cells, dtype=pl.List(pl.List(pl.Float64)), strict=False)})
    read = read_frame(signature, frame)
    assert (read.accepted.tolist(), list(read.refused)) == ([0, 4], [1, 2, 3])
    assert read.columns["picture"].shape == (2, 4, 3)
    told = [str(why_refused(signature, frame, row, "picture", first_row=10)) for row in (1, 2, 3)]
    assert "of row 11 is not an array of whole numbers of shape [4, 3]" in told[0]
    assert "shape [3, 3]" in told[0]
    assert "0.5" in told[1]
    assert "is null" in told[2]
    as_array = read_frame(signature, pictures().select("picture"))
    assert len(as_array.accepted) == 60
    with pytest.raises(InputRefused, match=r"as another kind.*a list or array of numbers of shape \[4, 3\]"):
        read_frame(signature, pl.DataFrame({"picture": ["[[1, 2, 3]]"]}))


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        ([[[1.0], [1.0, 2.0]], [[1.0]]], "lists that are uneven"),
        ([[1.0], None], "30 missing"),
        ([["a"], ["b"]], "of no finite numbers"),
        ([[1.0], [float("nan")]], "of no finite numbers"),
        ([[1.0], [1.0, float("inf")]], "of no finite numbers"),
        ([[], []], "of no finite numbers"),
    ],
)
def test_lists_that_are_no_arrays_are_refused(tmp_path: Path, cells: list[Any], what: str) -> None:
    """With what is taken, and what to do."""
    table = pl.DataFrame({"vector": cells * 30, "users": USERS})
    with pytest.raises(PackageError, match=rf"'vector' of lists.*{what}.*in as many lists.*may differ in length"):
        finished(tmp_path, Both(), table)


def test_whole_numbers_beyond_64_bits_are_no_negative_ones() -> None:
    """An unsigned number that int64 does not hold is read as a double."""
    table = pl.DataFrame({"vector": pl.Series([[2**63 + 2048, 1]] * 3, dtype=pl.List(pl.UInt64))})
    read = read_column(table, "vector")
    assert (read.values.dtype, float(read.values.max()), read.is_whole) == (np.float64, 2.0**63 + 2048, False)
