"""The figures of a report, from a past so small that each can be worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from kairos.app import storytelling
from kairos.app.backtest import Backtest, never_retrain
from kairos.app.judging import judge
from kairos.app.packages import open_stored
from kairos.app.reporting import story_of
from kairos.app.story import Story
from kairos.app.storytelling import answered, tell_story
from kairos.errors import NotFound
from kairos.models.outputs import Output
from kairos.monitor.forms import AnswerForm
from kairos.store.predictions import Label, Prediction
from kairos.values import Window
from tests.app.worlds import DAY, HOUR, SETTINGS, START, Stock, World, hourly

THREE_DAYS = Window(START, START + 3 * DAY)
RANGE = SETTINGS + "\n[model.demand.output]\nrange = [0, 210]\n"


def row(hour: int, output: float | None, version: int = 1, **changes: Any) -> Prediction:
    """What a version gave for an hour since ``START``."""
    given: dict[str, Any] = {
        "id": f"p{hour}",
        "at": START + hour * HOUR,
        "model": "demand",
        "version": version,
        "role": "champion",
        "answered": True,
        "share": 0.0,
        "inputs": {},
        "raw": output,
        "output": output,
        "latency_us": 1,
    }
    return Prediction(**given | changes)


def label(hour: int, value: float, *, at: datetime | None = None) -> Label:
    """The truth about an hour, a day later."""
    return Label(prediction_id=f"p{hour}", value=value, at=at or START + hour * HOUR + DAY)


def story(world: World, window: Window = THREE_DAYS, others: dict[str, Backtest] | None = None) -> Story:
    """Of the only model."""
    return tell_story(world.project, model=world.project.settings.model("demand"), window=window, others=others or {})


def test_the_figures_of_a_day(world: World) -> None:
    """Mean error of what was answered and is known; who answered most; ``None`` for a day without."""
    world.live(200.0)
    rows = [row(0, 100.0), row(1, 100.0), row(2, 100.0, version=2), row(48, 100.0), row(49, 100.0)]
    beside = [row(hour, 0.0, version=2, role="challenger", answered=False) for hour in (0, 1)]
    world.keep([*rows, *beside], [label(0, 110.0), label(1, 80.0), label(2, 100.0), label(48, 101.0)])
    world.clock.move_to(START + 10 * DAY)
    told = story(world)
    assert [(d.day, d.kairos_loss, d.version) for d in told.days] == [
        (date(2012, 1, 2), 10.0, 1),
        (date(2012, 1, 3), None, None),
        (date(2012, 1, 4), 1.0, 1),
    ]
    [kairos] = told.policies
    assert (kairos.name, kairos.loss) == ("Kairos", (10 + 20 + 0 + 1) / 4)
    assert [(h.prediction, h.truth, h.version) for h in told.hours] == [
        (100.0, 110.0, 1),
        (100.0, 80.0, 1),
        (100.0, 100.0, 2),
        (100.0, 101.0, 1),
    ]


def test_a_truth_that_is_not_known_yet_is_not_counted(world: World) -> None:
    """A story told on the second day does not know the second day's truths."""
    world.live(200.0)
    world.keep([row(0, 100.0), row(30, 100.0)], [label(0, 110.0), label(30, 999.0)])
    world.clock.move_to(START + 2 * DAY)
    assert [day.kairos_loss for day in story(world).days] == [10.0, None, None]
    assert answered(world.project, world.project.settings.model("demand"), THREE_DAYS)["id"].to_list() == ["p0"]


def test_a_window_begins_with_its_start_and_ends_before_its_end(world: World) -> None:
    """So that two stories side by side count every answer once."""
    world.live(200.0)
    hours = (23, 24, 47, 48)
    world.keep([row(hour, 100.0) for hour in hours], [label(hour, 100.0 + hour) for hour in hours])
    world.clock.move_to(START + 10 * DAY)
    told = story(world, Window(START + DAY, START + 2 * DAY))
    assert [h.truth for h in told.hours] == [124.0, 147.0]
    assert told.policies[0].loss == (24 + 47) / 2


def test_impossible_values_that_left_are_counted_and_those_that_were_stopped_are_told(
    tmp_path: Path, stock: Stock
) -> None:
    """Two different things: the first must be 0 wherever the guard clips."""
    world = World(tmp_path / "toy", stock, RANGE)
    world.live(200.0)
    clipped: dict[str, Any] = {"violation": "above", "action": "clip", "raw": 900.0}
    rows = [row(0, 210.0, **clipped), row(1, 0.0), row(2, 210.0), row(3, -1.0), row(4, 211.0), row(5, math.nan)]
    world.keep(rows, [label(hour, 100.0) for hour in range(6)])
    world.clock.move_to(START + 10 * DAY)
    [kairos] = story(world).policies
    assert kairos.impossible_predictions == 3
    assert kairos.note == "the server stopped 1 impossible values of its models"


def test_what_is_worth_a_line(world: World) -> None:
    """Verdicts, changes of stage, alarms; not each run, version or mild finding. In the order of the ledger."""
    first = world.live(200.0)
    for level in ("info", "warn", "alarm"):
        world.project.tell("finding", subject="demand", body={"level": level, "sentence": level})
    world.project.tell("run.failed", subject="r9", body={"failure": {"step": "a", "message": "b"}})
    told = story(world)
    assert [(line.kind, line.subject) for line in told.decisions] == [
        ("gate", str(first)),
        ("stage", str(first)),
        ("finding", "demand"),
        ("run", "r9"),
    ]
    assert [line.seq for line in told.decisions] == sorted(line.seq for line in told.decisions)


def test_a_story_names_the_ledger_that_it_rests_on(world: World) -> None:
    """Its last entry stands for all before it; places are relative to the project."""
    world.live(200.0)
    told = story(world)
    [*_, last] = world.facts()
    assert (told.ledger_head, told.ledger_hash) == (last.seq, last.hash)
    assert (told.project, told.span, told.seed) == ("toy", THREE_DAYS, 0)
    assert told.places == {
        "ledger": ".kairos/ledger.db",
        "MLflow record": ".kairos/mlflow.db",
        "predictions": ".kairos/predictions",
    }


def test_deployments_are_counted(world: World) -> None:
    """Each time that a version went live; a shadow is none."""
    world.live(200.0)
    world.live(205.0)
    world.put(world.passed(200.0), "shadow")
    assert story(world).policies[0].deployments == 2


def test_other_policies_stand_beside_it_day_by_day(world: World) -> None:
    """Under their names, after Kairos."""
    world.live(200.0)
    world.keep([row(0, 100.0)], [label(0, 110.0)])
    world.clock.move_to(START + 10 * DAY)
    moments = [START, START + HOUR, START + 2 * DAY]
    others = {
        "never retrain": Backtest(at=moments, losses=np.array([1.0, 3.0, 7.0]), deployments=1, violations=4),
        "retrain weekly": Backtest(at=moments[:1], losses=np.array([5.0]), deployments=9, violations=0),
    }
    told = story(world, others=others)
    assert [(d.never_loss, d.weekly_loss) for d in told.days] == [(2.0, 5.0), (None, None), (7.0, None)]
    assert [(p.name, p.loss, p.deployments) for p in told.policies[1:]] == [
        ("never retrain", 11 / 3, 1),
        ("retrain weekly", 5.0, 9),
    ]
    assert told.policies[1].note == "4 impossible values would have had to be stopped"


def test_a_policy_that_is_kairos_own_first_model_has_its_error(world: World) -> None:
    """The backtest scores the same package on the same rows: nothing has changed, so nothing differs."""
    ref = world.live(200.0)
    for _ in range(3):
        world.day((ref, 200.0))
    world.clock.move_to(START + 10 * DAY)
    days = [START + number * DAY for number in range(3)]
    rows = pl.concat([hourly(day, 1, seed=day.timetuple().tm_yday) for day in days])
    model = world.project.settings.model("demand")
    never = never_retrain(
        open_stored(world.project.store, world.stock.packages[200.0]), rows.reverse(), model, THREE_DAYS
    )
    told = story(world, others={"never retrain": never})
    assert told.policies[0].loss == pytest.approx(told.policies[1].loss)
    assert [day.kairos_loss for day in told.days] == [pytest.approx(day.never_loss) for day in told.days]
    assert (never.deployments, never.violations, list(never.at)) == (1, 0, rows["hour"].to_list())


def test_without_an_answer_nothing_is_made_up(world: World) -> None:
    """No day has a figure; the mean is not a number, not zero."""
    world.live(200.0)
    told = story(world)
    assert [day.kairos_loss for day in told.days] == [None] * 3
    assert told.hours == ()
    assert math.isnan(told.policies[0].loss)


def test_the_first_week_and_the_weeks_around_the_change_that_mattered_are_shown(world: World) -> None:
    """Of two deployments, the one after which the error fell most; the hours between are left out."""
    first = world.live(200.0)
    hours = range(0, 70 * 24, 6)
    error = [50.0 if hour < 21 * 24 else 45.0 if hour < 49 * 24 else 5.0 for hour in hours]
    truths = [label(hour, 100.0) for hour in hours]
    world.keep([row(hour, 100.0 + wrong) for hour, wrong in zip(hours, error, strict=True)], truths)
    world.clock.move_to(START + 21 * DAY)
    world.put(first, "live")
    world.clock.move_to(START + 49 * DAY)
    world.put(first, "live")
    world.clock.move_to(START + 90 * DAY)
    told = story(world, Window(START, START + 70 * DAY))
    shown = sorted({(hour.at - START) // DAY for hour in told.hours})
    assert shown == [*range(7), *range(42, 56)]


def test_a_report_tells_from_the_first_day_live_until_today(world: World) -> None:
    """Whole days in UTC; other policies are not worked out."""
    world.clock.move_to(START + timedelta(hours=15))
    world.live(200.0)
    world.clock.move_to(START + 2 * DAY + timedelta(hours=3))
    told = story_of(world.project)
    assert told.span == THREE_DAYS
    assert len(told.days) == 3
    assert [policy.name for policy in told.policies] == ["Kairos"]
    assert told.footnotes == ("Only answers whose truth is known are counted.",)


def test_where_nothing_was_live_there_is_nothing_to_report(world: World) -> None:
    """It says what to type."""
    world.passed()
    with pytest.raises(NotFound, match=r"no version was ever live.*kairos deploy"):
        story_of(world.project)


def test_other_models_have_a_story_of_their_own(tmp_path: Path, stock: Stock) -> None:
    """Neither their deployments nor their decisions are told."""
    world = World(tmp_path / "toy", stock, SETTINGS + SETTINGS.partition("\n\n")[2].replace("demand", "alpha"))
    world.live(200.0)
    world.live(205.0, model="alpha")
    world.live(200.0, model="alpha")
    told = story(world)
    assert told.policies[0].deployments == 1
    assert {line.subject for line in told.decisions} == {"demand@1"}


def test_the_figures_are_of_the_models_own_loss(tmp_path: Path, stock: Stock) -> None:
    """Squared errors are called so, have the target's unit squared, and are what is averaged."""
    world = World(tmp_path / "toy", stock, SETTINGS.replace('time = "hour"', 'time = "hour"\nloss = "squared_error"'))
    world.live(200.0)
    world.keep([row(0, 100.0), row(1, 100.0)], [label(0, 110.0), label(1, 80.0)])
    world.clock.move_to(START + 10 * DAY)
    told = story(world)
    assert (told.loss, told.loss_unit, told.unit) == ("mean squared error", "users, squared", "users")
    assert told.policies[0].loss == told.days[0].kairos_loss == (100 + 400) / 2


def test_a_label_that_the_loss_cannot_take_is_left_out(tmp_path: Path, stock: Stock) -> None:
    """One 7 among zeros and ones stops no report of a log loss."""
    world = World(tmp_path / "toy", stock, SETTINGS.replace('time = "hour"', 'time = "hour"\nloss = "log_loss"'))
    world.live(200.0)
    world.keep([row(0, 0.5), row(1, 0.5)], [label(0, 1.0), label(1, 7.0)])
    world.clock.move_to(START + 10 * DAY)
    told = story(world)
    assert (told.loss, told.loss_unit) == ("mean log loss", "nats")
    assert told.policies[0].loss == pytest.approx(math.log(2))


def test_what_the_gate_saw_is_told_in_percent(world: World) -> None:
    """One line for each verdict with an interval, worse below 0."""
    world.live(205.0)
    worse = world.register(260.0)
    judge(world.project, worse)
    [line] = [line for line in story(world).gates if line.version == str(worse)]
    assert line.verdict == "fail"
    assert line.lower <= line.difference <= line.upper < 0
    assert line.margin == pytest.approx(1.0)
    assert line.n > 100


def test_all_policies_are_told_on_rows_whose_truth_is_known(world: World) -> None:
    """The others know it beforehand; Kairos has to wait for it."""
    world.live(200.0)
    world.clock.move_to(START + 2 * DAY)
    moments = [START, START + DAY, START + DAY + HOUR]
    others = {"never retrain": Backtest(at=moments, losses=np.array([1.0, 3.0, 50.0]), deployments=1, violations=0)}
    assert story(world, others=others).policies[1].loss == 2.0


def test_an_hour_of_which_not_every_target_is_known_is_not_drawn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first target may be known and its second not yet: then it has no loss, and no truth to stand beside it."""
    world.live(200.0)
    form = AnswerForm(outputs=(Output(name="users"), Output(name="later")))
    monkeypatch.setattr(storytelling, "live_form", lambda *_: form)
    rows = [row(hour, 100.0, told={"users": 100.0, "later": 90.0}) for hour in (0, 1)]
    known = [(0, "users"), (0, "later"), (1, "users")]
    labels = [replace(label(hour, 101.0), target=target) for hour, target in known]
    world.keep(rows, labels)
    world.clock.move_to(START + 3 * DAY)
    found = story(world)
    assert [(hour.at, hour.truth) for hour in found.hours] == [(START, 101.0)]
    assert found.policies[0].loss == (1.0 + 11.0) / 2
