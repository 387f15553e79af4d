"""Origins behind outside libraries, each the real one: addresses through fsspec, interfaces through httpx, DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import polars as pl
import pytest

from kairos import Files, Http, Sql
from kairos.errors import AdapterError, DataRefused
from kairos.pipeline.origins import patience
from kairos.pipeline.origins.rows import Rows
from kairos.pipeline.ports import Reader
from kairos.values import Window
from tests.pipeline.interfaces import Interface, serving

DAY = Window.parse("2011-01-03..2011-01-03")
NEXT = Window.parse("2011-01-04..2011-01-04")


@pytest.fixture
def interface() -> Iterator[Interface]:
    """A server that has rows and files."""
    with serving() as made:
        yield made


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again at once."""
    monkeypatch.setattr(patience, "_FIRST_WAIT_S", 0.0)


def table(reader: Reader, window: Window = DAY) -> pl.DataFrame:
    """All rows of a window."""
    return Rows(lambda: reader.batches(window, None)).table()


def texts(reader: Reader, *windows: Window) -> list[str]:
    """Watermarks."""
    return [mark.text for mark in reader.marks(windows) if mark is not None]


def rows_of(interface: Interface, count: int = 5) -> Http:
    """An interface whose rows are asked for page by page."""
    interface.rows = [{"at": f"2011-01-03T{hour:02}:00:00Z", "users": hour} for hour in range(count)]
    return Http(
        f"{interface.url}/rows",
        params={"from": "{start}", "to": "{end}"},
        rows="data.items",
        next="next",
        cursor="page",
        watermark="version",
        timeout="1s",
    )


@pytest.mark.parametrize("how", ["cursor", "link"])
def test_pages_of_an_interface_follow_each_other(interface: Interface, tmp_path: Path, how: str) -> None:
    """By a cursor in the answer, or by its header Link; the window is in the request."""
    origin = rows_of(interface)
    if how == "link":
        origin = Http(origin.url, params=origin.params, rows=origin.rows, next="link")
    assert table(origin.reader(tmp_path))["users"].to_list() == [0, 1, 2, 3, 4]
    assert len(interface.asked) == 3
    assert "from=2011-01-03T00%3A00%3A00Z&to=2011-01-04T00%3A00%3A00Z" in interface.asked[0]


def test_what_passes_is_tried_again(interface: Interface, tmp_path: Path) -> None:
    """A server that is busy, one that breaks, and one that does not answer in time; page by page."""
    origin = rows_of(interface)
    interface.troubles = [503, 429, 0]
    assert table(origin.reader(tmp_path)).height == 5
    assert len(interface.asked) == 6
    interface.troubles = [404]
    with pytest.raises(AdapterError, match="refused a source's request"):
        table(origin.reader(tmp_path))
    interface.troubles = [500] * 9
    with pytest.raises(AdapterError, match="HTTP 500"):
        table(origin.reader(tmp_path))
    assert len(interface.troubles) == 5


def test_an_interface_tells_its_watermark_or_nothing(interface: Interface, tmp_path: Path) -> None:
    """From the answer that is declared."""
    origin = rows_of(interface)
    before = texts(origin.reader(tmp_path), DAY)
    interface.version = "2"
    assert texts(origin.reader(tmp_path), DAY) != before
    assert Http(origin.url, params=origin.params).reader(tmp_path).marks([DAY]) == [None]


def test_a_token_goes_to_its_own_host_only(interface: Interface, tmp_path: Path) -> None:
    """An answer cannot send the credentials elsewhere."""
    origin = rows_of(interface)
    interface.files["/a"] = b'{"next": "http://localhost:1/steal", "data": {"items": [{"a": 1}]}}'
    reader = Http(f"{interface.url}/a", rows="data.items", next="next").reader(tmp_path)
    with pytest.raises(DataRefused, match="at another host"):
        table(reader)
    assert origin.headers == {}


def test_later_pages_have_the_types_of_the_first(interface: Interface, tmp_path: Path) -> None:
    """A number that became text is refused by name."""
    origin = rows_of(interface)
    interface.rows[3]["users"] = "many"
    with pytest.raises(DataRefused, match="do not fit the types"):
        table(origin.reader(tmp_path))


def test_columns_that_types_does_not_name_are_there(interface: Interface, tmp_path: Path) -> None:
    """Those that are named come first, also where no row has them; the first page settles the others."""
    origin = replace(rows_of(interface), types={"users": pl.Float64, "note": pl.String})
    found = table(origin.reader(tmp_path))
    assert found.schema == {"users": pl.Float64, "note": pl.String, "at": pl.String}
    assert found["users"].to_list() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert found["note"].null_count() == 5


@pytest.mark.parametrize("types", [{}, {"at": pl.String}])
def test_a_field_that_only_later_pages_have_is_told(
    interface: Interface, tmp_path: Path, types: dict[str, type[pl.DataType]]
) -> None:
    """It would be left out, or the pages differ; its name is what to write."""
    origin = replace(rows_of(interface), types=types)
    interface.rows[4]["late"] = "x"
    with pytest.raises(DataRefused, match=r"fields that the first page lacks.*late.*types=\{'late'"):
        table(origin.reader(tmp_path))
    named = replace(origin, types={"late": pl.String})
    assert table(named.reader(tmp_path))["late"].to_list() == [None] * 4 + ["x"]


LOST: dict[str, tuple[object, object, object]] = {
    "a fraction": (1, 2.5, pl.Int64),
    "a fraction in a list": ([1], [2.5], pl.List(pl.Int64)),
    "a field of an object": ({"x": 1}, {"x": 2, "y": 3}, pl.Struct({"x": pl.Int64})),
    "a field of an object in a list": ([{"x": 1}], [{"y": 3}], pl.List(pl.Struct({"x": pl.Int64}))),
    "a list where a number was": (1, [2], pl.Int64),
}
"""A value of the first page, one of the last page, and a type that does not hold both."""


@pytest.mark.parametrize("is_declared", [False, True])
@pytest.mark.parametrize("lost", LOST)
def test_no_part_of_a_value_is_left_out(interface: Interface, tmp_path: Path, lost: str, is_declared: bool) -> None:
    """Whether the type was declared or is that of the first page; Polars alone would cut it."""
    first, last, dtype = LOST[lost]
    origin = replace(rows_of(interface), types={"value": dtype} if is_declared else {})
    for row in interface.rows:
        row["value"] = first
    interface.rows[4]["value"] = last
    with pytest.raises(DataRefused, match="do not fit the types"):
        table(origin.reader(tmp_path))


def test_values_that_a_type_holds_are_taken(interface: Interface, tmp_path: Path) -> None:
    """Whole numbers that come as fractions or the reverse, times as text, and nothing at all."""
    types = {"whole": pl.Int32, "part": pl.Float64, "at": pl.Datetime("us", "UTC"), "code": pl.String}
    origin = replace(rows_of(interface), types=types)
    for i, row in enumerate(interface.rows):
        row |= {"whole": 2.0 if i == 4 else i, "part": i if i else 0.5, "code": 7, "deep": {"x": i or None}}
    interface.rows[2]["part"] = None
    found = table(origin.reader(tmp_path))
    assert found["whole"].to_list() == [0, 1, 2, 3, 2]
    assert found["part"].to_list() == [0.5, 1.0, None, 3.0, 4.0]
    assert found["at"][1] == datetime(2011, 1, 3, 1, tzinfo=UTC)
    assert found["code"].to_list() == ["7"] * 5
    assert found["deep"].to_list()[1] == {"x": 1}


def test_files_behind_an_address_are_pulled_when_they_change(interface: Interface, tmp_path: Path) -> None:
    """Over HTTP, by their ETag; a file that is not there has no rows."""
    interface.files["/2011-01-03.csv"] = b"at,users\n2011-01-03T05:00:00,7\n"
    origin = Files(f"{interface.url}/{{date}}.csv", time="at")
    reader = origin.reader(tmp_path)
    first, missing = texts(reader, DAY, NEXT)
    assert table(reader)["users"].to_list() == [7]
    assert table(reader, NEXT).width == 0
    interface.files["/2011-01-03.csv"] = b"at,users\n2011-01-03T05:00:00,8\n"
    corrected, still_missing = texts(origin.reader(tmp_path), DAY, NEXT)
    assert corrected != first
    assert still_missing == missing
    assert table(reader)["users"].to_list() == [8]


def test_any_file_system_of_fsspec_is_read(tmp_path: Path) -> None:
    """With patterns, and compressed."""
    system = fsspec.filesystem("memory")
    for hour in (1, 2):
        with system.open(f"/kairos-test/2011/01/03/{hour}.jsonl.gz", "wb", compression="gzip") as file:
            file.write(f'{{"users": {hour}}}\n'.encode())
    reader = Files("memory://kairos-test/{year}/{month}/{day}/*.jsonl.gz").reader(tmp_path)
    assert table(reader)["users"].to_list() == [1, 2]
    before = texts(reader, DAY, NEXT)
    system.rm("/kairos-test/2011/01/03/2.jsonl.gz")
    after = texts(reader, DAY, NEXT)
    assert before[0] != after[0]
    assert before[1] == after[1]
    system.rm("/kairos-test", recursive=True)


def duck(file: Path, rows: int = 25_000) -> Any:
    """A table of DuckDB with a row every second, and a column that is blank at first."""
    connection = duckdb.connect(str(file))
    connection.execute(
        "CREATE TABLE trips AS SELECT TIMESTAMPTZ '2011-01-03 00:00:00+00' + to_seconds(i) AS ended, i AS users, "
        "CASE WHEN i > 20000 THEN 'x' END AS note, CAST(i AS DECIMAL(9,2)) AS fee, "
        f"now() AS updated FROM range({rows}) AS t(i)"
    )
    return connection


def test_rows_of_duckdb_have_the_types_of_their_columns(tmp_path: Path) -> None:
    """Also where the first batches are blank; the window is bound."""
    duck(tmp_path / "trips.duckdb").close()
    query = "SELECT ended, users, note, fee FROM trips WHERE ended >= :start AND ended < :end ORDER BY ended"
    reader = Sql("duckdb:///trips.duckdb", query).reader(tmp_path)
    found = table(reader)
    assert found.schema == {
        "ended": pl.Datetime("us", "UTC"),
        "users": pl.Int64,
        "note": pl.String,
        "fee": pl.Float64,
    }
    assert found["users"].to_list() == list(range(25_000))
    assert found["ended"][0] == datetime(2011, 1, 3, tzinfo=UTC)
    hour = Window(DAY.start, DAY.start + timedelta(hours=1))
    assert table(reader, hour).height == 3600
    assert table(reader, Window.parse("2012-01-01..2012-01-01")).schema == found.schema


def test_a_row_that_duckdb_corrected_is_noticed(tmp_path: Path) -> None:
    """In its own window."""
    connection = duck(tmp_path / "trips.duckdb", rows=2 * 86400)
    connection.close()
    query = "SELECT * FROM trips WHERE ended >= :start AND ended < :end"
    reader = Sql("duckdb:///trips.duckdb", query, updated="updated").reader(tmp_path)
    before = texts(reader, DAY, NEXT)
    connection = duckdb.connect(str(tmp_path / "trips.duckdb"))
    connection.execute("UPDATE trips SET users = 0, updated = now() + INTERVAL 1 DAY WHERE users = 5")
    connection.close()
    after = texts(reader, DAY, NEXT)
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_a_mistake_in_a_query_is_told_and_not_tried_again(tmp_path: Path) -> None:
    """With what the database says."""
    duck(tmp_path / "trips.duckdb", rows=1).close()
    reader = Sql("duckdb:///trips.duckdb", "SELECT nothing FROM trips WHERE ended >= :start AND ended < :end").reader(
        tmp_path
    )
    with pytest.raises(AdapterError, match='"nothing"'):
        table(reader)
