"""The room's page says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.routing import Route

from kairos.errors import Overloaded, Unavailable
from kairos.serving import app, body, guarding, json_body, label_body, lane, layers, standing
from kairos.serving.app import make_app
from kairos.serving.connections import frames, limits
from kairos.serving.roster import Place
from kairos.serving.server import MOST_WAITING
from kairos.store.predictions import PredictionLog
from tests.serving.toys import Registry, adds, make_server, route

PAGE = Path(__file__).parents[2].joinpath("docs", "serving.md").read_text()


def test_every_route_is_on_the_page(tmp_path: Path) -> None:
    """A path that is answered is described."""
    server = make_server(Registry({1: adds(0)}, route(1)), PredictionLog(tmp_path).writer("w"))
    paths = [each.path for each in make_app(server).routes if isinstance(each, Route)]
    server.close()
    assert len(paths) == 30
    assert [path for path in paths if not re.search(rf"(GET|POST) {re.escape(path)}[`?]", PAGE)] == []


def test_every_metric_is_on_the_page_and_none_that_is_not_there(tmp_path: Path) -> None:
    """The table of metrics is that of a worker among several."""
    server = make_server(Registry({1: adds(0)}, route(1)), PredictionLog(tmp_path).writer("w"))
    server.metrics.watch_workers(lambda: [Place(number=0, state="answers")])
    described = set(re.findall(r"`(kairos_\w+)", PAGE))
    there = set(re.findall(r"^# TYPE (\w+)", server.metrics.text(), re.MULTILINE))
    server.close()
    assert described == there


def test_every_limit_is_on_the_page() -> None:
    """Numbers in the page are those of the code."""
    assert f"more than {body.LARGEST_BODY_BYTES >> 20} MiB" in PAGE
    assert f"more than {body.MOST_ROWS:,} rows or {label_body.MOST_LABELS:,} labels" in PAGE
    assert f"more than {json_body.MOST_LEVELS} levels" in PAGE
    assert f"room for {MOST_WAITING:,} requests" in PAGE
    assert f"{lane.MOST_WAITING:,} requests wait for this model, or {app.MOST_WAITING} labels and events" in PAGE
    assert f"no answer within {lane.LONGEST_WAIT_S:g} s" in PAGE
    assert f"up to {app.LARGEST_QUICK_BYTES >> 10} KiB are read in the event loop" in PAGE
    assert f"up to {standing.LONGEST_WAIT_S:.0f} s" in PAGE
    usual = limits.USUAL
    for told in (
        f"connection | {usual.head_s:g} s, then 408",
        f"body | {usual.body_s:g} s, then 408",
        f"does not take | {usual.answer_s:g} s",
        f"between two requests | {usual.idle_s:g} s",
        f"each worker | {usual.connections:,}, then 503 with `Retry-After`; past {usual.most_open:,} they",
        f"bytes of a head | {limits.LARGEST_HEAD_BYTES >> 10} KiB, then 431",
        f"fields of a head | {limits.MOST_FIELDS}, then 431",
        f"{limits.MOST_FRAMING_BYTES >> 20} MiB, then 400",
        f"HTTP/1.1 | {limits.MOST_PIPELINED}, then",
        f"HTTP/2 | {limits.MOST_STREAMS}; one more",
        f"{frames.MOST_CREDIT:,.0f} in a burst, {frames.CREDIT_PER_S:g} a second",
        f"{frames.CREDIT_PER_ANSWER:g} more for each answer",
        f"takes a request back counts as {frames.COST_OF_RESET:g}",
    ):
        assert told in PAGE
    for error in (Overloaded, Unavailable):
        assert f"| {error.http_status} | `{error('x').code}` |" in PAGE


def test_every_layer_is_on_the_page() -> None:
    """The layers are listed in their order."""
    listed = re.findall(r"^\| `(\w+)` \| ", PAGE, re.MULTILINE)
    assert listed[:5] == ["Capture", "Guard", "Shadow", "Canary", "Live"]
    assert set(listed[2:5]) <= set(layers.__all__)
    assert listed[1] in guarding.__all__
