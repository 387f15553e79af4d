"""Sources that are given the rows of an origin: what is pulled, what is noticed, and what a row's time means."""

from __future__ import annotations

import gzip
import sqlite3
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from kairos import Files, Rows, Sql
from kairos.clock import ReplayClock
from kairos.errors import BlobDamaged, DataRefused, GraphError, OutputError, UsageError
from kairos.pipeline.artifacts import encode
from kairos.pipeline.frames import decode_frame
from kairos.pipeline.joining import join
from kairos.store import Store
from kairos.values import Window
from tests.pipeline.interfaces import serving
from tests.pipeline.projects import Place, graph_of, statuses

HEAD = """
    import polars as pl
    from kairos import Files, Rows, Sql
"""
RENTALS = (
    HEAD
    + """
    @source(every="7d", reads=Files({place!r}, time="hour"))
    def rentals(rows: Rows) -> pl.DataFrame:
        with open("pulled.txt", "a") as log: print(1, file=log)
        return rows.table()
    @step
    def total(rentals: pl.DataFrame) -> int: return int(rentals["users"].sum())
"""
)
DAYS = [f"2011-01-{day:02}" for day in range(3, 24)]


def pulls(place: Place) -> int:
    """Partitions that were pulled since the last time."""
    log = place.root / "pulled.txt"
    count = len(log.read_text().splitlines()) if log.exists() else 0
    log.unlink(missing_ok=True)
    return count


def write_days(place: Place, days: list[str] = DAYS, users: int = 1) -> None:
    """One CSV file a day, with a row for midnight and one for the last minute."""
    (place.root / "data").mkdir(exist_ok=True)
    for day in days:
        text = f"hour,users\n{day} 00:00:00,{users}\n{day} 23:59:00,{users}\n"
        (place.root / "data" / f"{day}.csv").write_text(text)


def test_a_run_pulls_what_is_new_and_what_was_corrected(place: Place) -> None:
    """By the content of the files that may hold rows of a partition, and of no others."""
    write_days(place, DAYS[:14])
    text = RENTALS.format(place="data/{date}.csv")
    window = Window.parse("2011-01-03..2011-01-16")
    result = place.run(text, window=window)
    assert decode_frame(place.store, result.artifact("rentals"))["users"].sum() == 28
    assert pulls(place) == 2
    assert statuses(place.run(window=window)) == {"rentals": "reused", "total": "reused"}
    write_days(place, DAYS[14:])  # a scheduled run, a week later
    place.run()
    assert pulls(place) == 1
    write_days(place, ["2011-01-04"], users=5)  # a late correction
    result = place.run()
    assert pulls(place) == 1
    assert decode_frame(place.store, result.artifact("rentals"))["users"].sum() == 42 + 8
    assert place.why("rentals")[0].startswith("input rows: 3 partitions ")
    assert set(result.steps[0].plain()["origin"]) == {str(each) for each in place_windows()}


def place_windows() -> list[Window]:
    """The partitions of three weeks."""
    return [Window.parse(f"2011-01-{day:02}..2011-01-{day + 6:02}") for day in (3, 10, 17)]


def test_a_correction_that_changes_no_byte_changes_nothing(place: Place) -> None:
    """Files that are written anew with what they had are the same files."""
    write_days(place)
    place.run(RENTALS.format(place="data/{date}.csv"))
    write_days(place)
    assert statuses(place.run())["rentals"] == "reused"


def test_one_file_of_many_windows_gives_each_its_rows(place: Place) -> None:
    """The column of times decides; together the partitions are the file."""
    write_days(place)
    table = pl.concat([pl.read_csv(place.root / "data" / f"{day}.csv") for day in DAYS])
    with gzip.open(place.root / "all.csv.gz", "wb") as packed:
        packed.write(table.write_csv().encode())
    result = place.run(RENTALS.format(place="all.csv.gz"))
    assert decode_frame(place.store, result.artifact("rentals")).equals(table)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "arrow"])
def test_all_formats_are_read(tmp_path: Path, ending: str) -> None:
    """A row at the start of a window is its own; one at its end is the next one's."""
    table = pl.DataFrame({"at": [date(2011, 1, 3), date(2011, 1, 4)], "users": [1, 2]}).cast({"at": pl.Datetime})
    write = {"csv": "write_csv", "jsonl": "write_ndjson", "parquet": "write_parquet", "arrow": "write_ipc"}
    getattr(table, write[ending])(tmp_path / f"a.{ending}")
    reader = Files(f"a.{ending}", time="at", types={"users": pl.Int32}).reader(tmp_path)
    first, second = (
        pl.concat(list(reader.batches(Window.parse(f"2011-01-0{day}..2011-01-0{day}"), None))) for day in (3, 4)
    )
    assert (first["users"].to_list(), second["users"].to_list()) == ([1], [2])
    assert first.schema["users"] == pl.Int32


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "arrow"])
def test_a_type_of_a_column_that_a_file_lacks_is_told(tmp_path: Path, ending: str) -> None:
    """A typing error there would leave the column with another type than was asked for."""
    write = {"csv": "write_csv", "jsonl": "write_ndjson", "parquet": "write_parquet", "arrow": "write_ipc"}
    getattr(pl.DataFrame({"users": [1, 2]}), write[ending])(tmp_path / f"a.{ending}")
    reader = Files(f"a.{ending}", types={"usres": pl.Int32}).reader(tmp_path)
    with pytest.raises(DataRefused, match=r"types= names columns that 'a\..*' does not have.*usres"):
        list(reader.batches(Window.parse("2011-01-03..2011-01-03"), None))


def test_no_row_is_lost_or_read_twice_when_the_clocks_change(tmp_path: Path) -> None:
    """Files by the local day and hour, whose days have 23 and 25 hours, pulled by days of UTC."""
    berlin = ZoneInfo("Europe/Berlin")
    for day, hours in (("2011-03-27", 23), ("2011-10-30", 25)):
        midnight = datetime.fromisoformat(day).replace(tzinfo=berlin).astimezone(UTC)
        moments = [midnight + timedelta(minutes=30 * i) for i in range(-48, 2 * hours + 48)]
        for pattern, length in (("{date}", 10), ("{date}T{hour}", 13)):
            folder = tmp_path / day / str(length)
            folder.mkdir(parents=True)
            named: dict[str, list[str]] = {}
            for moment in moments:
                local = moment.astimezone(berlin)
                named.setdefault(local.isoformat()[:length], []).append(f"{local:%Y-%m-%dT%H:%M:%S},{moment}")
            for name, lines in named.items():
                (folder / f"{name}.csv").write_text("\n".join(["at,moment", *lines]))
            for time in ("at", None):
                origin = Files(f"{folder}/{pattern}.csv", time=time, zone="Europe/Berlin", types={"at": pl.String})
                reader = origin.reader(tmp_path)
                start = midnight.replace(hour=0) - timedelta(days=2)
                found = [
                    row
                    for window in Window(start, start + timedelta(days=6)).split(timedelta(days=1))
                    for batch in reader.batches(window, None)
                    for row in batch.get_column("moment").to_list()
                ]
                assert sorted(found) == [str(moment) for moment in moments]


def test_a_file_that_comes_late_is_noticed(place: Place) -> None:
    """A window without its file has no rows; a partition that has none is left out."""
    write_days(place, DAYS[:7])
    result = place.run(RENTALS.format(place="data/{date}.csv"))
    assert result.artifact("rentals").meta["rows"] == 14
    pulls(place)
    write_days(place, DAYS[7:8])
    assert place.run().artifact("rentals").meta["rows"] == 16
    assert pulls(place) == 1


def test_a_place_where_nothing_is_is_no_empty_table(place: Place) -> None:
    """A wrong name would otherwise train a model on nothing."""
    result = place.run(RENTALS.format(place="nowhere/{date}.csv"))
    assert result.failure is not None
    assert result.failure.message.startswith("The origin of source 'rentals' has no data at all.")


def test_rows_without_a_time_are_refused(place: Place) -> None:
    """No window is theirs, and they are not left out without a word."""
    (place.root / "a.csv").write_text("hour,users\n2011-01-03 00:00:00,1\n,2\n")
    result = place.run(RENTALS.format(place="a.csv"))
    assert result.failure is not None
    assert "1 rows of 'a.csv' have no 'hour'" in result.failure.message


def test_data_that_change_while_they_are_read_are_pulled_again(place: Place) -> None:
    """They are used, under a watermark that no origin tells."""
    write_days(place, DAYS[:7])
    text = RENTALS.format(place="data/{date}.csv").replace(
        "return rows.table()",
        "table = rows.table(); open('data/2011-01-03.csv', 'a').write('2011-01-03 01:00:00,1\\n'); return table",
    )
    window = Window.parse("2011-01-03..2011-01-09")
    place.run(text, window=window)
    place.write(RENTALS.format(place="data/{date}.csv"))
    assert statuses(place.run(window=window))["rentals"] == "ran"
    assert statuses(place.run(window=window))["rentals"] == "reused"


def test_rows_are_stored_without_being_held(place: Place) -> None:
    """What is returned in batches is the table that it would be otherwise; its bytes depend on the rows alone."""
    write_days(place)
    text = (
        HEAD
        + """
    @source(reads=Files("data/{date}.csv", time="hour"))
    def rentals(rows: Rows) -> Rows: return rows.map(lambda batch: batch.with_columns(double=pl.col("users") * 2))
    """
    )
    artifact = place.run(text).artifact("rentals")
    assert artifact.meta == {"rows": 42, "columns": ["hour", "users", "double"]}
    assert decode_frame(place.store, artifact)["double"].to_list() == [2] * 42


def test_equal_rows_in_other_batches_give_equal_bytes(tmp_path: Path) -> None:
    """So a source whose origin sends pieces of another size stops the run from going further."""
    table = pl.DataFrame({"n": range(250_000)}).with_columns(text=pl.col("n").cast(pl.String))
    found = set()
    for size in (999, 100_000, 250_000):
        path = tmp_path / f"{size}.parquet"
        Rows(lambda size=size: table.iter_slices(size)).write(path)  # type: ignore[misc]
        found.add(path.read_bytes())
        assert pl.read_parquet(path).equals(table)
    assert len(found) == 1


def test_many_rows_are_joined_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The partitions' rows in their order; a partition that says nothing is left out, one that differs is refused."""
    store = Store(tmp_path / "store")
    tables = [pl.DataFrame({"n": range(start, start + 60_000)}) for start in (0, 60_000)]
    nothing = encode(store, Rows(lambda: iter(())), name="rentals")
    parts = [encode(store, tables[0], name="rentals"), nothing, encode(store, tables[1], name="rentals")]
    few = join(store, parts, name="rentals", workdir=tmp_path)
    monkeypatch.setattr("kairos.pipeline.joining._MANY_ROWS", 1)
    many = join(store, parts, name="rentals", workdir=tmp_path)
    for artifact in (few, many):
        assert decode_frame(store, artifact)["n"].to_list() == list(range(120_000))
    other = encode(store, pl.DataFrame({"n": ["many"]}), name="rentals")
    with pytest.raises(OutputError, match="cannot be put below each other"):
        join(store, [*parts, other], name="rentals", workdir=tmp_path)
    store.path(parts[0].digest).chmod(0o644)
    store.path(parts[0].digest).write_bytes(b"damaged")
    with pytest.raises(BlobDamaged):
        join(store, parts, name="rentals", workdir=tmp_path)


def make_trips(file: Path) -> sqlite3.Connection:
    """A table of trips in SQLite, one an hour for three weeks."""
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE trips (ended_at TEXT, users INTEGER, updated_at TEXT)")
    start = datetime.fromisoformat("2011-01-03")
    rows = [(str(start + timedelta(hours=i)), i, str(start + timedelta(hours=i))) for i in range(21 * 24)]
    connection.executemany("INSERT INTO trips VALUES (?, ?, ?)", rows)
    connection.commit()
    return connection


TRIPS = (
    HEAD
    + """
    TRIPS = Sql("sqlite:///trips.db", "SELECT * FROM trips WHERE ended_at >= :start AND ended_at < :end", {options})
    @source(every="7d", reads=TRIPS)
    def trips(rows: Rows) -> Rows: return rows
"""
)


@pytest.mark.parametrize(
    "options",
    [
        "updated='updated_at'",
        "watermark='SELECT sum(users * rowid) FROM trips WHERE ended_at >= :start AND ended_at < :end'",
    ],
)
def test_a_row_that_is_corrected_in_a_database_is_noticed(place: Place, options: str) -> None:
    """By the time of its last change, or by a checksum; the other partitions are left alone."""
    connection = make_trips(place.root / "trips.db")
    result = place.run(TRIPS.format(options=options))
    assert result.failure is None
    assert decode_frame(place.store, result.artifact("trips"))["users"].to_list() == list(range(21 * 24))
    assert statuses(place.run()) == {"trips": "reused"}
    connection.execute("UPDATE trips SET users = 999, updated_at = '2011-02-01' WHERE users = 200")
    connection.commit()
    connection.close()
    result = place.run()
    assert [event.parts for event in place.events if event.what == "ran"] == [1]
    assert decode_frame(place.store, result.artifact("trips"))["users"].to_list()[200] == 999


def test_a_query_that_does_not_bind_its_window_is_refused() -> None:
    """Each partition would have all rows."""
    with pytest.raises(GraphError, match="query does not bind :start and :end"):
        Sql("sqlite:///x.db", "SELECT * FROM trips")


def test_an_edge_that_a_naive_column_cannot_name_is_refused(tmp_path: Path) -> None:
    """02:30 comes twice on that day in Berlin."""
    make_trips(tmp_path / "trips.db").close()
    query = "SELECT * FROM trips WHERE ended_at >= :start AND ended_at < :end"
    reader = Sql("sqlite:///trips.db", query, zone="Europe/Berlin").reader(tmp_path)
    with pytest.raises(UsageError, match="the hour that a clock shows twice"):
        list(reader.batches(Window.parse("2011-10-30T00:30..2011-10-31"), None))
    (table,) = reader.batches(Window.parse("2011-01-03..2011-01-03"), None)
    assert table["ended_at"][0] == "2011-01-03 01:00:00"


def test_a_watermark_is_not_believed_to_settle_what_a_wrong_clock_pulled(place: Place) -> None:
    """Without a watermark, a pull of the future is one by a clock that was wrong; it is not taken for settled."""
    text = "@source(settles_after='1d')\ndef raw(window: Window) -> str: return str(window)"
    now = place.clock.now()
    place.clock.move_to(now + timedelta(days=365))
    place.run(text)
    place.clock = ReplayClock(now)
    assert statuses(place.run()) == {"raw": "ran"}
    assert statuses(place.run()) == {"raw": "reused"}


def test_what_cannot_be_partitioned_is_refused(tmp_path: Path) -> None:
    """Each partition would have all rows."""
    text = HEAD + "    @source(every='7d', reads=Files('a.csv'))\n    def raw(rows: Rows) -> pl.DataFrame: ...\n"
    with pytest.raises(GraphError, match="its origin gives all rows to each of them"):
        graph_of(tmp_path, text)


def test_a_source_and_its_origin_have_to_fit(tmp_path: Path) -> None:
    """The message says what to write."""
    for text, message in (
        ("@source(reads=Files('a.csv'))\ndef raw(window): ...", "one positional parameter, 'rows'"),
        ("@source\ndef raw(rows): ...", "Write @source\\(reads=Files"),
        ("@source(reads=Files('a.csv'), files=['a.csv'])\ndef raw(rows): ...", "both reads= and files="),
    ):
        with pytest.raises(GraphError, match=message):
            graph_of(tmp_path, "from kairos import Files\n" + text)
    with pytest.raises(GraphError, match="cannot tell the format"):
        Files("a.bin")
    with pytest.raises(GraphError, match="no such time zone"):
        Files("a.csv", zone="Europe/Atlantis")


PACED = """
    import os
    import polars as pl
    from kairos import Http, Rows
    ASKED = {{"from": "{{start}}", "to": "{{end}}"}}
    @source(every="1d", reads=Http({url!r}, params=ASKED, rows="data.items", rate=25))
    def rentals(rows: Rows) -> pl.DataFrame:
        with open("workers.txt", "a") as log: print(os.getpid(), file=log)
        return rows.table()
"""


def test_workers_that_pull_at_once_keep_one_rate_together(place: Place) -> None:
    """25 calls a second are that many of the whole run, not of each of its processes."""
    with serving() as interface:
        interface.rows = [{"at": f"{day}T0{hour}:00:00Z", "users": hour} for day in DAYS[:12] for hour in (1, 2)]
        result = place.run(PACED.format(url=f"{interface.url}/rows"), window=Window.parse("2011-01-03..2011-01-14"))
        assert result.ok
        assert len(set((place.root / "workers.txt").read_text().split())) > 1
        asked_s = interface.asked_s
    assert len(asked_s) == 12
    assert asked_s[-1] - asked_s[0] >= 11 / 25 - 0.03  # the first may have been a little late on its way


def test_a_folder_as_a_place_is_told_how_to_write_its_files(tmp_path: Path) -> None:
    """With the slash at its end or without, the pattern that is proposed is the same."""
    from kairos.pipeline.origins.local import _Folder

    (tmp_path / "months").mkdir()
    for place in ("months", "months/"):
        with pytest.raises(UsageError, match=r"Write 'months/\*'"):
            _Folder(tmp_path).stamps([place])
