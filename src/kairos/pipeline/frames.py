"""Tables of Polars and pandas as Parquet blobs, with what Parquet does not keep in the artifact's facts.

A table of pandas comes back with the same columns, types, categories and values, where a missing value in a column of
objects is ``None``. Its index has to be the default one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from kairos.errors import OutputError, UsageError
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.typed import typed, untyped
from kairos.store import Store
from kairos.store.tables import read_table, write_table
from kairos.values import Json

__all__ = ["concatenate", "decode_frame", "encode_frame", "unfit"]


def encode_frame(store: Store, value: Any, *, name: str) -> Artifact:
    """Stores a data frame.

    Raises:
        OutputError: it holds what Parquet cannot keep, or a pandas index that means something.
    """
    meta: dict[str, Any] = {"rows": len(value), "columns": [str(column) for column in value.columns]}
    is_polars = isinstance(value, pl.DataFrame)
    if not is_polars:
        _check_labels(value, name)
    try:
        if is_polars:
            return Artifact(name=name, digest=write_table(store, value), kind="table/polars", meta=meta)
        meta["dtypes"] = [_dtype(value[column].dtype) for column in value.columns]
        table = pl.DataFrame({column: _to_polars(value[column]) for column in value.columns})
        return Artifact(name=name, digest=write_table(store, table), kind="table/pandas", meta=meta)
    except (TypeError, OverflowError, UsageError, pl.exceptions.PolarsError) as error:
        raise OutputError(f"A column of {name!r} cannot be stored as Parquet.", given=str(error)) from error


def decode_frame(store: Store, artifact: Artifact) -> Any:
    """Reads a data frame back, of the library that it came from."""
    frame = read_table(store, artifact.digest)
    if artifact.kind == "table/polars":
        return frame
    import pandas as pd  # only projects that use pandas need it

    columns = zip(frame.columns, artifact.meta["dtypes"], strict=True)
    series = {name: _to_pandas(frame[name], dtype) for name, dtype in columns}
    return pd.DataFrame(series, index=pd.RangeIndex(len(frame)))


def concatenate(frames: Sequence[Any], *, name: str) -> Any:
    """Puts the partitions of one source below each other, in their order.

    Raises:
        OutputError: they are no tables, or their columns differ.
    """
    if all(isinstance(frame, pl.DataFrame) for frame in frames):
        try:
            return pl.concat(frames, how="vertical")
        except pl.exceptions.PolarsError as error:
            raise unfit(name, str(error)) from error
    if {type(frame).__name__ for frame in frames} != {"DataFrame"} or any(
        isinstance(frame, pl.DataFrame) for frame in frames
    ):
        raise unfit(name, ", ".join(sorted({type(frame).__qualname__ for frame in frames})))
    import pandas as pd  # as above

    if any(list(frame.dtypes.items()) != list(frames[0].dtypes.items()) for frame in frames):
        raise unfit(name, "columns or types that differ")
    return pd.concat(frames, ignore_index=True)


def unfit(name: str, given: str) -> OutputError:
    """What is said of partitions that differ."""
    return OutputError(
        f"The partitions of source {name!r} cannot be put below each other.",
        given=given,
        accepted="tables of one library, with the same columns and types in each partition",
    )


def _check_labels(value: Any, name: str) -> None:
    default = type(value)(index=range(len(value))).index
    columns = value.columns
    if value.index.name is None and value.index.equals(default) and columns.is_unique and _are_texts(columns):
        return
    if not (columns.is_unique and _are_texts(columns)):
        hint = "Give every column a text of its own as its name."
    elif value.index.name is None and value.index.dtype.kind in "iu":  # row numbers, left over from a filter
        hint = "Return table.reset_index(drop=True)."
    else:
        hint = "Return table.reset_index(), if its labels are data, or table.reset_index(drop=True)."
    raise OutputError(
        f"The table {name!r} has labels that would be lost.",
        given=f"an index that begins {', '.join(map(repr, value.index[:3]))}; columns "
        f"{', '.join(map(repr, columns[:10]))}",
        accepted="a table with the default index (0, 1, 2, ...), and columns with different texts as names",
        hint=hint,
    )


def _are_texts(columns: Any) -> bool:
    return all(isinstance(column, str) for column in columns)


def _dtype(dtype: Any) -> Json:
    """The column's type; with its categories if it has any."""
    if str(dtype) != "category":
        return str(dtype)
    return {
        "categories": typed(dtype.categories.to_list()),
        "of": str(dtype.categories.dtype),
        "ordered": dtype.ordered,
    }


def _to_polars(series: Any) -> pl.Series:
    """Values as Polars keeps them; a missing value is null, whatever pandas calls it."""
    if str(series.dtype) == "category":  # as text, so that whoever reads the file sees what is meant
        is_text = _are_texts(series.dtype.categories)
        return _to_polars(series.astype(object) if is_text and len(series.dtype.categories) else series.cat.codes)
    if getattr(series.dtype, "tz", None) is not None:
        return pl.Series(series.dt.tz_convert(None).to_numpy())
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "iufbmM":
        return pl.Series(series.to_numpy())
    values = [None if missing else value for value, missing in zip(series.to_list(), series.isna(), strict=True)]
    return pl.Series(values, strict=True)


def _to_pandas(column: pl.Series, dtype: Json) -> Any:
    import pandas as pd

    if isinstance(dtype, dict):
        categories = pd.Index(untyped(dtype["categories"]), dtype=dtype["of"])  # type: ignore[call-overload]
        if column.dtype in (pl.String, pl.Null):
            values = pd.Categorical(column.to_list(), categories=categories, ordered=dtype["ordered"])
        else:
            values = pd.Categorical.from_codes(column.to_list(), categories=categories, ordered=dtype["ordered"])
        return pd.Series(values)
    if dtype.startswith("datetime64[") and ", " in dtype:
        return pd.Series(column.to_numpy()).dt.tz_localize("UTC").astype(dtype)
    if dtype.startswith(("datetime64", "timedelta64")) or (column.null_count() == 0 and column.dtype.is_numeric()):
        return pd.Series(column.to_numpy()).astype(dtype)
    return pd.Series(column.to_list(), dtype="object").astype(dtype)
