"""What a look says about days whose labels are still to come."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from kairos.gates.losses import loss_named
from kairos.models.outputs import Output
from kairos.models.profile import Profile
from kairos.monitor.checks.quality import LossReference, loss_reference
from kairos.monitor.delays import group_arrivals
from kairos.monitor.features import common_features, feature_matrix
from kairos.monitor.findings import Finding
from kairos.monitor.forms import AnswerForm
from kairos.monitor.holdout import HoldoutRows
from kairos.monitor.maturity import Maturity
from kairos.monitor.policy import MonitorPolicy
from kairos.monitor.watch import Monitor
from kairos.store.predictions import Label
from kairos.values import Window
from tests.monitor.logs import DAY, HOUR, START, label, new_log, prediction, profile_of, write
from tests.monitor.test_watch import absolute_error, again

DAYS = 50
LATE = Maturity(matures_after=20 * DAY)


def hours(rng: np.random.Generator, days: int, warmth: float) -> tuple[Any, Any, Any]:
    """Temperature, prediction and truth by the hour: errors grow with the temperature, which seldom leaves 10 much."""
    temperature = rng.normal(warmth, 6 if warmth == 10.0 else 4, size=24 * days)
    answers = 100 + 5 * rng.normal(size=24 * days)
    return temperature, answers, answers + np.maximum(temperature, 1) * rng.normal(size=24 * days)


@pytest.fixture(scope="module")
def holdout() -> HoldoutRows:
    """Sixty days of all temperatures."""
    temperature, answers, target = hours(np.random.default_rng(1), 60, 10.0)
    kind = ["work", "free"] * (len(answers) // 2)
    table = pl.DataFrame({"temp": temperature, "kind": kind, "unknown": "x"})
    return HoldoutRows(table=table, prediction=answers, label=target, days=np.arange(len(answers)) // 24)


@pytest.fixture(scope="module")
def reference(holdout: HoldoutRows) -> LossReference:
    """Its losses."""
    found = loss_reference(absolute_error(holdout.label, holdout.prediction))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def profile(holdout: HoldoutRows) -> Profile:
    """What training looked like."""
    return profile_of(holdout.table["temp"].to_numpy(), holdout.prediction, holdout.label)


def served(folder: Path, warmth: float, *, labelled_every: int = 0, off: float = 0.0) -> Any:
    """A log of fifty days; the last twenty are warmer or colder. Of these, some have a label after a day."""
    rng, log = np.random.default_rng(2), new_log(folder)
    records: list[Any] = []
    for first, days, mean in ((0, DAYS - 20, 10.0), (DAYS - 20, 20, warmth)):
        for place, (temp, answer, target) in enumerate(zip(*hours(rng, days, mean), strict=True)):
            hour = 24 * first + place
            inputs = {"temp": float(temp), "kind": "work" if hour % 2 else "free"}
            records.append(prediction(hour, float(answer), inputs=inputs))
            if first == 0 or (labelled_every and hour % labelled_every == 0):
                records.append(label(hour, float(target) + (off if first else 0.0)))
    write(log, records)
    return log


def look(
    log: Any, profile: Profile, reference: LossReference, holdout: HoldoutRows | None, **changes: Any
) -> dict[str, Finding]:
    given: dict[str, Any] = {"reference": reference, "holdout": holdout, "maturity": LATE} | changes
    now: datetime = given.pop("now", START + DAYS * DAY + HOUR)
    return {f.check: f for f in again(Monitor(log, MonitorPolicy()), profile, now, **given)}


def test_a_loss_that_must_have_risen_is_a_warning_before_its_labels_come(
    tmp_path: Path, profile: Profile, reference: LossReference, holdout: HoldoutRows
) -> None:
    """It is warmer by less than the holdout's warmest days, and errors were larger on these; nothing is proven."""
    log = served(tmp_path, 16.0)
    found = look(log, profile, reference, holdout)
    estimated = found["estimated_quality"]
    assert (estimated.level, estimated.rows) == ("warn", 24 * 20)
    assert estimated.window == Window(START + (DAYS - 20) * DAY, START + DAYS * DAY)
    assert estimated.lower is not None
    assert estimated.lower > estimated.threshold
    assert "while 0% of their labels are in (dle" in estimated.sentence
    assert "quality" not in found
    again_found = look(new_log(tmp_path), profile, reference, holdout, now=START + DAYS * DAY + 20 * HOUR)
    assert again_found["estimated_quality"] == estimated, "all day, and after a restart"


def test_nothing_is_said_where_labels_come_soon_or_nothing_rose(
    tmp_path: Path, profile: Profile, reference: LossReference, holdout: HoldoutRows
) -> None:
    """Nor without a holdout, or with too few rows."""
    log = served(tmp_path / "a", 16.0)
    cases: list[dict[str, Any]] = [
        {"maturity": Maturity(matures_after=DAY)},
        {"holdout": None},
        {"holdout": replace(holdout, label=holdout.label[:50], prediction=holdout.prediction[:50])},
        {"live_since": START + (DAYS - 3) * DAY},
    ]
    for changes in cases:
        assert "estimated_quality" not in look(log, profile, reference, **{"holdout": holdout, **changes})
    assert "estimated_quality" not in look(served(tmp_path / "b", 10.0), profile, reference, holdout)


def test_what_cannot_be_relied_on_is_no_warning(
    tmp_path: Path, profile: Profile, reference: LossReference, holdout: HoldoutRows
) -> None:
    """It is as hot as it never was: no row of the holdout says what happens then."""
    found = look(served(tmp_path, 60.0), profile, reference, holdout)
    assert found.get("estimated_quality") is None or found["estimated_quality"].level == "info"


def test_early_labels_say_what_inputs_do_not(
    tmp_path: Path, profile: Profile, reference: LossReference, holdout: HoldoutRows
) -> None:
    """The truth is off by 60 from one day to the next, inputs as ever: one label in eight is enough to warn."""
    blind = look(served(tmp_path / "a", 10.0, off=60.0), profile, reference, holdout)
    assert "estimated_quality" not in blind
    told = look(served(tmp_path / "b", 10.0, labelled_every=8, off=60.0), profile, reference, holdout)
    assert told["estimated_quality"].value == pytest.approx(60, abs=10)
    assert "while 12% of their labels are in" in told["estimated_quality"].sentence


def test_inputs_become_numbers_wherever_they_come_from(profile: Profile, holdout: HoldoutRows) -> None:
    """Levels by their place in the profile; what is missing, unknown, a pseudonym or text is none."""
    table = pl.DataFrame({"in.temp": ["3", None], "in.kind": ["free", "else"], "in.more": [1, 2]})
    names = common_features(table, profile, prefix="in.", kept=None)
    assert names == ["kind", "temp"]
    assert common_features(table, profile, prefix="in.", kept={"temp"}) == ["temp"]
    found = feature_matrix(table, profile, names, prefix="in.")
    place = float(profile.columns["kind"].levels.index("free"))
    assert found.is_category == (True, False)
    assert np.array_equal(found.matrix, [[place, 3.0], [np.nan, np.nan]], equal_nan=True)
    assert feature_matrix(table, profile, []).matrix.shape == (2, 0)


def test_labels_of_each_class_have_their_own_delays(tmp_path: Path) -> None:
    """High labels are slow here: they stand for more of those to come; of one kind only there is one group."""
    log = new_log(tmp_path)
    records: list[Any] = []
    for hour in range(24 * 40):
        high = hour % 3 == 0
        delay = (24 - hour % 24) * HOUR + (10 * DAY if high else DAY)
        records += [prediction(hour, 1.0), label(hour, 1.0 if high else 0.0, delay=delay)]
    write(log, records)
    now = START + 40 * DAY
    rows = log.arrivals("demand", Window(START, now), as_of=now)
    found = group_arrivals(rows, as_of=now)
    assert found is not None
    assert found.edges == (0.5,)
    assert found.youngest_s == 10 * 86400.0
    ages = np.array([5 * 86400.0, 5 * 86400.0, 12 * 86400.0])
    assert found.chances(np.array([0.0, 1.0, 1.0]), ages).tolist() == [1.0, 0.05, 1.0]
    alike = group_arrivals(rows.with_columns(label=pl.lit(7.0)), as_of=now)
    assert alike is not None
    assert alike.curves[0].ever == 1.0
    assert group_arrivals(rows.head(10), as_of=now) is None


TWO = AnswerForm(outputs=(Output(name="h1"), Output(name="h2")))
KIND = AnswerForm(outputs=(Output(name="kind", kind="class", classes=("cat", "dog")),))


def wide(rng: np.random.Generator, days: int, warmth: float, form: AnswerForm) -> tuple[Any, Any, Any]:
    """The same with two numbers a row; of two targets the second is off the more, of a class it is told less surely."""
    temperature = rng.normal(warmth, 6 if warmth == 10.0 else 4, size=24 * days)
    if form is TWO:
        answers = 100 + 5 * rng.normal(size=(24 * days, 2))
        spread = np.maximum(temperature, 1)[:, None] * np.array([0.5, 1.5])
        return temperature, answers, answers + spread * rng.normal(size=answers.shape)
    sure = np.full(24 * days, 0.95)
    truth = rng.random(24 * days) < np.clip(1.0 - np.maximum(temperature, 0) ** 2 / 600, 0.3, 1.0)
    return temperature, np.column_stack([1 - sure, sure]), truth.astype(np.float64)


@pytest.mark.parametrize("labelled_every", [0, 3])
@pytest.mark.parametrize(("form", "loss"), [(TWO, "absolute_error"), (KIND, "log_loss")])
def test_several_outputs_are_estimated_by_the_loss_of_a_row(
    tmp_path: Path, form: AnswerForm, loss: str, labelled_every: int
) -> None:
    """From inputs and all numbers; the interval holds what the labels say later, and some labels put it right."""
    loss_of, rng, log = loss_named(loss), np.random.default_rng(1), new_log(tmp_path)
    temperature, answers, truth = wide(rng, 60, 10.0, form)
    losses = loss_of(truth, answers)
    held = HoldoutRows(
        table=pl.DataFrame({"temp": temperature, "kind": ["work", "free"] * (len(losses) // 2)}),
        prediction=answers[:, 0],
        label=truth if truth.ndim == 1 else truth[:, 0],
        days=np.arange(len(losses)) // 24,
        answers=answers,
        losses=losses,
    )
    names = [name for output in form.outputs for name in output.names]
    records: list[Any] = []
    suffered = np.zeros(0)
    for first, days, warmth in ((0, DAYS - 20, 10.0), (DAYS - 20, 20, 16.0)):
        temperature, said, true = wide(rng, days, warmth, form)
        suffered = loss_of(true, said)
        for place, (temp, numbers, fact) in enumerate(zip(temperature.tolist(), said.tolist(), true, strict=True)):
            hour = 24 * first + place
            told = dict(zip(names, numbers, strict=True))
            records.append(prediction(hour, numbers[0], inputs={"temp": temp}, told=told))
            if first and not (labelled_every and hour % labelled_every == 0):
                continue
            at = START + hour * HOUR + DAY
            if form is TWO:
                records += [
                    Label(prediction_id=f"p{hour}", value=float(each), at=at, target=name)
                    for name, each in zip(names, fact, strict=True)
                ]
            else:
                text = ("cat", "dog")[int(fact)]
                records.append(Label(prediction_id=f"p{hour}", value=math.nan, text=text, at=at))
    write(log, records)
    profile = profile_of(held.table["temp"].to_numpy(), held.prediction, held.label)
    reference = loss_reference(losses)
    assert reference is not None
    found = look(log, profile, reference, held, form=form, loss=loss, loss_of=loss_of)
    estimated = found["estimated_quality"]
    assert estimated.level == "warn"
    assert estimated.lower is not None
    assert estimated.upper is not None
    assert estimated.lower <= suffered.mean() <= estimated.upper
    share = "32%" if labelled_every else "0%"
    assert f"while {share} of their labels are in" in estimated.sentence
    assert "quality" not in found
