"""Arrays that differ in length from row to row: inferred, handed over as they are, held to lengths that were tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

from kairos.errors import InputRefused, PackageError
from kairos.models.arrays import FREE
from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.frame_building import build_frame
from kairos.models.frame_rows import read_frame, why_refused
from kairos.models.frames import FrameKind, read_column
from kairos.models.package import Package, open_package
from kairos.models.score import score_table
from kairos.models.signature import Signature
from kairos.values import plain
from tests.models.trainings import Request

ROWS = 40
RANDOM = np.random.default_rng(0)
LENGTHS = [2, 7, *RANDOM.integers(2, 8, ROWS - 2).tolist()]
TOKENS = [RANDOM.integers(1, 50, length).tolist() for length in LENGTHS]
SERIES = [RANDOM.normal(size=(length, 3)).tolist() for length in LENGTHS]
USERS = RANDOM.normal(size=ROWS)


class Sums:
    """A model of one such column: it gets a list of arrays."""

    def predict(self, cells: Any) -> Any:
        """Of each array its sum and its length."""
        assert isinstance(cells, list)
        assert all(isinstance(each, np.ndarray) and each.ndim == 1 and each.dtype == np.int64 for each in cells)
        return np.array([each.sum() + 100 * len(each) for each in cells], dtype=float)


class Picky:
    """A model of such a column and a number that answers neither short series nor long ones: it gets a frame."""

    def predict(self, table: Any) -> Any:
        """Of each series the last value of its first channel."""
        cells = [np.asarray(cell, dtype=float) for cell in table["series"].to_list()]
        if not all(2 <= len(cell) <= 20 for cell in cells):
            raise ValueError("out of reach")
        return np.array([cell[-1][0] for cell in cells]) + np.asarray(table["age"])


def tokens(cells: Any = TOKENS) -> pl.DataFrame:
    """A list of whole numbers a row."""
    return pl.DataFrame({"tokens": cells, "users": USERS[: len(cells)]})


def people(kind: str) -> Any:
    """A series of three channels, and a number."""
    if kind == "pandas":
        return pd.DataFrame({"series": list(map(np.array, SERIES)), "age": np.arange(ROWS) * 1.0, "users": USERS})
    return pl.DataFrame({"series": SERIES, "age": np.arange(ROWS) * 1.0, "users": USERS})


def finished(folder: Path, model: Any, table: Any, **inputs: Any) -> Package:
    """Packaged and opened, with leave for its code."""
    options = ModelOptions(allow_pickle=True, loss="squared_error")
    made = FinishModel(settings={"demand": options})(
        Request(returned=model, inputs={"train": table, **inputs}, workdir=folder)
    )
    return open_package(made, allow_pickle=True)


def test_a_plain_object_gets_a_list_of_arrays(tmp_path: Path) -> None:
    """The lengths of training are in the signature, and what was tried beside them; it is read again as written."""
    package = finished(tmp_path, Sums(), tokens(), holdout=tokens(TOKENS[:1] * 3))  # of one length, and a list still
    [column] = package.spec.signature.columns
    assert (column.kind, column.shape, column.is_whole) == ("array", (FREE,), True)
    assert (column.seen, column.taken) == (((2, 7),), ((1, 1000),))
    assert package.spec.format == "3"
    assert Signature.from_plain(plain(package.spec.signature)) == package.spec.signature
    expected = [sum(cell) + 100 * len(cell) for cell in TOKENS]
    assert score_table(package, tokens()).tolist() == expected
    assert score_table(package, tokens(TOKENS[:1])).tolist() == expected[:1]
    asked = package.spec.signature.parse_rows([{"tokens": [5]}, {"tokens": [1.0, 2]}])
    assert package.runner().predict(asked).tolist() == [105.0, 203.0]
    assert "not looked into" in str(package.compilation.why)
    example = package.example["tokens"]
    assert package.runner().predict(package.spec.signature.parse_rows([package.example])).shape == (1,)
    assert isinstance(example, list)


@pytest.mark.parametrize("kind", ["polars", "pandas"])
def test_beside_other_columns_they_come_as_a_frame(tmp_path: Path, kind: FrameKind) -> None:
    """Of lists or arrays; how long they may be is what the model was seen to answer."""
    package = finished(tmp_path, Picky(), people(kind))
    column = package.spec.signature.columns[0]
    assert (column.shape, column.is_whole) == ((FREE, 3), False)
    assert (column.seen, column.taken) == (((2, 7), (3, 3)), ((2, 7), (3, 3)))
    expected = [cell[-1][0] + at for at, cell in enumerate(SERIES)]
    np.testing.assert_allclose(score_table(package, people(kind)), expected)
    asked = package.spec.signature.parse_rows([{"series": SERIES[3], "age": 3.0}] * 2)
    np.testing.assert_allclose(package.runner().predict(asked), [expected[3]] * 2)
    read = read_column(people(kind), "series")
    again = build_frame(kind, {"s": read.values}, {"s": read.dtype}, {})
    for cell, wanted in zip(read_column(again, "s").values, SERIES, strict=True):
        np.testing.assert_array_equal(cell, wanted)


GOOD = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
BAD: list[tuple[Any, str]] = [
    ([[1.0, 2.0, 3.0]], r"shape \[1, 3\]"),
    ([[1.0, 2.0, 3.0]] * 8, r"shape \[8, 3\]"),
    ([[1.0, 2.0]] * 3, r"shape \[3, 2\]"),
    ([], r"shape \[0\]"),
    ([[1.0, 2.0, 3.0], [1.0]], "lists"),
    ([[1.0, 2.0, None], [4.0, 5.0, 6.0]], "lists"),
    ([[1.0, 2.0, float("nan")], [4.0, 5.0, 6.0]], "not a finite number"),
    ([[1.0, 2.0, float("inf")], [4.0, 5.0, 6.0]], "not a finite number"),
    ([[1.0, 2.0, 1e16], [4.0, 5.0, 6.0]], "too large"),
    (None, "is null"),
]


def test_a_table_is_held_to_the_lengths_as_a_request_is(tmp_path: Path) -> None:
    """Row by row, in the same words."""
    signature = finished(tmp_path, Picky(), people("polars")).spec.signature
    cells = pl.Series("series", [GOOD, *(cell for cell, _ in BAD), GOOD], dtype=pl.List(pl.List(pl.Float64)))
    frame = pl.DataFrame({"series": cells, "age": 1.0})
    read = read_frame(signature, frame)
    assert (read.accepted.tolist(), list(read.refused)) == ([0, len(BAD) + 1], list(range(1, len(BAD) + 1)))
    assert [each.tolist() for each in read.columns["series"]] == [GOOD, GOOD]
    for row, (cell, what) in enumerate(BAD, 1):
        told = why_refused(signature, frame, row, "series", first_row=0)
        with pytest.raises(InputRefused, match=what) as refused:
            signature.parse_rows([{"series": GOOD, "age": 1.0}] * row + [{"series": cell, "age": 1.0}])
        assert (told.what, told.given, told.accepted) == (
            refused.value.what, refused.value.given, refused.value.accepted
        )  # fmt: skip
        assert refused.value.facts == {"row": row, "field": "series"}


def test_texts_of_json_are_read_where_a_table_has_them() -> None:
    """As CSV has them; what is no JSON is refused as any text is."""
    from kairos.models.signature import Column, OutputSpec

    span = ((1, 4),)
    tokens = Column(name="tokens", kind="array", shape=(FREE,), is_whole=True, seen=span, taken=span)
    signature = Signature(columns=(tokens,), output=OutputSpec())
    texts = ["[1, 2]", "[3]", "1, 2", "[1, NaN]", "[1.5]", "[]", "{}", None]
    frame = pl.DataFrame({"tokens": texts})
    read = read_frame(signature, frame, has_array_texts=True)
    assert [each.tolist() for each in read.columns["tokens"]] == [[1, 2], [3]]
    words = [str(why_refused(signature, frame, row, "tokens", first_row=0)) for row in range(2, 8)]
    for told, what in zip(words, ("Given: 1, 2", "finite", "1.5", "shape [0]", "{}", "null"), strict=True):
        assert what in told
    with pytest.raises(InputRefused, match=r"as another kind.*of shape \[1 to 4\]"):
        read_frame(signature, frame)


def test_empty_arrays_are_taken_where_training_held_them(tmp_path: Path) -> None:
    """And of several axes that are free, the whole is held to the largest array as well."""
    package = finished(tmp_path, Sums(), tokens([[], *TOKENS[1:]]))
    [column] = package.spec.signature.columns
    assert column.taken == ((0, 1000),)
    asked = package.spec.signature.parse_rows([{"tokens": []}])
    assert package.runner().predict(asked).tolist() == [0.0]
    assert asked["tokens"][0].dtype == np.int64


def test_several_axes_may_be_free(tmp_path: Path) -> None:
    """Pictures of any size, up to so many numbers in all."""

    class Sizes:
        """A model of pictures."""

        def predict(self, cells: Any) -> Any:
            """Their heights and widths."""
            return [100.0 * cell.shape[0] + cell.shape[1] for cell in cells]

    sizes = [(2, 3), (4, 2), (1, 700)] * 5
    package = finished(tmp_path, Sizes(), pd.DataFrame({"p": [np.ones(s) for s in sizes], "users": USERS[:15]}))
    [column] = package.spec.signature.columns
    assert (column.shape, column.seen) == ((FREE, FREE), ((1, 4), (2, 700)))
    assert column.taken == ((1, 1000), (1, 1400))
    assert column.takes((1000, 1000))
    assert not column.takes((1000, 1001))
    with pytest.raises(InputRefused, match=r"\[1 to 1000, 1 to 1400\], up to 1000000 in all"):
        package.spec.signature.parse_rows([{"p": 3}])


def test_an_estimator_of_columns_is_told_what_it_cannot_take(tmp_path: Path) -> None:
    """And what to make of such arrays."""
    with pytest.raises(PackageError, match=r"differ in length.*tokens of shape \[any\].*their length and mean"):
        finished(tmp_path, LinearRegression(), tokens())


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")  # MLflow's own code
def test_mlflow_loads_the_folder(tmp_path: Path) -> None:
    """With nested arrays of any length in its signature."""
    package = finished(tmp_path, Sums(), tokens())
    mlflow = pytest.importorskip("mlflow.pyfunc")
    loaded = mlflow.load_model(str(tmp_path / "package"))
    asked = pd.DataFrame({"tokens": TOKENS[:3]})
    np.testing.assert_allclose(loaded.predict(asked), score_table(package, tokens())[:3])
