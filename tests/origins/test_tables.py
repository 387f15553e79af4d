"""Delta Lake and Iceberg tables, pinned to a version: the real libraries write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import deltalake
import polars as pl
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.expressions import EqualTo

from kairos import Delta, Iceberg
from kairos.errors import AdapterError
from kairos.pipeline.origins.declared import Origin
from kairos.pipeline.ports import Mark, Reader
from kairos.values import Window

DAY = Window.parse("2011-01-03..2011-01-03")
NEXT = Window.parse("2011-01-04..2011-01-04")


def day(number: int, users: int = 1) -> pl.DataFrame:
    """A row for each hour of a day in January 2011."""
    start = datetime(2011, 1, number, tzinfo=UTC)
    return pl.DataFrame({"at": [start + timedelta(hours=i) for i in range(24)], "users": [users] * 24})


def delta_table(folder: Path) -> tuple[Origin, Callable[[pl.DataFrame], None], Callable[[int], None]]:
    """An origin, what appends to it, and what removes the rows of a number of users."""
    place = folder / "trips"
    return (
        Delta("trips", time="at"),
        lambda table: table.write_delta(str(place), mode="append"),
        lambda users: deltalake.DeltaTable(str(place)).delete(f"users = {users}") and None,
    )


def iceberg_table(folder: Path) -> tuple[Origin, Callable[[pl.DataFrame], None], Callable[[int], None]]:
    """The same of a table in a catalogue of SQLite."""
    properties = {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"}
    (folder / "warehouse").mkdir()
    catalog = load_catalog("kairos", **properties)
    catalog.create_namespace("bikes")
    made = catalog.create_table("bikes.trips", schema=day(3).to_arrow().schema)
    return (
        Iceberg("bikes.trips", time="at", catalog=properties),
        lambda table: made.append(table.to_arrow()),
        lambda users: made.delete(EqualTo("users", users)),
    )


def marks(reader: Reader) -> list[Mark]:
    """Watermarks of two days."""
    return [mark for mark in reader.marks([DAY, NEXT]) if mark is not None]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [delta_table, iceberg_table], ids=["delta", "iceberg"])
def test_a_commit_changes_the_watermarks_of_its_own_windows(
    make: Callable[[Path], tuple[Origin, Callable[[pl.DataFrame], None], Callable[[int], None]]], tmp_path: Path
) -> None:
    """And a read at the version before it gives what was there then."""
    origin, append, remove = make(tmp_path)
    append(day(3))
    append(day(4, users=2))
    reader = origin.reader(tmp_path)
    first = marks(reader)
    assert sum(batch.height for batch in reader.batches(DAY, first[0].pin)) == 24
    append(day(3, users=5))
    second = marks(reader)
    assert first[0].text != second[0].text
    assert first[1].text == second[1].text
    assert first[1].pin != second[1].pin
    for mark, expected in ((first[0], [1] * 24), (second[0], [1] * 24 + [5] * 24)):
        rows = pl.concat(list(reader.batches(DAY, mark.pin)))
        assert sorted(rows["users"].to_list()) == expected
    remove(5)
    assert marks(reader)[0].text != second[0].text
    assert sum(batch.height for batch in reader.batches(DAY, marks(reader)[0].pin)) == 24
    hour = Window(DAY.start + timedelta(hours=1), DAY.start + timedelta(hours=3))
    found = pl.concat(list(reader.batches(hour, marks(reader)[0].pin)))
    assert [at.hour for at in found["at"]] == [1, 2]


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    """It is not tried again."""
    with pytest.raises(AdapterError, match="no Delta table"):
        Delta("nowhere", time="at").reader(tmp_path).marks([DAY])
    properties = {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db"}
    load_catalog("kairos", **properties)
    with pytest.raises(AdapterError, match="no such Iceberg table"):
        Iceberg("bikes.nothing", time="at", catalog=properties).reader(tmp_path).marks([DAY])
