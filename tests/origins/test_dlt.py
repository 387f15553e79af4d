"""Resources of dlt, the real one, in front of a real server: windows, corrections, patience, secrets, memory."""

# ruff: noqa: B008, E501 - so resources of dlt are written
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import polars as pl
import pytest
from dlt.sources.rest_api import rest_api_source

from kairos import Dlt
from kairos.errors import AdapterError, DataRefused, UsageError
from kairos.pipeline.origins import patience
from kairos.pipeline.origins.rows import Rows
from kairos.pipeline.origins.secrets import redacted
from kairos.pipeline.ports import Reader
from kairos.values import Window
from tests.pipeline.interfaces import Interface, serving

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
DAY = Window.parse("2011-01-03..2011-01-03")
NEXT = Window.parse("2011-01-04..2011-01-04")


@pytest.fixture
def interface() -> Iterator[Interface]:
    """A server with rows of three days, every six hours."""
    with serving() as made:
        start = datetime(2011, 1, 3, tzinfo=UTC)
        moments = [start + timedelta(hours=6 * number) for number in range(12)]
        made.rows = [{"at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "users": number} for number, at in enumerate(moments)]
        yield made


def resource(function: Callable[..., Any]) -> Any:
    """dlt's own decorator, which has no types where dlt is not installed."""
    return dlt.resource(function)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_WAIT_S", 0.0)


def config(interface: Interface, **client: Any) -> dict[str, Any]:
    """What a user writes for ``rest_api``: pages by a cursor, the window in the request, and a look at the version."""
    asked = {"from": "{incremental.start_value}", "to": "{incremental.end_value}"}
    incremental = {"cursor_path": "at", "initial_value": "2000-01-01T00:00:00Z"}
    pages = {"type": "cursor", "cursor_path": "next", "cursor_param": "page"}
    endpoint = {"path": "rows", "params": asked, "incremental": incremental}
    return {
        "client": {"base_url": interface.url, "paginator": pages, **client},
        "resources": [
            {"name": "trips", "endpoint": {**endpoint, "data_selector": "data.items"}},
            {"name": "version", "endpoint": {**endpoint, "data_selector": "version", "paginator": "single_page"}},
        ],
    }


def table(reader: Reader, window: Window = DAY) -> pl.DataFrame:
    """All rows of a window."""
    return Rows(lambda: reader.batches(window, None)).table()


def texts(reader: Reader) -> list[str]:
    """Watermarks of two days."""
    return [mark.text for mark in reader.marks([DAY, NEXT]) if mark is not None]


def test_a_configuration_of_rest_api_gives_the_rows_of_a_window(interface: Interface, tmp_path: Path) -> None:
    """Page by page, with the window in the request, half open, and without any state, asked twice or in any order."""
    reader = Dlt(config(interface), resource="trips").reader(tmp_path)
    for window, expected in ((NEXT, [4, 5, 6, 7]), (DAY, [0, 1, 2, 3]), (DAY, [0, 1, 2, 3])):
        assert table(reader, window)["users"].to_list() == expected
    assert interface.asked[0].startswith("/rows?from=2011-01-04T00%3A00%3A00Z&to=2011-01-05T00%3A00%3A00Z")
    assert len(interface.asked) == 6
    assert table(reader).schema == {"at": pl.String, "users": pl.Int64}


def test_a_source_and_a_function_are_read_as_well(interface: Interface, tmp_path: Path) -> None:
    """A source as it is, many times; and what makes one."""
    source = rest_api_source(config(interface))
    for of in (source, lambda: rest_api_source(config(interface)), lambda: source.resources["trips"]):
        reader = Dlt(of, resource="trips").reader(tmp_path)
        assert table(reader)["users"].to_list() == [0, 1, 2, 3]
        assert table(reader, NEXT)["users"].to_list() == [4, 5, 6, 7]
    with pytest.raises(UsageError, match="which resource of a source"):
        table(Dlt(source).reader(tmp_path))
    with pytest.raises(UsageError, match="no such resource"):
        table(Dlt(source, resource="trip").reader(tmp_path))


def moments(form: Any) -> list[dict[str, Any]]:
    """Rows of a minute around both ends of the day, and its middle, in some form."""
    start = DAY.start
    found = [start - timedelta(seconds=1), start, start + timedelta(hours=12), DAY.end - timedelta(seconds=1), DAY.end]
    return [{"id": number, "at": form(at)} for number, at in enumerate(found)]


@pytest.mark.parametrize(
    ("form", "initial"),
    [
        (lambda at: at, datetime(2000, 1, 1, tzinfo=UTC)),
        (lambda at: at.replace(tzinfo=None), datetime(2000, 1, 1)),  # noqa: DTZ001
        (lambda at: int(at.timestamp()), 0),
        (lambda at: f"{at:%Y-%m-%dT%H:%M:%SZ}", "2000-01-01T00:00:00Z"),
        (lambda at: f"{at:%Y-%m-%dT%H:%M:%S}.000Z", "2000-01-01T00:00:00Z"),
        (lambda at: at.astimezone(UTC).isoformat(), "2000-01-01T00:00:00+00:00"),
        (lambda at: f"{at + timedelta(hours=2):%Y-%m-%d %H:%M:%S}+02:00", None),
        (lambda at: f"{at:%Y-%m-%d %H:%M:%S}", "2000-01-01 00:00:00"),
    ],
)
def test_a_window_is_half_open_whatever_form_the_cursor_has(form: Any, initial: Any, tmp_path: Path) -> None:
    """A row at the start is in it, one at the end is not; texts are compared as moments, not letter by letter."""

    @resource
    def trips(at: Any = dlt.sources.incremental("at", initial_value=initial)) -> Iterator[Any]:
        yield moments(form)

    assert table(Dlt(trips).reader(tmp_path))["id"].to_list() == [1, 2, 3]


def test_days_are_a_cursor_of_windows_of_days(tmp_path: Path) -> None:
    """And of no shorter ones."""

    @resource
    def trips(at: Any = dlt.sources.incremental("at", initial_value=date(2000, 1, 1))) -> Iterator[Any]:
        yield moments(lambda at: at.date())

    reader = Dlt(trips).reader(tmp_path)
    assert table(reader)["id"].to_list() == [1, 2, 3]
    with pytest.raises(UsageError, match="within a day"):
        table(reader, Window(DAY.start, DAY.start + timedelta(hours=1)))


def test_a_resource_without_a_cursor_is_given_one_or_refused(tmp_path: Path) -> None:
    """A resource's own code may ask dlt for the window; what it gives beyond it is left out."""

    @resource
    def trips() -> Iterator[Any]:
        assert dlt.current.interval() == (DAY.start, DAY.end)
        yield from moments(lambda at: at.isoformat())

    assert table(Dlt(trips, cursor="at").reader(tmp_path))["id"].to_list() == [1, 2, 3]
    with pytest.raises(UsageError, match="no cursor"):
        table(Dlt(trips).reader(tmp_path))
    with pytest.raises(DataRefused, match="no window is theirs"):
        table(Dlt(trips, cursor="when").reader(tmp_path))


def test_tables_of_other_libraries_are_taken_as_they_are(tmp_path: Path) -> None:
    """With their types; the window holds for them, too."""
    pyarrow = pytest.importorskip("pyarrow")

    @resource
    def trips(at: Any = dlt.sources.incremental("at", initial_value=datetime(2000, 1, 1, tzinfo=UTC))) -> Iterator[Any]:
        yield pyarrow.Table.from_pylist(moments(lambda at: at))

    found = table(Dlt(trips).reader(tmp_path))
    assert found["id"].to_list() == [1, 2, 3]
    assert found.schema["at"] == pl.Datetime("us", "UTC")


def test_a_late_correction_is_noticed_by_the_resource_that_is_the_watermark(
    interface: Interface, tmp_path: Path
) -> None:
    """Named in the same source, or made by a function that sees the window."""
    reader = Dlt(config(interface), resource="trips", watermark="version").reader(tmp_path)
    before = texts(reader)
    assert texts(reader) == before
    interface.version = "2"
    assert all(now != then for now, then in zip(texts(reader), before, strict=True))

    def counted() -> Any:
        @resource
        def count() -> Iterator[Any]:
            start, end = dlt.current.interval()
            times = [datetime.fromisoformat(str(row["at"])) for row in interface.rows]
            yield {"rows": sum(start <= at < end for at in times)}

        return count

    reader = Dlt(config(interface), resource="trips", watermark=counted).reader(tmp_path)
    before = texts(reader)
    interface.rows.append({"at": "2011-01-04T01:00:00Z", "users": 99})
    after = texts(reader)
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)
    assert 99 in table(reader, NEXT)["users"].to_list()
    assert Dlt(config(interface), resource="trips").reader(tmp_path).marks([DAY]) == [None]


def test_a_server_that_is_busy_is_asked_again_when_it_says(interface: Interface, tmp_path: Path) -> None:
    """In the middle of the pages; the rows are whole, and none is there twice."""
    reader = Dlt(config(interface), resource="trips").reader(tmp_path)
    pieces = reader.batches(DAY, None)
    interface.troubles, interface.retry_after = [429], "1"
    rows = pl.concat(list(pieces))
    assert rows["users"].to_list() == [0, 1, 2, 3]
    assert interface.asked_s[1] - interface.asked_s[0] >= 1.0
    interface.troubles = [404]
    with pytest.raises(AdapterError, match="refused a request of a resource of dlt") as caught:
        table(reader)
    assert "HTTP 404" in str(caught.value)
    assert not caught.value.facts["passing"]


def test_a_server_that_is_gone_or_slow_may_pass(interface: Interface, tmp_path: Path) -> None:
    """The origin's time-out is each request's; dlt's own tries come before ours."""
    from dlt.sources.helpers.requests import Client

    session = Client(raise_for_status=False, request_max_attempts=1).session
    reader = Dlt(config(interface, session=session), resource="trips", timeout="0.3s").reader(tmp_path)
    interface.troubles = [0]
    with pytest.raises(AdapterError, match="did not answer a resource of dlt") as caught:
        table(reader)
    assert caught.value.facts["passing"]
    interface.troubles = [503]
    with pytest.raises(AdapterError) as caught:
        table(reader)
    assert caught.value.facts["passing"]


def test_a_rate_is_kept_or_refused(interface: Interface, tmp_path: Path) -> None:
    """Where the resource's client is known; elsewhere it would be a promise that nobody keeps."""
    reader = Dlt(config(interface), resource="trips", rate=10).reader(tmp_path)
    table(reader)
    table(reader, NEXT)
    assert interface.asked_s[3] - interface.asked_s[0] >= 0.28

    @resource
    def trips() -> Iterator[Any]:
        yield []

    with pytest.raises(UsageError, match="rate cannot be kept"):
        table(Dlt(trips, cursor="at", rate=5).reader(tmp_path))


def test_secrets_come_from_the_environment_and_stay_there(
    interface: Interface, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Kairos's names in a configuration, or by dlt's own; not from its file; a wrong one is in no message."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text('[sources.bikes]\ntoken = "from-the-file"\n')
    monkeypatch.setenv("KAIROS_TEST_TOKEN", "t0ken-of-ann")
    interface.token = "t0ken-of-ann"
    auth = {"type": "bearer", "token": "$KAIROS_TEST_TOKEN"}
    assert table(Dlt(config(interface, auth=auth), resource="trips").reader(tmp_path)).height == 4

    def bikes() -> Any:
        return rest_api_source(config(interface, auth={"type": "bearer", "token": dlt.secrets["sources.bikes.token"]}))

    origin = Dlt(bikes, resource="trips")
    with pytest.raises((UsageError, AdapterError)) as caught:
        table(origin.reader(tmp_path))
    assert "SOURCES__BIKES__TOKEN" in str(caught.value)
    assert "from-the-file" not in str(caught.value)
    monkeypatch.setenv("SOURCES__BIKES__TOKEN", "t0ken-of-ann")
    assert table(origin.reader(tmp_path)).height == 4
    monkeypatch.setenv("SOURCES__BIKES__TOKEN", "another-t0ken")
    with pytest.raises(AdapterError, match="HTTP 401") as refused:
        table(origin.reader(tmp_path))
    assert "another" not in str(refused.value)
    assert redacted("it is another-t0ken") == "it is ***"
    assert "t0ken" not in str(origin.facts())
    assert "t0ken" not in str(Dlt(config(interface, auth=auth), resource="trips").facts())


def test_what_a_project_s_own_resource_raises_stays_what_it_is(tmp_path: Path) -> None:
    """With its own line, so that she finds it."""

    @resource
    def trips(at: Any = dlt.sources.incremental("at", initial_value="2000-01-01T00:00:00Z")) -> Iterator[Any]:
        raise KeyError("no such station")
        yield {}

    with pytest.raises(KeyError, match="no such station") as caught:
        table(Dlt(trips).reader(tmp_path))
    assert any(each.path == Path(__file__) and each.name == "trips" for each in caught.traceback)


def test_fields_that_come_late_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left out in silence; named in advance they are read. What is nested is text in JSON."""
    monkeypatch.setattr("kairos.adapters.dlt.BATCH_ROWS", 2)

    @resource
    def trips() -> Iterator[Any]:
        at = DAY.start.isoformat()
        yield [{"at": at, "from": {"station": 1}}, {"at": at}, {"at": at, "bike": "b7"}]

    with pytest.raises(DataRefused, match="bike"):
        table(Dlt(trips, cursor="at").reader(tmp_path))
    found = table(Dlt(trips, cursor="at", types={"bike": pl.String}).reader(tmp_path))
    assert found["bike"].to_list() == [None, None, "b7"]
    assert found["from"].to_list() == ['{"station": 1}', None, None]


MEMORY = """
import resource, sys
from pathlib import Path
import dlt
from kairos import Dlt, Rows
from kairos.values import Window

@dlt.resource
def trips(at=dlt.sources.incremental("at", initial_value=0)):
    for page in range(int(sys.argv[1]) // 1000):
        yield [{"at": 1294012800, "id": page * 1000 + row, "text": f"trip {row} of page {page}"} for row in range(1000)]

reader = Dlt(trips).reader(Path("."))
count, _ = Rows(lambda: reader.batches(Window.parse("2011-01-03..2011-01-03"), None)).write(Path(sys.argv[2]))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Ten times the rows take about as much; nothing of dlt is left on the disk."""
    used = []
    for rows in (50_000, 500_000):
        command = [sys.executable, "-c", MEMORY, str(rows), str(tmp_path / "a.parquet")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        count, megabytes = map(int, done.stdout.split())
        assert count == rows
        used.append(megabytes)
    assert used[1] < used[0] + 60, used  # all rows as Python's dicts would be 200 MB more
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


PROJECT = """
import os
import polars as pl
from kairos import Dlt, Rows, source

def bikes():
    import dlt
    from dlt.sources.rest_api import rest_api_source
    asked = {{"from": "{{incremental.start_value}}", "to": "{{incremental.end_value}}"}}
    pages = {{"type": "cursor", "cursor_path": "next", "cursor_param": "page"}}
    endpoint = {{"path": "rows", "params": asked, "incremental": {{"cursor_path": "at", "initial_value": "2000-01-01T00:00:00Z"}}}}
    return rest_api_source({{
        "client": {{"base_url": "{url}", "paginator": pages, "auth": {{"type": "bearer", "token": dlt.secrets["bikes.token"]}}}},
        "resources": [
            {{"name": "trips", "endpoint": {{**endpoint, "data_selector": "data.items"}}}},
            {{"name": "version", "endpoint": {{**endpoint, "data_selector": "version", "paginator": "single_page"}}}},
        ],
    }})

@source(every="1d", reads=Dlt(bikes, resource="trips", watermark="version", rate=500))
def rentals(rows: Rows) -> pl.DataFrame:
    with open("pulled.txt", "a") as log: print(1, file=log)
    return {body}
"""


def test_a_project_s_runs_pull_what_is_new_and_leave_no_secret(interface: Interface, tmp_path: Path) -> None:
    """With the command itself; the token is told by no failure, of the interface or of the project's own code."""
    interface.token = "t0ken-of-ann"
    (tmp_path / "kairos.toml").write_text('[project]\nname = "bikes"\n')

    def run(body: str = "rows.table()", token: str = "t0ken-of-ann") -> subprocess.CompletedProcess[str]:
        (tmp_path / "pipeline.py").write_text(PROJECT.format(url=interface.url, body=body))
        command = [sys.executable, "-m", "kairos.cli", "run", "--json", "--window", "2011-01-03..2011-01-05"]
        environment = {**os.environ, "BIKES__TOKEN": token}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    def pulled() -> int:
        count = len((tmp_path / "pulled.txt").read_text().split())
        (tmp_path / "pulled.txt").write_text("")
        return count

    outputs = [run()]
    assert outputs[0].returncode == 0, outputs[0].stderr
    assert pulled() == 3
    outputs.append(run())
    assert pulled() == 0
    interface.version = "2"
    outputs.append(run())
    assert pulled() == 3
    outputs.append(run(body="rows.table().with_columns(a=pl.lit(os.environ['BIKES__TOKEN'])).drop('nothing')"))
    outputs.append(run(body="(_ for _ in ()).throw(ValueError(os.environ['BIKES__TOKEN']))"))
    outputs.append(run(token="an0ther-t0ken"))
    assert [each.returncode for each in outputs] == [0, 0, 0, 1, 1, 1]
    assert "ValueError: ***" in outputs[4].stderr + outputs[4].stdout
    assert "HTTP 401" in outputs[5].stderr + outputs[5].stdout
    for output in outputs:
        assert "t0ken" not in output.stdout + output.stderr
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"t0ken" not in file.read_bytes(), file
