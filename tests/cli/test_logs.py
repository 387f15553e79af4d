"""What `kairos up` leaves on stderr: a line for each thing, with its time, what was decided, and why."""

from __future__ import annotations

import io
import logging
import sys
from datetime import UTC, datetime

import pytest

from kairos.app.telling import is_trouble, log_line
from kairos.cli import logs
from kairos.ledger import Entry


def entry(kind: str, subject: str, **body: object) -> Entry:
    """A fact."""
    at = datetime(2012, 3, 3, 14, tzinfo=UTC)
    return Entry(seq=1, at=at, kind=kind, subject=subject, actor="kairos", body=body, prev="", hash="")


def test_a_line_has_its_time_in_utc_and_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the message holds, so that grep and CI find it whole; what the loop decides is shown, and no chatter."""
    stream, root = io.StringIO(), logging.getLogger()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    loop = logging.getLogger("kairos.loop")
    monkeypatch.setattr(loop, "level", loop.level)
    logs.log_to_stderr()
    record = loop.makeRecord(loop.name, logging.INFO, "", 0, "demand@3 gate: %s", ("two\n  lines",), None)
    record.created = datetime(2012, 3, 3, 14, 0, 5, tzinfo=UTC).timestamp()
    loop.handle(record)
    logging.getLogger("somebody.else").info("chatter")
    assert stream.getvalue() == "2012-03-03 14:00:05Z INFO    demand@3 gate: two lines\n"


@pytest.mark.parametrize(
    ("fact", "line", "is_grave"),
    [
        (
            entry("retrain.decided", "demand", window="2012-01-01..2012-02-01", reasons=["age: it is 21 days old"]),
            "demand retrain: on 2012-01-01..2012-02-01, because of: age: it is 21 days old",
            False,
        ),
        (
            entry("retrain.decided", "demand", window="2012-01-01..2012-02-01", reasons=["a"], action="investigate"),
            "demand retrain: nothing is learnt until somebody has looked: a",
            True,
        ),
        (
            entry("gate.decided", "demand@3", verdict="hold", sentence="hold: 40 rows are missing"),
            "demand@3 gate hold: 40 rows are missing",
            False,
        ),
        (
            entry("stage.changed", "demand@3", to="canary", share=0.25, verdict="pass", reasons=["it was no worse"]),
            "demand@3 stage: canary with 25% of requests: it was no worse",
            False,
        ),
        (
            entry("stage.changed", "demand@3", to="rolled_back", share=0.0, verdict="fail", reasons=["errors"]),
            "demand@3 stage: rolled back: errors",
            True,
        ),
        (entry("finding", "demand@3", level="alarm", sentence="drift"), "demand@3 finding: alarm: drift", True),
        (
            entry("reading.taken", "demand", window="2012-01-01..2012-01-08", failure="no rows"),
            "demand reading: of 2012-01-01..2012-01-08 none could be taken: no rows",
            False,
        ),
        (
            entry(
                "reading.taken",
                "demand",
                window="2012-01-01..2012-01-03",
                rows=[10, 20],
                champion=[60.0],
                tried={"all": [1.0, 40.0]},
                chosen="all",
            ),
            "demand reading: of 2012-01-01..2012-01-03: on 20 rows the live version lost 3 a row, a fresh one 2",
            False,
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Entry) else "",
)
def test_a_decision_is_told_with_its_reason(fact: Entry, line: str, is_grave: bool) -> None:
    """About what, what, and why; what a person may have to look at is a warning."""
    assert (log_line(fact), is_trouble(fact)) == (line, is_grave)
