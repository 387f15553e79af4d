"""Rows of real servers: their types, their windows, corrections and failures, and the memory that they take."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import psycopg
import pymysql
import pytest

from kairos import Sql
from kairos.errors import AdapterError
from kairos.pipeline.origins import patience
from kairos.pipeline.origins.rows import Rows
from kairos.pipeline.origins.secrets import redacted
from kairos.pipeline.ports import Reader
from kairos.values import Window
from tests.origins.conftest import PASSWORD, USER, postgres_dsn

DAY = Window.parse("2011-01-03..2011-01-03")
NEXT = Window.parse("2011-01-04..2011-01-04")
QUERY = "SELECT * FROM trips WHERE at >= :start AND at < :end ORDER BY id"
POSTGRES_TABLE = """
    DROP TABLE IF EXISTS trips;
    CREATE TABLE trips (id bigint, at timestamptz, day date, fee numeric(9,2), note text, extra jsonb, ok boolean,
                        updated_at timestamptz);
    INSERT INTO trips SELECT i, timestamptz '2011-01-03 00:00Z' + i * interval '4 seconds', '2011-01-03', i / 100.0,
        CASE WHEN i > 15000 THEN 'x' END, '{"a": 1}', true, timestamptz '2011-02-01 00:00Z'
        FROM generate_series(0, 43199) i;
"""


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAIROS_TEST_PASSWORD", "s3cr%2Fet%40of-ann")
    monkeypatch.setattr(patience, "_FIRST_WAIT_S", 0.0)


def table(reader: Reader, window: Window = DAY) -> pl.DataFrame:
    """All rows of a window."""
    return Rows(lambda: reader.batches(window, None)).table()


def texts(reader: Reader) -> list[str]:
    """Watermarks of two days."""
    return [mark.text for mark in reader.marks([DAY, NEXT]) if mark is not None]


def port_of(address: str) -> str:
    """The server's port."""
    return address.partition(":")[2].partition("/")[0]


def test_rows_of_postgresql_have_the_types_of_their_columns(postgres: str, tmp_path: Path) -> None:
    """Also where the first batches are blank, and where there are no rows at all."""
    with psycopg.connect(postgres_dsn(port_of(postgres))) as connection:
        connection.execute(POSTGRES_TABLE)
    reader = Sql(f"postgresql://{USER}:$KAIROS_TEST_PASSWORD@{postgres}", QUERY).reader(tmp_path)
    found = table(reader)
    assert found.schema == {
        "id": pl.Int64,
        "at": pl.Datetime("us", "UTC"),
        "day": pl.Date,
        "fee": pl.Float64,
        "note": pl.String,
        "extra": pl.String,
        "ok": pl.Boolean,
        "updated_at": pl.Datetime("us", "UTC"),
    }
    assert found["id"].to_list() == list(range(21_600))
    assert found.row(1)[:6] == (1, datetime(2011, 1, 3, 0, 0, 4, tzinfo=UTC), date(2011, 1, 3), 0.01, None, '{"a": 1}')
    assert table(reader, NEXT)["id"].to_list() == list(range(21_600, 43_200))
    assert table(reader, Window.parse("2012-01-01..2012-01-01")).schema == found.schema


def test_a_correction_in_postgresql_is_noticed(postgres: str, tmp_path: Path) -> None:
    """By ``updated``, and by a checksum of the partition."""
    address = f"postgresql://{USER}:$KAIROS_TEST_PASSWORD@{postgres}"
    by_time = Sql(address, QUERY, updated="updated_at").reader(tmp_path)
    checksum = "SELECT md5(string_agg(fee::text, ',' ORDER BY id)) FROM trips WHERE at >= :start AND at < :end"
    by_sum = Sql(address, QUERY, watermark=checksum).reader(tmp_path)
    with psycopg.connect(postgres_dsn(port_of(postgres)), autocommit=True) as connection:
        connection.execute(POSTGRES_TABLE)
        before = texts(by_time), texts(by_sum)
        assert before == (texts(by_time), texts(by_sum))
        connection.execute("UPDATE trips SET fee = fee + 1, updated_at = now() WHERE id = 5")
        after = texts(by_time), texts(by_sum)
    for was, now in zip(before, after, strict=True):
        assert was[0] != now[0]
        assert was[1] == now[1]


def test_a_connection_that_is_lost_in_the_middle_begins_anew(postgres: str, tmp_path: Path) -> None:
    """No row is there twice."""
    with psycopg.connect(postgres_dsn(port_of(postgres)), autocommit=True) as connection:
        connection.execute(POSTGRES_TABLE)
        origin = Sql(f"postgresql://{USER}:$KAIROS_TEST_PASSWORD@{postgres}", QUERY)
        reader = origin.reader(tmp_path)
        killed = threading.Event()

        def change(batch: pl.DataFrame) -> pl.DataFrame:
            if batch["id"][0] == 10_000 and not killed.is_set():
                killed.set()
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                    " AND backend_type = 'client backend'"
                )
            return batch

        whole = Window.parse("2011-01-03..2011-01-04")
        rows = Rows(lambda: reader.batches(whole, None), origin.patience()).map(change)
        count, _ = rows.write(tmp_path / "rows.parquet")
    assert killed.is_set()
    assert count == 43_200
    assert pl.read_parquet(tmp_path / "rows.parquet")["id"].to_list() == list(range(43_200))


def test_a_query_that_takes_too_long_is_ended(postgres: str, tmp_path: Path) -> None:
    """By the server, after the time-out."""
    query = "SELECT 1 AS a FROM pg_sleep(20) WHERE cast(:start AS timestamptz) < cast(:end AS timestamptz)"
    origin = Sql(f"postgresql://{USER}:$KAIROS_TEST_PASSWORD@{postgres}", query, timeout="1s", tries=1)
    with pytest.raises(AdapterError, match="timeout"):
        table(origin.reader(tmp_path))


def test_a_wrong_password_is_not_repeated(postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the message nor in what stands behind it."""
    monkeypatch.setenv("KAIROS_TEST_PASSWORD", "wr0ng-of-ann")
    reader = Sql(f"postgresql://{USER}:$KAIROS_TEST_PASSWORD@{postgres}", QUERY, updated="at", tries=1).reader(tmp_path)
    with pytest.raises(AdapterError, match="password authentication failed") as caught:
        reader.marks([DAY])
    assert "wr0ng" not in str(caught.value)
    assert PASSWORD not in redacted(f"the right one was {PASSWORD}") or "wr0ng" not in redacted("wr0ng-of-ann")


MEMORY = """
import resource, sys
from pathlib import Path
from kairos import Rows, Sql
from kairos.values import Window
origin = Sql(sys.argv[1], "SELECT i, md5(i::text) AS text FROM generate_series(1, " + sys.argv[2] + ") i "
    "WHERE cast(:start AS timestamptz) < cast(:end AS timestamptz)")
reader = origin.reader(Path("."))
count, _ = Rows(lambda: reader.batches(Window.parse("2011-01-03..2011-01-03"), None)).write(Path(sys.argv[3]))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_rows(postgres: str, tmp_path: Path) -> None:
    """Ten times the rows take about as much."""
    used = []
    for rows in (100_000, 1_500_000):
        command = [sys.executable, "-c", MEMORY, f"postgresql://{USER}:$KAIROS_TEST_PASSWORD@{postgres}"]
        done = subprocess.run([*command, str(rows), tmp_path / "a.parquet"], capture_output=True, text=True, check=True)
        count, megabytes = map(int, done.stdout.split())
        assert count == rows
        used.append(megabytes)
    assert used[1] < used[0] + 60, used  # all rows as Python's tuples would be 250 MB more
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0


MARIADB_ROWS = (
    "INSERT INTO trips SELECT seq, '2011-01-03' + INTERVAL seq MINUTE, seq / 100, NULL, '2011-02-01' FROM seq_0_to_2879"
)


def test_rows_of_mariadb(mariadb: str, tmp_path: Path) -> None:
    """Types, windows of naive times in their zone, corrections."""
    host, _, rest = mariadb.partition(":")
    port = int(rest.partition("/")[0])
    address = f"mariadb://{USER}:$KAIROS_TEST_PASSWORD@{mariadb}"
    reader = Sql(address, QUERY, updated="updated_at").reader(tmp_path)
    with pymysql.connect(host=host, port=port, user=USER, password=PASSWORD, database="bikes", autocommit=True) as link:
        cursor = link.cursor()
        cursor.execute(
            "CREATE TABLE trips (id bigint, at datetime, fee decimal(9,2), note varchar(9), updated_at datetime)"
        )
        cursor.execute(MARIADB_ROWS)
        found = table(reader)
        before = texts(reader)
        cursor.execute("UPDATE trips SET fee = 0, updated_at = now() WHERE id = 5")
        after = texts(reader)
    assert found.schema == {
        "id": pl.Int64,
        "at": pl.Datetime("us"),
        "fee": pl.Float64,
        "note": pl.String,
        "updated_at": pl.Datetime("us"),
    }
    assert found["id"].to_list() == list(range(1440))
    assert (before[0] == after[0], before[1] == after[1]) == (False, True)
    in_berlin = Sql(address, QUERY, zone="Europe/Berlin").reader(tmp_path)
    assert table(in_berlin)["id"].to_list() == list(range(60, 1500))
