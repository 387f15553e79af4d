"""What a finding is, and that it survives the ledger."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest

from kairos.errors import UsageError
from kairos.monitor import Finding, worst_level
from kairos.values import Window, canonical_json

START = datetime(2012, 1, 1, tzinfo=UTC)


def finding(**changes: object) -> Finding:
    """A finding like those of the quality check."""
    base = Finding(
        check="quality",
        level="alarm",
        column=None,
        value=80.0,
        lower=71.0,
        upper=float("inf"),
        threshold=66.0,
        window=Window(START, START + timedelta(days=30, hours=5)),
        rows=720,
        sentence="The loss is too high.",
        version=3,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def test_a_finding_comes_back_from_the_ledger_unchanged() -> None:
    """Written as canonical JSON and read again, a finding is equal, infinity and window included."""
    written = canonical_json(finding().plain())
    assert Finding.from_plain(json.loads(written)) == finding()


def test_a_finding_with_a_field_missing_is_refused_by_name() -> None:
    """A damaged fact does not become a finding; the message lists the fields."""
    value = finding().plain()
    del value["window"]
    with pytest.raises(UsageError, match="window"):
        Finding.from_plain(value)


def test_the_worst_level_is_the_most_severe() -> None:
    """Alarm beats warn beats info, whatever the order; no finding has no level."""
    assert worst_level((finding(level="info"), finding(level="warn"))) == "warn"
    assert worst_level((finding(level="alarm"), finding(level="info"))) == "alarm"
    assert worst_level(()) is None
