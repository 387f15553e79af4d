"""Two versions of a table compared: exact however they are cut into parts, and in any order of the rows."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kairos.errors import StoreError, UsageError
from kairos.examples.bikes import pipeline as bikes
from kairos.pipeline.diff import files as files_module
from kairos.pipeline.diff import tables as tables_module
from kairos.pipeline.diff.files import TableFiles, format_of
from kairos.pipeline.diff.result import RowCounts, TableDiff
from kairos.pipeline.diff.tables import compare_tables

DATA = Path(bikes.__file__).parent / bikes.DATA


def parquet(path: Path, frame: pl.DataFrame) -> TableFiles:
    frame.write_parquet(path)
    return TableFiles(name=path.name, format="parquet", paths=(path,))


def compare(folder: Path, before: pl.DataFrame, after: pl.DataFrame, *key: str, examples: int = 0) -> TableDiff:
    work = folder / f"work{len(list(folder.iterdir()))}"
    sides = [parquet(folder / f"{name}.parquet", frame) for name, frame in (("before", before), ("after", after))]
    return compare_tables(*sides, key=key, workdir=work, examples=examples)


rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 8) | st.none(),
            "part": st.sampled_from(["a", "b", None]),
            "x": st.sampled_from([0.0, -0.0, 1.5, math.nan, None]),
            "word": st.sampled_from(["", "one", None]),
        }
    ),
    max_size=14,
)
SCHEMA = {"id": pl.Int64, "part": pl.String, "x": pl.Float64, "word": pl.String}


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple("NaN" if row[name] != row[name] else row[name] for name in SCHEMA)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=rows, after=rows, parts=st.sampled_from([1, 5]), key=st.sampled_from([(), ("id",), ("id", "part")]))
def test_rows_are_counted_as_the_definition_says(
    tmp_path_factory: pytest.TempPathFactory, before: Any, after: Any, parts: int, key: tuple[str, ...]
) -> None:
    """With missing and repeated keys, NaN, zeros of both signs; in one part as in five, in batches of three rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables_module, "_parts", lambda *_: parts)
        patch.setattr(files_module, "_MOST_ROWS", 3)
        frames = [pl.DataFrame(side, schema=SCHEMA) for side in (before, after)]
        found = compare(tmp_path_factory.mktemp("diff"), frames[0], frames[1], *key)
    assert found.rows == brute(before, after, key)
    assert found.rows_before == len(before)
    assert found.rows_after == len(after)
    assert found.is_same == (Counter(map(told, before)) == Counter(map(told, after)))


def brute(before: list[dict[str, Any]], after: list[dict[str, Any]], key: tuple[str, ...]) -> RowCounts:
    def name(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[column] for column in key)

    seen = [Counter(map(name, side)) for side in (before, after)]
    repeated = {k for k in {*seen[0], *seen[1]} if max(seen[0][k], seen[1][k]) > 1} if key else set()
    whole = [Counter(told(r) for r in side if not key or name(r) in repeated) for side in (before, after)]
    added, removed = (whole[1] - whole[0]).total(), (whole[0] - whole[1]).total()
    unchanged = (whole[0] & whole[1]).total()
    singles = [{name(r): told(r) for r in side if key and name(r) not in repeated} for side in (before, after)]
    both = singles[0].keys() & singles[1].keys()
    changed = sum(singles[0][k] != singles[1][k] for k in both)
    return RowCounts(
        added=added + len(singles[1].keys() - both),
        removed=removed + len(singles[0].keys() - both),
        changed=changed,
        unchanged=unchanged + len(both) - changed,
        repeated_before=whole[0].total() if key else 0,
        repeated_after=whole[1].total() if key else 0,
    )


def test_bikes_changed_by_key(tmp_path: Path) -> None:
    """A day is gone, an hour is new, three values are corrected: told by row, by column, and with the rows if asked."""
    before = pl.read_csv(DATA)
    hour = before.row(100, named=True) | {"dteday": "2013-01-01"}
    after = pl.concat([before.filter(pl.col("dteday") != "2011-01-05"), pl.DataFrame([hour], schema=before.schema)])
    corrected = (pl.col("dteday") == "2012-06-01") & pl.col("hr").is_in(["6am", "7am", "8am"])
    after = after.with_columns(temp=pl.when(corrected).then(pl.col("temp") + 1).otherwise("temp")).sample(
        fraction=1.0, shuffle=True, seed=1
    )
    found = compare(tmp_path, before, after, "dteday", "hr", examples=2)
    gone = before.filter(pl.col("dteday") == "2011-01-05").height
    assert found.rows == RowCounts(added=1, removed=gone, changed=3, unchanged=before.height - gone - 3)
    changed = {column.name: column.changed for column in found.columns}
    assert changed["temp"] == 3
    assert changed["dteday"] is None  # the key itself
    assert sum(count or 0 for count in changed.values()) == 3
    shown = Counter(example.how for example in found.examples)
    assert shown == {"added": 1, "removed": 2, "changed": 2}
    moved = next(example for example in found.examples if example.how == "changed")
    assert moved.was is not None
    assert moved.now is not None
    assert list(moved.was) == ["temp"]
    assert moved.now["temp"] == pytest.approx(moved.was["temp"] + 1)
    assert not any(column.has_moved for column in found.columns)


def test_a_distribution_that_moved_is_told_of(tmp_path: Path) -> None:
    """The second year of the bikes beside the first: many more users, the same hours."""
    rentals = pl.read_csv(DATA)
    is_first = pl.col("dteday").str.starts_with("2011")
    found = compare(tmp_path, rentals.filter(is_first), rentals.filter(~is_first))
    columns = {column.name: column for column in found.columns}
    assert columns["registered"].has_moved
    assert not columns["hr"].has_moved
    assert (columns["registered"].distance or 0) > 0.2 > 0.01 > (columns["hr"].distance or 0)


def test_facts_are_those_of_the_whole_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Means, spreads, bounds and missing values, in batches as in one."""
    monkeypatch.setattr(files_module, "_MOST_ROWS", 1_000)
    monkeypatch.setattr("kairos.pipeline.diff.columns.SAMPLED", 500)
    rentals = pl.read_csv(DATA)
    found = compare(tmp_path, rentals, rentals)
    assert found.is_same
    assert found.sampled <= 1_000
    facts = {column.name: column.before for column in found.columns}
    temp, weekday = facts["temp"], facts["weekday"]
    assert temp is not None
    assert weekday is not None
    series = rentals["temp"]
    assert temp.mean == pytest.approx(series.mean())
    assert temp.sd == pytest.approx(series.std(ddof=0))
    assert (temp.least, temp.most) == (series.min(), series.max())
    assert weekday.missing == rentals["weekday"].null_count()
    assert weekday.least is None  # of text nothing is told


def test_schema_changes_are_told_and_values_compared_in_a_common_type(tmp_path: Path) -> None:
    """A whole number that became a fraction is the same value; text beside a number is compared as text."""
    before = pl.DataFrame({"id": [1, 2], "n": [1, 2], "t": ["1", "x"], "gone": [0, 0], "c": ["a", "b"]})
    after = pl.DataFrame({"new": [1, 1], "c": ["a", "b"], "id": [2, 1], "n": [2.0, 1.5], "t": [3, 1]})
    after = after.with_columns(pl.col("c").reverse().cast(pl.Categorical))
    found = compare(tmp_path, before, after, "id")
    assert [(c.name, c.before is None, c.after is None) for c in found.columns if not (c.before and c.after)] == [
        ("new", True, False), ("gone", False, True),
    ]  # fmt: skip
    changed = {column.name: column.changed for column in found.columns}
    assert changed == {"new": None, "c": 0, "id": None, "n": 1, "t": 1, "gone": None}
    assert not found.is_same
    assert not compare(tmp_path, before, before.cast({"n": pl.Float64})).is_same  # the type alone


def test_nested_values_and_times_are_compared_too(tmp_path: Path) -> None:
    """Lists and structs by all that is in them."""
    at = datetime(2011, 1, 1, tzinfo=UTC)
    before = pl.DataFrame({"id": [1, 2, 3], "l": [[1], [2, 3], None], "s": [{"a": 1}] * 3, "at": [at] * 3})
    after = before.with_columns(l=pl.Series([[1], [3, 2], None]))
    found = compare(tmp_path, before, after, "id")
    assert {column.name: column.changed for column in found.columns} == {"id": None, "l": 1, "s": 0, "at": 0}
    facts = found.columns[-1].before
    assert facts is not None
    assert facts.least == "2011-01-01T00:00:00+00:00"
    assert compare(tmp_path, before, before).is_same


def test_all_types_meet_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Parquet keeps: in another order it is the same, as a whole and by any key."""
    monkeypatch.setattr(tables_module, "_parts", lambda *_: 3)
    numbers = range(50)
    before = pl.DataFrame(
        {
            "number": numbers,
            "small": pl.Series(numbers, dtype=pl.UInt8),
            "decimal": [Decimal("1.50") + n for n in numbers],
            "time": [time(n % 24) for n in numbers],
            "bytes": [bytes([n]) for n in numbers],
            "flag": [n % 2 == 0 for n in numbers],
            "length": [timedelta(hours=n) for n in numbers],
            "nothing": [None for _ in numbers],
            "category": pl.Series([str(n % 3) for n in numbers], dtype=pl.Categorical),
            "enum": pl.Series([str(n % 3) for n in numbers], dtype=pl.Enum(["0", "1", "2"])),
            "struct": [{"a": n} for n in numbers],
            "list": [[n] for n in numbers],
        }
    )
    after = before.sample(fraction=1.0, shuffle=True, seed=1)
    for key in ((), ("number",), ("decimal", "time", "bytes", "nothing", "struct"), ("category", "list", "length")):
        assert compare(tmp_path, before, after, *key).is_same
    found = compare(tmp_path, before, after.with_columns(flag=~pl.col("flag")), "bytes")
    assert found.rows == RowCounts(changed=50)


def test_empty_tables_differ_in_nothing(tmp_path: Path) -> None:
    """No rows on either side, or on one."""
    full = pl.DataFrame({"a": [1, 2]})
    assert compare(tmp_path, full.clear(), full.clear(), "a").is_same
    assert compare(tmp_path, full, full.clear()).rows == RowCounts(removed=2)
    assert compare(tmp_path, full.clear(), full, "a").rows == RowCounts(added=2)


def test_the_same_rows_in_other_formats_are_the_same(tmp_path: Path) -> None:
    """CSV, JSON lines, Arrow and Parquet."""
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    frame.write_csv(tmp_path / "t.csv")
    frame.write_ndjson(tmp_path / "t.jsonl")
    frame.write_ipc(tmp_path / "t.arrow")
    first = parquet(tmp_path / "t.parquet", frame)
    for name in ("t.csv", "t.jsonl", "t.arrow"):
        other = TableFiles(name=name, format=format_of(tmp_path / name, name), paths=(tmp_path / name,))
        assert compare_tables(first, other, workdir=tmp_path / f"w-{name}").is_same
        assert format_of(tmp_path / name, "0123abcd") == other.format  # a blob's name says nothing


def test_bad_input_is_named(tmp_path: Path) -> None:
    """A key that is not there, tables with nothing in common, bytes that are no table."""
    one, other = pl.DataFrame({"id": [1], "x": [1]}), pl.DataFrame({"id": [1], "y": [1]})
    with pytest.raises(UsageError, match=r"'x' that only one .*Accepted: id"):
        compare(tmp_path, one, other, "x")
    with pytest.raises(UsageError, match="Did you mean 'id'"):
        compare(tmp_path, one, other, "idd")
    with pytest.raises(UsageError, match="no column in common"):
        compare(tmp_path, one.select("x"), other.select("y"))
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 not really")
    with pytest.raises(StoreError, match=r"bad.parquet cannot be read as Parquet"):
        compare_tables(TableFiles(name="bad.parquet", format="parquet", paths=(bad,)), parquet(tmp_path / "o", one),
                       workdir=tmp_path / "w")  # fmt: skip
    noise = tmp_path / "noise"
    noise.write_bytes(b"\x7fELF\0\0")
    with pytest.raises(StoreError, match="noise is no table"):
        format_of(noise, "noise")
    late = tmp_path / "late.csv"
    late.write_text("id\n" + "1\n" * 20_000 + "x\n")
    with pytest.raises(StoreError, match=r"late.csv cannot be read as CSV"):
        compare_tables(TableFiles(name="late.csv", format="csv", paths=(late,)), parquet(tmp_path / "o", one),
                       workdir=tmp_path / "w2")  # fmt: skip
