"""What a step returned comes back equal, of the same type, and under the same digest each time."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kairos.errors import BlobDamaged, OutputError
from kairos.pipeline.artifacts import Artifact, decode, encode
from kairos.store import Store
from kairos.store.tables import read_table

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.timedeltas()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4)
        | st.frozensets(st.integers() | st.text(max_size=3), max_size=4)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    """A store, and a folder to check things out to."""
    root = tmp_path_factory.mktemp("artifacts")
    return Store(root / "store"), root / "work"


def through(desk: tuple[Store, Path], value: object) -> Any:
    """The value, stored and read back; storing it twice gives one digest."""
    store, workdir = desk
    artifact = encode(store, value, name="made")
    assert encode(store, value, name="made") == artifact
    assert Artifact.from_plain(artifact.plain()) == artifact
    return decode(store, artifact, workdir=workdir)


def same(left: object, right: object) -> bool:
    """Equal with types and the order of keys, where NaN is NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float) and isinstance(right, float):
        return (math.isnan(left) and math.isnan(right)) or (left == right and repr(left) == repr(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@settings(deadline=None, max_examples=50)
@given(value=values)
def test_json_like_values_keep_their_types(desk: tuple[Store, Path], value: object) -> None:
    """Tuples, sets, dates, NaN and dictionaries with any text as key come back as they were."""
    assert same(through(desk, value), value)


@settings(deadline=None, max_examples=50)
@given(value=st.text() | st.binary())
def test_text_and_bytes(desk: tuple[Store, Path], value: str | bytes) -> None:
    """They are stored as they are."""
    assert same(through(desk, value), value)


@settings(deadline=None, max_examples=50)
@given(value=arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, min_side=0)))
def test_arrays_keep_type_and_shape(desk: tuple[Store, Path], value: np.ndarray[Any, Any]) -> None:
    """Every numpy type without objects, NaN and NaT included."""
    back = through(desk, value)
    assert (back.dtype, back.shape) == (value.dtype, value.shape)
    assert back.tobytes() == value.tobytes()


def test_polars_tables(desk: tuple[Store, Path]) -> None:
    """Types, nulls and order stay; the artifact knows its rows and columns."""
    frame = pl.DataFrame(
        {
            "hour": [datetime(2011, 1, 1, tzinfo=UTC), None],
            "season": pl.Series(["spring", None], dtype=pl.Categorical),
            "users": [math.nan, None],
            "lags": [[1, 2], []],
        }
    )
    assert through(desk, frame).equals(frame)
    assert encode(desk[0], frame, name="t").meta == {"rows": 2, "columns": ["hour", "season", "users", "lags"]}
    assert through(desk, frame.clear()).schema == frame.schema


PANDAS: dict[str, Any] = {
    "float": [1.5, math.nan],
    "int8": np.array([1, 2], dtype="int8"),
    "bool": [True, False],
    "text": ["a", None],
    "object": pd.Series(["a", None], dtype="object"),
    "date": pd.Series([date(2011, 1, 1), None], dtype="object"),
    "nullable": pd.array([1, None], dtype="Int64"),
    "maybe": pd.array([True, None], dtype="boolean"),
    "naive": pd.Series(["2011-01-01 00:00:00.000000001", None]).astype("datetime64[ns]"),
    "aware": pd.to_datetime(["2011-03-27 00:30", "2011-03-27 01:30"], utc=True).tz_convert("Europe/Berlin"),
    "length": pd.to_timedelta([timedelta(hours=1), None]),
    "category": pd.Categorical(["b", None], categories=["c", "b", "a"], ordered=True),
    "bins": pd.Categorical([3, 1], categories=[3, 2, 1]),
}


@pytest.mark.parametrize("rows", [2, 0])
@pytest.mark.parametrize("kind", PANDAS)
def test_pandas_tables(desk: tuple[Store, Path], kind: str, rows: int) -> None:
    """Types, categories with their order, time zones and missing values stay, in an empty table too."""
    frame = pd.DataFrame({kind: PANDAS[kind], "n": [1, 2]}).head(rows)
    pd.testing.assert_frame_equal(through(desk, frame), frame)


def test_a_category_of_texts_is_stored_as_text(desk: tuple[Store, Path]) -> None:
    """Whoever reads the file without its facts, as a gate reads a holdout, sees what is meant and not a code."""
    frame = pd.DataFrame({"region": pd.Categorical(["N", None, "S"])})
    stored = read_table(desk[0], encode(desk[0], frame, name="t").digest)
    assert stored["region"].to_list() == ["N", None, "S"]


class Pair(NamedTuple):
    """Two results."""

    left: int
    right: int


LOOP: list[object] = []
LOOP.append(LOOP)
REFUSED: dict[str, tuple[Any, str]] = {
    "function": (len, r"What step 'made' returned cannot be stored. Given: builtins.builtin_function_or_method"),
    "object in a list": ([object()], "cannot be stored"),
    "key": ({1: 2}, "An object needs text as keys"),
    "half a character": ("\ud800", "cannot be stored"),
    "itself": (LOOP, "cannot be stored"),
    "lazy frame": (pl.LazyFrame(), r"Return frame.collect\(\)"),
    "column of objects": (pl.DataFrame({"a": [object()]}), "A column of 'made' cannot be stored as Parquet"),
    "pandas objects": (pd.DataFrame({"a": [object()]}), "A column of 'made' cannot be stored as Parquet"),
    "mixed column": (pd.DataFrame({"a": ["x", 1]}), "A column of 'made' cannot be stored as Parquet"),
    "intervals": (pd.DataFrame({"a": pd.cut([1, 2], 2)}), "A column of 'made' cannot be stored as Parquet"),
    "index": (pd.DataFrame({"a": [1]}, index=["x"]), r"labels that would be lost.*Return table.reset_index\(\)"),
    "named index": (pd.DataFrame({"a": [1]}).rename_axis("hour"), "labels that would be lost"),
    "row numbers after a filter": (pd.DataFrame({"a": [1, 2]}).iloc[1:], r"Return table.reset_index\(drop=True\)"),
    "numbers as columns": (pd.DataFrame([[1, 2]]), "columns 0, 1"),
    "repeated columns": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "columns 'a', 'a'"),
    "array of objects": (np.array([None]), "an array of Python objects"),
    "named tuple": (Pair(1, 2), r"Annotate the step: def made\(...\) -> Pair\."),
    "no file": (Path("not-there"), "is a Path, and there is nothing at it. Given: not-there"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_come_back_is_refused(desk: tuple[Store, Path], kind: str) -> None:
    """Nothing is pickled, and nothing is stored that would come back different."""
    value, message = REFUSED[kind]
    with pytest.raises(OutputError, match=message):
        encode(desk[0], value, name="made")


def test_an_estimator_is_sent_to_a_model_step(desk: tuple[Store, Path]) -> None:
    """The message says where it belongs, and which field of a result it was."""
    from sklearn.dummy import DummyRegressor

    with pytest.raises(
        OutputError, match=r"Field 'fit' of what step 'a' returned .* Return an estimator from a @model"
    ):
        encode(desk[0], DummyRegressor(), name="a.fit")


def test_files_and_folders(desk: tuple[Store, Path], tmp_path: Path) -> None:
    """A ``Path`` is stored with what it points to, and comes back as a copy under its name."""
    (tmp_path / "out").mkdir()
    file = tmp_path / "out" / "a.csv"
    file.write_text("1")
    assert through(desk, file).name == "a.csv"
    folder = through(desk, tmp_path / "out")
    assert folder.name == "out"
    assert (folder / "a.csv").read_text() == "1"


def test_a_damaged_blob_is_never_used(tmp_path: Path) -> None:
    """Bytes that changed in the store are named instead of read."""
    store = Store(tmp_path)
    artifact = encode(store, [1, 2], name="a")
    path = store.path(artifact.digest)
    path.chmod(0o644)
    path.write_text("[1,3]")
    with pytest.raises(BlobDamaged):
        decode(store, artifact, workdir=tmp_path)


def test_identities_tell_values_apart_that_share_their_bytes(tmp_path: Path) -> None:
    """``"1"``, ``b"1"`` and ``1`` are one blob and three identities."""
    store = Store(tmp_path)
    made = [encode(store, value, name="a") for value in ("1", b"1", 1)]
    assert len({artifact.digest for artifact in made}) == 1
    assert len({artifact.identity for artifact in made}) == 3
