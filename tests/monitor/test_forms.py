"""Labels of several outputs, what a version loses by them, and outputs beside the lead that drift."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from kairos.delivery.rollout import RolloutPolicy
from kairos.gates.losses import loss_named
from kairos.models.outputs import Output
from kairos.models.profile import Profile
from kairos.monitor.checks.quality import LossReference
from kairos.monitor.findings import Finding
from kairos.monitor.forms import AnswerForm
from kairos.monitor.holdout import HoldoutRows
from kairos.monitor.maturity import Maturity
from kairos.monitor.policy import MonitorPolicy
from kairos.monitor.rollout import gather
from kairos.monitor.tallies import Tallies
from kairos.monitor.watch import Monitor
from kairos.monitor.words import finding_words
from kairos.store.counts import Comparison
from kairos.store.predictions import Label, Prediction
from kairos.values import Window
from tests.monitor.logs import DAY, HOUR, START, new_log, prediction, write

STEPS = AnswerForm(outputs=(Output(name="h1"), Output(name="h2")))
KINDS = AnswerForm(outputs=(Output(name="kind", kind="class", classes=("cat", "dog")),))
BANDS = AnswerForm(outputs=(Output(name="users", kind="quantiles", quantiles=(0.1, 0.9)),))


def told(hour: int, numbers: dict[str, float], **changes: Any) -> Prediction:
    """An answer of several numbers, whose lead is the first."""
    return prediction(hour, next(iter(numbers.values())), told=dict(numbers), **changes)


def label(hour: int, value: float = math.nan, *, delay: timedelta = DAY, **said: Any) -> Label:
    return Label(prediction_id=f"p{hour}", value=value, at=START + hour * HOUR + delay, **said)


def rows_of(folder: Path, records: list[Prediction | Label]) -> pl.DataFrame:
    log = new_log(folder)
    write(log, records)
    return log.labelled("demand", Window(START, START + 9 * DAY), as_of=START + 9 * DAY)


def test_steps_whose_truth_comes_one_by_one_are_judged_once_all_are_there(tmp_path: Path) -> None:
    """The latest label of each target counts; a row that lacks one is not labelled yet."""
    records: list[Prediction | Label] = [
        *(told(hour, {"h1": 10.0, "h2": 20.0}) for hour in range(3)),
        *(label(hour, 11.0, target="h1") for hour in range(3)),
        label(0, 26.0, target="h2", delay=2 * DAY),
        label(1, 99.0, target="h2", delay=2 * DAY),
        label(1, 20.0, target="h2", delay=3 * DAY),
    ]
    rows = STEPS.with_losses(loss_named("absolute_error"), rows_of(tmp_path, records))
    assert rows.select("id", "label", "loss").rows() == [("p0", 11.0, 3.5), ("p1", 11.0, 0.5), ("p2", None, None)]
    arrived = new_log(tmp_path).arrivals("demand", Window(START, START + DAY), as_of=START + 9 * DAY)
    assert arrived["label_at"].to_list() == [START + 2 * DAY, START + HOUR + 2 * DAY, None]


def test_a_class_is_judged_by_its_name_whatever_its_place(tmp_path: Path) -> None:
    """One that nobody knows was given chance 0; a number is no name, and is told as unusable."""
    chances = {"kind.cat": 0.25, "kind.dog": 0.75}
    records: list[Prediction | Label] = [
        *(told(hour, chances) for hour in range(4)),
        label(0, text="dog"),
        label(1, text="cat"),
        label(2, text="bird"),
        label(3, 1.0),
    ]
    rows = KINDS.with_losses(loss_named("log_loss"), rows_of(tmp_path, records))
    assert rows["loss"].to_list() == pytest.approx([-math.log(0.75), -math.log(0.25), -math.log(1e-15), None])
    assert rows["label"].to_list() == [1.0, 0.0, -1.0, 1.0]
    tallies = Tallies(
        new_log(tmp_path),
        "demand",
        1,
        profile=Profile.fit({}, target=np.zeros(9), prediction=np.zeros(9), prediction_on="train"),
        loss_of=loss_named("brier"),
        live_since=START,
        matures_after=DAY,
        form=KINDS,
    )
    tallies.read(START + 4 * DAY)
    bad = tallies.unusable_labels()
    assert bad is not None
    assert (bad.labels, bad.prediction_id) == (1, "p3")
    truth = tallies.truth(min_rows=1)
    assert truth.losses.means.tolist() == pytest.approx([(0.0625 + 0.5625 + (0.0625 + 0.5625 + 1) / 2) / 3])


def test_quantiles_are_judged_by_one_number(tmp_path: Path) -> None:
    """Which lies between them, or costs what the pinball loss says."""
    records: list[Prediction | Label] = [told(0, {"users.q0.1": 8.0, "users.q0.9": 12.0}), label(0, 10.0)]
    rows = BANDS.with_losses(loss_named("pinball:0.1,0.9"), rows_of(tmp_path, records))
    assert rows["loss"].to_list() == pytest.approx([0.2])


@pytest.mark.parametrize("loss", ["log_loss", "brier"])
def test_two_versions_of_other_classes_are_compared_in_all_of_them(tmp_path: Path, loss: str) -> None:
    """What only the new version knows costs the old one a sure mistake, and the trial sees it."""
    three = AnswerForm(outputs=(Output(name="kind", kind="class", classes=("bird", "cat", "dog")),))
    new = {"kind.bird": 0.8, "kind.cat": 0.1, "kind.dog": 0.1}
    records = [
        row
        for hour in range(96)
        for row in (
            told(hour, {"kind.cat": 0.5, "kind.dog": 0.5}),
            told(hour, new, version=2, role="challenger", answered=False),
            label(hour, text="bird"),
        )
    ]
    log = new_log(tmp_path)
    write(log, records)
    found = gather(
        log,
        (),
        Comparison(model="demand", base=1, test=2, since=START),
        as_of=START + 6 * DAY,
        loss=loss_named(loss),
        reference=LossReference(mean=1.0, upper=1.1, cap=40.0, rows=300),
        policy=RolloutPolicy(),
        maturity=Maturity(matures_after=DAY),
        forms=(KINDS, three),
    )
    assert found.loss is not None
    old, fresh = {"log_loss": (-math.log(1e-15), -math.log(0.8)), "brier": (1.5, 0.04 + 0.02)}[loss]
    assert found.loss.pairs == 96
    assert found.loss.champion_mean == pytest.approx(old)
    assert found.loss.challenger_mean == pytest.approx(fresh)


def test_an_output_beside_the_lead_that_moves_is_found(tmp_path: Path) -> None:
    """The second step of a forecast doubles while the first stays: the finding names it."""
    random = np.random.default_rng(3)
    answers = random.normal(100.0, 10.0, size=(2000, 2))
    profile = Profile.fit(
        {}, target=answers[:, 0], prediction=answers[:, 0], prediction_on="holdout", outputs={"h2": answers[:, 1]}
    )
    live = random.normal(np.array([100.0, 130.0]), 10.0, size=(480, 2))
    log = new_log(tmp_path)
    write(log, [told(hour, {"h1": one, "h2": two}) for hour, (one, two) in enumerate(live.tolist())])
    findings = Monitor(log, MonitorPolicy()).look(
        "demand",
        version=1,
        profile=Profile.from_plain(profile.told()),
        reference=None,
        loss="absolute_error",
        loss_of=loss_named("absolute_error"),
        live_since=START,
        now=START + 20 * DAY,
        form=STEPS,
    )
    assert [(each.check, each.column, each.level) for each in findings] == [("prediction_drift", "h2", "warn")]
    assert findings[0].sentence.startswith("Output 'h2' moved since training")


def test_each_of_several_targets_is_looked_at_for_bias(tmp_path: Path) -> None:
    """By its own usual error and its own labels; the targets share the chance of error, and no other output has one."""
    random = np.random.default_rng(4)
    records: list[Prediction | Label] = []
    for hour in range(24 * 40):
        truth = {"h1": float(random.normal(100, 5)), "h2": float(random.normal(10, 2))}
        said = {"h1": truth["h1"] + float(random.normal(0, 5)), "h2": truth["h2"] + 2.0 + float(random.normal(0, 1))}
        records += [told(hour, said), *(label(hour, truth[name], target=name) for name in truth)]
    log = new_log(tmp_path)
    write(log, records)
    x = random.normal(size=400)
    profile = Profile.fit({"x": ("number", x)}, target=100 + 5 * x, prediction=100 + 5 * x, prediction_on="holdout")
    held = HoldoutRows(
        table=pl.DataFrame(),
        prediction=x,
        label=x,
        days=np.arange(400),
        usual_errors={"h1": 4.0, "h2": 0.8},
    )

    def look(form: AnswerForm, holdout: HoldoutRows | None) -> list[Finding]:
        """Of bias alone."""
        found = Monitor(log, MonitorPolicy()).look(
            "demand",
            version=1,
            profile=profile,
            reference=LossReference(mean=2.4, upper=2.6, cap=40.0, rows=400),
            loss="absolute_error",
            loss_of=loss_named("absolute_error"),
            live_since=START,
            now=START + 45 * DAY,
            form=form,
            holdout=holdout,
        )
        return [each for each in found if each.check == "prediction_bias"]

    [bias] = look(STEPS, held)
    assert (bias.column, bias.level) == ("h2", "alarm")
    assert 1.5 < bias.value < 2.4
    assert bias.threshold == pytest.approx(0.05 * 10, rel=0.1)
    assert bias.sentence.startswith("Predictions of 'h2' are too high by at least")
    assert "(98% at any number of looks)" in bias.sentence
    assert "of version 1 for h2 have been too high" in finding_words(bias)[0]
    assert look(STEPS, None) == [], "how far an error usually reaches is not known of the second"


def test_lists_that_came_at_one_moment_are_told_apart_by_their_names() -> None:
    """Without a name the rows of an entity are one list, as before there were names."""
    columns = {"at": [START] * 4, "version": [1] * 4, "key": [None] * 4, "output": [0.9, 0.1, 0.2, 0.8]}
    rows = pl.DataFrame({**columns, "label": [1.0, 0.0, 1.0, 0.0]})
    form, loss = AnswerForm(ranks=True), loss_named("pairwise_error")
    assert form.with_losses(loss, rows)["loss"].to_list() == [0.25]
    named = rows.with_columns(list_key=pl.Series(["a", "a", "b", "b"]))
    assert form.with_losses(loss, named)["loss"].to_list() == [0.0, 1.0]


@pytest.mark.parametrize("ranks", [True, False])
def test_a_trial_where_only_clicks_are_told_counts_the_rest_as_not_clicked(tmp_path: Path, *, ranks: bool) -> None:
    """Lists of clicks alone tell of no order, and rows that were clicked alone nothing of those that were not."""
    records: list[Prediction | Label] = []
    for hour in range(96):
        for place in range(3):
            asked = {"id": f"p{hour}.{place}", "key": f"u{hour % 7}"}
            records.append(prediction(hour, place / 2, **asked))
            records.append(prediction(hour, 1 - place / 2, **asked, version=2, role="challenger", answered=False))
        records.append(Label(prediction_id=f"p{hour}.2", value=1.0, at=START + hour * HOUR + DAY))
    log, form = new_log(tmp_path), AnswerForm(ranks=ranks)
    write(log, records)
    loss = loss_named("pairwise_error" if ranks else "absolute_error")
    means = {}
    for unlabelled in ("negative", "exclude"):
        found = gather(
            log,
            (),
            Comparison(model="demand", base=1, test=2, since=START),
            as_of=START + 6 * DAY,
            loss=loss,
            reference=LossReference(mean=0.2, upper=0.3, cap=1.0, rows=300),
            policy=RolloutPolicy(),
            maturity=Maturity(matures_after=DAY),
            forms=(form, form),
            unlabelled=unlabelled,
        ).loss
        means[unlabelled] = None if found is None else (found.pairs, found.champion_mean, found.challenger_mean)
    if ranks:
        assert means == {"negative": (96, 0.0, 1.0), "exclude": None}
    else:
        assert means == {"negative": (288, 0.5 / 3, 2.5 / 3), "exclude": (96, 0.0, 1.0)}


def test_a_trial_of_rankers_compares_the_orders_of_requests(tmp_path: Path) -> None:
    """One pair for each request whose labels tell of an order; a version that turns every list round is worse."""
    records: list[Prediction | Label] = []
    for hour in range(96):
        for place in range(3):
            asked = {"id": f"p{hour}.{place}", "key": f"u{hour % 7}"}
            records.append(prediction(hour, float(place), **asked))
            turned = {"version": 2, "role": "challenger", "answered": False}
            records.append(prediction(hour, -float(place), **asked, **turned))
            relevance = float(place) if hour else 1.0  # of the first request nothing is more relevant
            at = START + hour * HOUR + DAY
            records.append(Label(prediction_id=f"p{hour}.{place}", value=relevance, at=at))
    log = new_log(tmp_path)
    write(log, records)
    ranks = AnswerForm(ranks=True)
    found = gather(
        log,
        (),
        Comparison(model="demand", base=1, test=2, since=START),
        as_of=START + 6 * DAY,
        loss=loss_named("pairwise_error"),
        reference=LossReference(mean=0.2, upper=0.3, cap=1.0, rows=300),
        policy=RolloutPolicy(),
        maturity=Maturity(matures_after=DAY),
        forms=(ranks, ranks),
    )
    assert found.loss is not None
    assert (found.loss.pairs, found.loss.champion_mean, found.loss.challenger_mean) == (95, 0.0, 1.0)
