"""A replay takes any kind of time: the same rows are sent, and the same figures come out."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import polars as pl
import pytest

from kairos.app.backtest import always_deploy, never_retrain
from kairos.app.packages import open_stored
from kairos.app.timed import TimedRows
from kairos.app.traffic import ReplayServer, Traffic
from kairos.errors import DataRefused, UsageError
from kairos.values import Json, Window
from tests.app.worlds import DAY, START, World, hourly

WINDOW = Window(START, START + 14 * DAY)
HOUR = pl.col("hour")
KINDS = {
    "dates": HOUR.dt.date(),
    "without a zone": HOUR.dt.replace_time_zone(None),
    "another zone": HOUR.dt.cast_time_unit("ms").dt.convert_time_zone("America/New_York"),
    "text": HOUR.dt.to_string("%Y-%m-%dT%H:%M:%S"),
    "text of another zone": HOUR.dt.convert_time_zone("America/New_York").dt.to_string("%Y-%m-%dT%H:%M:%S%:z"),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def days() -> pl.DataFrame:
    """One row a day, at midnight in UTC, in no order."""
    table = hourly(START - 60 * DAY, 80).filter(HOUR.dt.hour() == 0)
    return table.sample(fraction=1.0, shuffle=True, seed=3)


class _Server:
    """Answers every request, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[datetime | None, Json]] = []
        self.labels: list[Json] = []

    def call(self, method: str, path: str, body: Json = None, *, at: datetime | None = None) -> Json:
        """As a model server would; what is sent has to be JSON."""
        json.dumps(body)
        content = cast("dict[str, Any]", body)
        if path.startswith("/predict"):
            self.asked.append((at, body))
            return {"prediction_id": content["id"]}
        if path == "/labels":
            self.labels += content["labels"]
        return {"reached": True}


def _sent(world: World, rows: pl.DataFrame) -> _Server:
    server = _Server()
    traffic = Traffic(world.project, world.clock, rows, window=WINDOW, server=cast("ReplayServer", server))
    assert list(traffic)[-1] == WINDOW.end
    return server


@every_kind
def test_the_same_requests_are_sent(world: World, days: pl.DataFrame, kind: str) -> None:
    """At their moments in UTC, with the same ids, inputs and labels."""
    world.live(260.0)
    server = _sent(world, days.with_columns(KINDS[kind]))
    expected = days.filter(HOUR.is_between(WINDOW.start, WINDOW.end, closed="left")).sort("hour")
    assert [at for at, _ in server.asked] == expected["hour"].to_list()
    assert [body for _, body in server.asked] == [
        {"inputs": {"temperature": row["temperature"]}, "id": row["hour"].astimezone(UTC).isoformat()}
        for row in expected.iter_rows(named=True)
    ]
    assert [cast("dict[str, Any]", label)["value"] for label in server.labels] == expected["users"].to_list()


@every_kind
def test_the_other_policies_lose_the_same(world: World, days: pl.DataFrame, kind: str) -> None:
    """To the last digit, at the same moments."""
    model, given = world.project.settings.model("demand"), days.with_columns(KINDS[kind])
    package = open_stored(world.project.store, world.stock.packages[260.0])
    for said, told in (
        (never_retrain(package, given, model, WINDOW), never_retrain(package, days, model, WINDOW)),
        (always_deploy(world.project, given, model, WINDOW), always_deploy(world.project, days, model, WINDOW)),
    ):
        assert said.losses.tolist() == told.losses.tolist()
        assert (said.at, said.deployments) == (told.at, told.deployments)
        assert len(said.at) == 14


@every_kind
def test_rows_keep_their_columns(days: pl.DataFrame, kind: str) -> None:
    """The project's own step sees the time as its pipeline made it."""
    given = days.with_columns(KINDS[kind])
    timed = TimedRows.of(given, "hour").within(WINDOW)
    assert timed.rows.schema == given.schema
    assert timed.at.dtype == pl.Datetime("us", "UTC")
    assert timed.at.to_list() == [WINDOW.start + timedelta(days=day) for day in range(14)]


def test_rows_without_a_time_are_left_out_and_equal_times_keep_their_order() -> None:
    """Nobody knows when to send the former."""
    table = pl.DataFrame({"day": ["2012-01-03", None, "2012-01-02", "2012-01-03"], "row": [0, 1, 2, 3]})
    assert TimedRows.of(table, "day").rows["row"].to_list() == [2, 0, 3]


@pytest.mark.parametrize("values", [[1, 2], ["2012-01-03", "soon"], [timedelta(1), timedelta(2)]])
def test_what_is_no_time_is_refused(values: list[object]) -> None:
    """With the column's name and what is accepted."""
    with pytest.raises(DataRefused, match="'day' of the rows to send holds something that is no time") as caught:
        TimedRows.of(pl.DataFrame({"day": values}), "day")
    assert caught.value.accepted is not None


def test_a_list_is_sent_as_one_request_and_its_rows_get_their_labels(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the time of its first row, with the names of list and item; a row whose truth is missing gets none."""
    world.live(260.0)

    class Server(_Server):
        """Answers lists."""

        def call(self, method: str, path: str, body: Json = None, *, at: datetime | None = None) -> Json:
            """An id a row."""
            told = super().call(method, path, body, at=at)
            if not path.startswith("/predict"):
                return told
            content = cast("dict[str, Any]", body)
            ids = [f"{content['id']}#{row}" for row in range(len(content["inputs"]))]
            return {"predictions": [{"prediction_id": name} for name in ids]}

    spec = open_stored(world.project.store, world.stock.packages[260.0]).spec
    ranks = replace(spec, rank_within="search", item="flat")
    monkeypatch.setattr(Traffic, "_spec", lambda *_: ranks)
    rows = pl.DataFrame(
        {
            "hour": [START, START + DAY, START, START],
            "search": ["a", "b", "a", "c"],
            "flat": [1, 2, 3, None],
            "temperature": [1.0, 2.0, 3.0, 4.0],
            "users": [5.0, 6.0, None, 8.0],
        }
    )
    server = Server()
    list(Traffic(world.project, world.clock, rows, window=WINDOW, server=cast("ReplayServer", server)))
    first = {"temperature": 1.0, "search": "a", "flat": "1"}
    at = START.isoformat()
    assert [(when, cast("dict[str, Any]", body)["inputs"]) for when, body in server.asked] == [
        (START, [first, {"temperature": 3.0, "search": "a", "flat": "3"}]),
        (START, [{"temperature": 4.0, "search": "c"}]),
        (START + DAY, [{"temperature": 2.0, "search": "b", "flat": "2"}]),
    ]
    assert [label["prediction_id"] for label in server.labels] == [
        f"{at}/a#0", f"{at}/c#0", f"{(START + DAY).isoformat()}/b#0"
    ]  # fmt: skip
    with pytest.raises(UsageError, match=r"lack the column 'search', which says what is one list"):
        list(
            Traffic(world.project, world.clock, rows.drop("search"), window=WINDOW, server=cast("ReplayServer", server))
        )
