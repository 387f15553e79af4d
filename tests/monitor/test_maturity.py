"""From when on a day counts, and when an answer is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from kairos.errors import UsageError
from kairos.monitor.days import day_number, day_start
from kairos.monitor.delays import learn_maturity
from kairos.monitor.maturity import Maturity, learnt_maturity, may_replace
from kairos.monitor.policy import MonitorPolicy
from kairos.stats.arrival import ArrivalCurve, count_arrivals
from kairos.store.predictions import Label, Prediction, PredictionLog
from kairos.values import Window, plain
from tests.monitor.logs import DAY, HOUR, START, label, new_log, prediction, write

AUTO = MonitorPolicy(matures_after=None, matures_fallback=3 * DAY)
CURVE = ArrivalCurve(ages_s=(3600.0, 172800.0), shares=(0.4, 0.8), follow_up_s=1e6, labelled=1000)


def served(log: PredictionLog, days: int, *, delay: timedelta, every: int = 1) -> None:
    """Hourly requests; the label of every so many comes that long after the end of its day."""
    records: list[Prediction | Label] = []
    for hour in range(24 * days):
        records.append(prediction(hour, 200.0))
        if hour % every == 0:
            to_end = timedelta(hours=24 - hour % 24)
            records.append(label(hour, 210.0, delay=to_end + delay))
    write(log, records)


def test_how_late_labels_are_is_learnt(tmp_path: Path) -> None:
    """Labels come a day and a half after the end of their day, for two thirds of the rows."""
    log = new_log(tmp_path)
    served(log, 40, delay=1.5 * DAY, every=3)
    found = learn_maturity(log, "demand", AUTO, now=START + 40 * DAY)
    assert (found.basis, found.matures_after) == ("learnt", 1.5 * DAY)
    assert found.share_labelled == pytest.approx(1 / 3)
    assert (found.share_arrived(DAY), found.share_arrived(2 * DAY)) == (0.0, 1.0)
    assert "learnt from" in found.sentence()
    assert "33%" in found.sentence()


def test_while_too_little_is_known_the_fallback_holds(tmp_path: Path) -> None:
    """Before the first labels, and until rows were followed twice as long as labels take: more could be on the way."""
    log = new_log(tmp_path)
    served(log, 60, delay=10 * DAY)
    for days, basis in ((5, "fallback"), (12, "fallback"), (22, "fallback"), (26, "learnt")):
        found = learn_maturity(log, "demand", AUTO, now=START + days * DAY)
        assert found.basis == basis
        assert found.matures_after == (3 * DAY if basis == "fallback" else 10 * DAY)
    assert learn_maturity(log, "other", AUTO, now=START).basis == "fallback"


def test_it_looks_back_as_far_as_labels_are_late(tmp_path: Path) -> None:
    """A label that takes six weeks is not missed because four weeks are looked at first."""
    log = new_log(tmp_path)
    served(log, 200, delay=45 * DAY)
    assert learn_maturity(log, "demand", AUTO, now=START + 200 * DAY).matures_after == 45 * DAY


def test_what_is_set_stays_set(tmp_path: Path) -> None:
    """The owner's word holds; how labels arrive is told beside it."""
    log = new_log(tmp_path)
    served(log, 40, delay=2 * DAY)
    found = learn_maturity(log, "demand", MonitorPolicy(matures_after=DAY), now=START + 40 * DAY)
    assert (found.basis, found.matures_after, found.share_labelled) == ("set", DAY, 0.0)
    assert found.share_arrived(2 * DAY) == 1.0


def test_what_is_learnt_is_the_same_all_day_and_after_a_restart(tmp_path: Path) -> None:
    """It is looked up as of the start of the day."""
    log = new_log(tmp_path)
    served(log, 40, delay=1.5 * DAY)
    morning = learn_maturity(log, "demand", AUTO, now=START + 39 * DAY + HOUR)
    assert learn_maturity(new_log(tmp_path), "demand", AUTO, now=START + 39 * DAY + 23 * HOUR) == morning


def test_an_answer_is_due_when_the_last_day_that_it_needs_matures() -> None:
    """At 24 rows a day that all get a label: from the start of a trial, or beside days that wait to mature."""
    maturity = Maturity(matures_after=2 * DAY)
    assert maturity.due(48, 24, now=START, since=START) == START + 4 * DAY
    assert maturity.due(49, 24, now=START, since=START) == START + 5 * DAY
    assert maturity.due(24, 24, now=START + 5 * HOUR) == START + DAY  # of the day before yesterday
    assert maturity.due(0, 24, now=START) == START
    assert maturity.due(1, 0, now=START) is None
    assert maturity.due(1e9, 24, now=START) is None
    assert maturity.due_days(3, now=START, since=START) == START + 5 * DAY
    assert maturity.due_days(3, now=START, since=START + HOUR) == START + 6 * DAY
    assert maturity.due_days(1, now=START + 5 * HOUR) == START + DAY


def test_an_answer_takes_longer_where_labels_are_missing() -> None:
    """Only 40 % of the rows have a label when their day matures after an hour."""
    maturity = Maturity(matures_after=HOUR, arrivals=CURVE)
    assert maturity.share_labelled == 0.4
    assert maturity.due(96, 24, now=START, since=START) == START + 10 * DAY + HOUR
    assert maturity.share_arrived(HOUR) == 0.5


def test_the_due_date_is_kept_by_what_happens(tmp_path: Path) -> None:
    """Requests and labels go on as they were: on the due date the rows are there, and a day before they are not."""
    log = new_log(tmp_path)
    served(log, 80, delay=1.5 * DAY, every=2)
    now = START + 40 * DAY
    maturity = learn_maturity(log, "demand", AUTO, now=now)
    due = maturity.due(100, 24, now=now, since=now)
    assert due is not None
    for moment, is_enough in ((due, True), (due - HOUR, False)):
        mature = Window(now, day_start(day_number(maturity.mature_until(moment))))
        assert (log.arrivals("demand", mature, as_of=moment)["label"].count() >= 100) == is_enough


def test_what_was_learnt_holds_until_labels_come_quite_differently() -> None:
    """A day that counted must not wait again because of a few labels; where many are missing, it must."""

    def learnt(days: float) -> Maturity:
        delays = np.full(500, days * 86400.0)
        return learnt_maturity(count_arrivals(delays, np.full(500, 90 * 86400.0)), fallback=DAY)

    held = learnt(4)
    assert may_replace(None, held)
    assert not may_replace(held, learnt(3))
    assert may_replace(held, learnt(2))
    assert may_replace(held, learnt(5))
    assert not may_replace(None, replace(held, basis="fallback"))


def test_a_maturity_comes_back_from_the_ledger() -> None:
    """With its curve; what is no maturity is refused."""
    for maturity in (
        Maturity(matures_after=timedelta(hours=36), basis="learnt", arrivals=CURVE),
        Maturity(matures_after=DAY),
    ):
        assert Maturity.from_plain(plain(maturity)) == maturity
    with pytest.raises(UsageError, match="maturity cannot be read"):
        Maturity.from_plain({"basis": "set"})


def test_a_day_counts_when_the_maturity_says_so() -> None:
    """Days that end by that moment."""
    assert Maturity(matures_after=36 * HOUR).mature_until(START) == START - 36 * HOUR
    sentences = {basis: Maturity(matures_after=DAY, basis=basis).sentence() for basis in ("set", "fallback")}
    assert sentences["set"] == "A day counts 1d after its end, as set."
    assert "until enough labels" in sentences["fallback"]
