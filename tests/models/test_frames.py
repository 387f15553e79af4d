"""Frames of both libraries become plain arrays and come back as they were."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from kairos.errors import PackageError
from kairos.models.frame_building import build_frame
from kairos.models.frames import frame_kind, read_column, select

POLARS = pl.DataFrame(
    {
        "i": pl.Series([1, 2, 3], dtype=pl.Int16),
        "in": pl.Series([1, None, 3], dtype=pl.Int64),
        "f": pl.Series([0.5, None, 2.0], dtype=pl.Float32),
        "b": [True, False, True],
        "bn": [True, None, False],
        "s": ["x", "y", None],
        "c": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
        "e": pl.Series(["y", "x", None], dtype=pl.Enum(["y", "x", "z"])),
    }
)
PANDAS = pd.DataFrame(
    {
        "i": pd.Series([1, 2, 3], dtype="int16"),
        "in": pd.Series([1, None, 3], dtype="Int64"),
        "f": pd.Series([0.5, np.nan, 2.0], dtype="float32"),
        "b": [True, False, True],
        "bn": pd.Series([True, None, False], dtype="boolean"),
        "s": pd.Series(["x", "y", None]),
        "c": pd.Categorical(["y", "x", None], categories=["y", "x", "z"]),
    }
)
KINDS = {
    "i": "integer",
    "in": "integer",
    "f": "number",
    "b": "boolean",
    "bn": "boolean",
    "s": "text",  # three rows share nothing
    "c": "text",
    "e": "text",
}


@pytest.mark.parametrize("frame", [POLARS, PANDAS], ids=["polars", "pandas"])
def test_a_frame_comes_back_with_its_data_types(frame: Any) -> None:
    """Missing values, small integers, categories and their order included."""
    read = {name: read_column(frame, name) for name in frame.columns}
    assert {name: column.kind for name, column in read.items()} == {name: KINDS[name] for name in frame.columns}
    back = build_frame(
        frame_kind(frame),
        {name: column.values for name, column in read.items()},
        {name: column.dtype for name, column in read.items()},
        {name: column.levels for name, column in read.items()},
    )
    assert back.equals(frame)
    if isinstance(frame, pl.DataFrame):
        assert back.schema == frame.schema
    else:
        pd.testing.assert_frame_equal(back, frame)


def test_a_level_outside_a_fixed_data_type_is_missing() -> None:
    """As the estimators that use such types treat it."""
    values = np.array(["x", "new"], dtype=object)
    assert build_frame("polars", {"e": values}, {"e": "Enum"}, {"e": ("x",)})["e"].to_list() == ["x", None]
    assert build_frame("pandas", {"c": values}, {"c": "category"}, {"c": ("x",)})["c"].isna().tolist() == [False, True]


def test_many_distinct_texts_are_text() -> None:
    """A column of names or notes has no list of levels."""
    column = read_column(pl.DataFrame({"note": [f"n{i}" for i in range(101)]}), "note")
    assert (column.kind, column.levels) == ("text", ())


@pytest.mark.parametrize("library", [pl.DataFrame, pd.DataFrame])
def test_values_of_one_row_each_are_text_however_few(library: Any) -> None:
    """Ninety addresses of ninety people are no levels, nor are they as a category; a level needs nine rows here."""
    people = [f"p{i}@example.org" for i in range(90)]
    column = read_column(library({"email": people}), "email")
    assert (column.kind, column.levels) == ("text", ())
    declared = pl.Series(people, dtype=pl.Categorical) if library is pl.DataFrame else pd.Categorical(people)
    assert read_column(library({"email": declared}), "email").kind == "text"
    for rows, kind in ((9, "category"), (8, "text")):
        texts = ["a"] * (90 - rows) + ["b"] * rows
        assert read_column(library({"s": texts}), "s").kind == kind


def test_a_level_that_few_rows_share_is_not_named() -> None:
    """The column stays a category while 95 % of its values are shared."""
    for rare, kind, levels in ((5, "category", ("a",)), (6, "text", ())):
        column = read_column(pl.DataFrame({"s": ["a"] * (100 - rare) + [f"r{i}" for i in range(rare)]}), "s")
        assert (column.kind, column.levels, column.rare_levels) == (kind, levels, kind == "category")


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"day": [date(2011, 1, 1)]}),
        pd.DataFrame({"day": [pd.Timestamp("2011-01-01")]}),
        pd.DataFrame({"day": [{"a": 1}]}),
        pd.DataFrame({"day": pd.Categorical([1, 2])}),
    ],
)
def test_other_data_types_are_refused_with_the_column(frame: Any) -> None:
    """The hint says how to leave the column out."""
    with pytest.raises(PackageError, match="'day'"):
        read_column(frame, "day")


def test_what_is_no_table_is_refused() -> None:
    """A dict of lists is not a table here."""
    with pytest.raises(PackageError, match="needs a table"):
        frame_kind({"a": [1]})


def test_select_keeps_the_order_asked_for() -> None:
    """Both libraries alike."""
    assert list(select(POLARS, ["f", "i"]).columns) == list(select(PANDAS, ["f", "i"]).columns) == ["f", "i"]
