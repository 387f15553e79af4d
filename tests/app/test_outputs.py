"""Models of several numbers a row, from a run to a verdict: they are measured, gated, and compared with each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kairos.app.carding import make_card, markdown
from kairos.app.explaining import explain
from kairos.app.judging import judge
from kairos.app.labelling import LabelsTaken, take_labels
from kairos.app.losses import fresh_rows, losses_on, simple_answers, truth_on
from kairos.app.measuring import answers_alike
from kairos.app.packages import holdout_table, open_stored
from kairos.app.quality import quality_of
from kairos.app.refitting import _evidence
from kairos.app.serving import make_server
from kairos.app.training import train
from kairos.app.watching import Watch
from kairos.errors import UsageError
from kairos.gates.losses import loss_named
from kairos.models.package import Package
from kairos.models.score import named_answers, score_table
from kairos.pipeline.engine.local import LocalEngine
from kairos.serving.app import make_app
from kairos.values import Json, Window
from tests.app.worlds import DAY, PIPELINE, SETTINGS, Stock, World
from tests.serving.toys import Client

Make = Callable[[str, str], World]

CLASSES = PIPELINE.replace("return DummyRegressor()", "return LogisticRegression(max_iter=MAX)").replace(
    "from sklearn.dummy import DummyRegressor", "from sklearn.linear_model import LogisticRegression\n\nMAX = 1000"
).replace("-> DummyRegressor", "-> LogisticRegression").replace(
    '"users": users}', '"users": pl.select(pl.when(users < 190).then(pl.lit("few")).when(users < 200)'
    '.then(pl.lit("some")).otherwise(pl.lit("many"))).to_series()}'
)  # fmt: skip
LINES = PIPELINE.replace("DummyRegressor", "LinearRegression").replace("sklearn.dummy", "sklearn.linear_model")
TARGETS = LINES.replace(
    '"users": users}', '"users": users, "later": users.shift(-1).fill_null(200.0)}'
).replace('target="users"', 'target=["users", "later"]')  # fmt: skip
WEEKS = Window.parse("2011-12-04..2011-12-31")


@pytest.fixture
def make(tmp_path: Path, stock: Stock, engine: LocalEngine) -> Make:
    """Makes a project that can train."""

    def made(settings: str, pipeline: str) -> World:
        world = World(tmp_path / "toy", stock, settings, pipeline)
        world.project.engine = engine
        return world

    return made


def test_a_classifier_of_names_is_measured_and_gated_by_its_chances(make: Make) -> None:
    """First against the classes' shares, then against the champion."""
    world = make(SETTINGS.replace('time = "hour"', 'time = "hour"\nloss = "log_loss"'), CLASSES)
    project = world.project
    first = train(project, window=WEEKS)
    [version] = first.versions
    model = project.settings.model("demand")
    state = world.model().version(version.number)
    package = open_stored(project.store, state.package, allow_pickle=False)
    rows = fresh_rows(holdout_table(project, model, first.result.plain()), model, [package])
    loss = loss_named("log_loss")
    truth = truth_on(rows, package)
    own, constant = (loss(truth, said).mean() for said in (score_table(package, rows), simple_answers(rows, package)))
    assert first.metrics["demand.log_loss"] == pytest.approx(own)
    assert first.metrics["demand.log_loss.baseline.constant"] == pytest.approx(constant)
    assert own < first.metrics["demand.log_loss.baseline.linear"] < constant
    assert first.baselines["demand"].left_out == {"last_value": "a last value is no chance"}
    passed = judge(project, version)
    assert (passed.decision.verdict, passed.evidence.baseline) == ("pass", "simple baseline")
    card = markdown(make_card(project, version))
    assert "It answers with `users`, `users.few`, `users.many`, `users.some`." in card
    assert "its answers went from" not in card, "the places of classes are no amounts"
    world.put(version, "live")
    (world.root / "pipeline.py").write_text(CLASSES.replace("MAX = 1000", "MAX = 1").replace("=MAX", "=MAX, C=1e-6"))
    [worse] = train(project, window=WEEKS).versions
    failed = judge(project, worse)
    assert (failed.decision.verdict, failed.against) == ("fail", version)


def test_several_targets_have_a_mean_and_one_each(make: Make) -> None:
    """The gate judges the mean over the targets of each row; a run tells each target's as well."""
    world = make(SETTINGS.replace('target = "users"', 'target = ["users", "later"]'), TARGETS)
    found = train(world.project, window=WEEKS)
    names = ["demand.absolute_error", "demand.absolute_error.later", "demand.absolute_error.users"]
    beside = [f"demand.absolute_error.baseline.{each}" for each in ("constant", "last_value", "linear")]
    assert sorted(found.metrics) == sorted([*names, *(f"{name}.baseline" for name in names), *beside])
    whole, *each = (found.metrics[name] for name in names)
    assert whole == pytest.approx(np.mean(each))
    assert judge(world.project, found.versions[0]).decision.verdict == "pass"


def test_a_class_that_only_one_of_two_knows_is_a_truth_for_both(make: Make) -> None:
    """The champion of fewer classes is compared, and what it cannot say costs it as much as a sure mistake."""
    settings = SETTINGS.replace('time = "hour"', 'time = "hour"\nloss = "log_loss"')
    fewer = CLASSES.replace(
        "return Split(rentals.filter(~is_late)", 'return Split(rentals.filter(~is_late & (pl.col("users") != "some"))'
    )
    world = make(settings, fewer)
    [old] = train(world.project, window=WEEKS).versions
    judge(world.project, old)
    world.put(old, "live")
    (world.root / "pipeline.py").write_text(CLASSES)
    [new] = train(world.project, window=WEEKS).versions
    judged = judge(world.project, new)
    assert (judged.decision.verdict, judged.against) == ("pass", old)
    assert judged.evidence.metrics["log_loss"].champion > 5.0
    project, model = world.project, world.project.settings.model("demand")
    states = [world.model().version(ref.number) for ref in (new, old)]
    packages = [open_stored(project.store, state.package) for state in states]
    assert answers_alike(project, model, states[0].package, states[1].package, _run(world), 0.01) is None
    told = _evidence(project, model, world.model(), *states)
    run = world.facts("run.finished")[0].body
    rows = fresh_rows(holdout_table(project, model, run), model, packages[1:])
    assert told.own == pytest.approx(losses_on(rows, packages[0], model).mean())
    assert told.twins == pytest.approx(losses_on(rows, packages[1], model).mean())
    assert told.own < 1.0 < 5.0 < told.twins


def _run(world: World) -> Json:
    return world.facts("run.finished")[-1].body


def test_what_is_live_answers_in_names_and_takes_labels_in_names(make: Make, tmp_path: Path) -> None:
    """The server gives what a table of answers gives; what is true is a class's name, and no other name or number."""
    settings = SETTINGS.replace('time = "hour"', 'time = "hour"\nloss = "log_loss"')
    world = make(settings, CLASSES)
    project = world.project
    [version] = train(project, window=WEEKS).versions
    judge(project, version)
    world.put(version, "live")
    state = world.model().version(version.number)
    package = open_stored(project.store, state.package, allow_pickle=False)
    rows = pl.DataFrame({"temperature": [1.0, 12.0, 23.0]})
    with Client(make_app(make_server(project))) as client:
        given = client.post("/predict/demand", json=rows.to_dicts()).json()["predictions"]
        ids = [row["prediction_id"] for row in given]
        refused = [
            client.post("/labels", json={"labels": [{"prediction_id": ids[0], "value": value}]})
            for value in (1, "lots", {"users": 3.0})
        ]
        label = {"prediction_id": ids[0], "value": "few"}
        assert client.post("/labels", json={"labels": [label]}).json() == {"labels": 1}
    named = named_answers(package, score_table(package, rows))
    assert [row["prediction"] for row in given] == [
        dict(zip(named, each, strict=True)) for each in zip(*named.values(), strict=True)
    ]
    assert [each.status_code for each in refused] == [422, 422, 422]
    assert all("'few', 'many' or 'some'" in each.text for each in refused)
    labels = tmp_path / "labels.csv"
    labels.write_text(f"prediction_id,value\n{ids[1]},1\n")
    with pytest.raises(UsageError, match=r"Line 2 of labels\.csv.*cannot be judged by.*'few', 'many' or"):
        take_labels(project, labels)
    labels.write_text(f"prediction_id,value\n{ids[0]},few\n{ids[1]},some\n{ids[2]},many\n")
    assert take_labels(project, labels) == LabelsTaken(labels=3, new=2, joined=3)
    assert take_labels(project, labels).new == 0
    model = project.settings.model("demand")
    watch = Watch(project, model)
    assert not [each for each in watch.look() if each.level == "alarm"]
    seen = quality_of(project, model, world.model().version(version.number), watch)
    assert [rows for _, _, rows in seen.days] in ([], [3])  # on the first day of a world nothing is mature
    assert explain(project, ids[1]).label == "some"
    assert seen.usual == pytest.approx(losses_on(_held(world, package), package, model).mean())
    assert explain(project, given[0]["prediction_id"]).arms[0].told["users"] in ("few", "some", "many")


def _held(world: World, package: Package) -> pl.DataFrame:
    """The rows that the last run held out."""
    run = world.facts("run.finished")[-1].body
    model = world.project.settings.model("demand")
    return fresh_rows(holdout_table(world.project, model, run), model, [package])


def test_several_targets_that_are_live_are_watched(make: Make) -> None:
    """By the lead, and by the mean loss over the targets that was measured on the rows held out."""
    world = make(SETTINGS.replace('target = "users"', 'target = ["users", "later"]'), TARGETS)
    project, model = world.project, world.project.settings.model("demand")
    [version] = train(project, window=WEEKS).versions
    judge(project, version)
    world.put(version, "live")
    with Client(make_app(make_server(project))) as client:
        rows = [{"temperature": float(at % 24)} for at in range(50)]
        given = client.post("/predict/demand", json=rows).json()["predictions"]
    assert given[0]["prediction"].keys() == {"users", "later"}
    watch, state = Watch(project, model), world.model().version(version.number)
    watch.look()
    package = open_stored(project.store, state.package, allow_pickle=False)
    assert quality_of(project, model, state, watch).usual == pytest.approx(
        losses_on(_held(world, package), package, model).mean()
    )


def test_labels_of_several_targets_come_as_they_are_known_and_are_judged_together(make: Make, tmp_path: Path) -> None:
    """From a file with a column each, with cells that wait, and by POST; a day's loss is the mean over the targets."""
    world = make(SETTINGS.replace('target = "users"', 'target = ["users", "later"]'), TARGETS)
    project, model = world.project, world.project.settings.model("demand")
    [version] = train(project, window=WEEKS).versions
    judge(project, version)
    world.put(version, "live")
    with Client(make_app(make_server(project))) as client:
        given = client.post("/predict/demand", json=[{"temperature": float(at)} for at in range(24)]).json()
        answers = [row["prediction"] for row in given["predictions"]]
        ids = [row["prediction_id"] for row in given["predictions"]]
        lines = [f"{name},{answer['users'] + 4.0}," for name, answer in zip(ids, answers, strict=True)]
        labels = tmp_path / "labels.csv"
        labels.write_text("\n".join(["prediction_id,users,later", *lines]))
        assert take_labels(project, labels) == LabelsTaken(labels=24, new=24, joined=24)
        labels.write_text(f"prediction_id,users,later\n{ids[0]},,\n")
        with pytest.raises(UsageError, match=r"Line 2 of labels\.csv has no value.*one or more of users, later"):
            take_labels(project, labels)
        labels.write_text(f"prediction_id,users,later\n{ids[0]},1,many\n")
        with pytest.raises(UsageError, match=r"Line 2 of labels\.csv has no value of 'later'.*many.*a finite number"):
            take_labels(project, labels)
        assert explain(project, ids[0]).label == {"users": answers[0]["users"] + 4.0}
        watch, state = Watch(project, model), world.model().version(version.number)
        world.clock.move_to(world.clock.now() + 3 * DAY)
        assert not quality_of(project, model, state, watch).days
        later = [
            {"prediction_id": name, "value": {"later": answer["later"] - 2.0}}
            for name, answer in zip(ids, answers, strict=True)
        ]
        assert client.post("/labels", json={"labels": later}).json() == {"labels": 24}
    [(_, loss, rows)] = quality_of(project, model, state, Watch(project, model)).days
    assert rows == 24
    assert loss == pytest.approx(3.0)
    assert (
        project.predictions.arrivals("demand", Window(state.since, world.clock.now()), as_of=world.clock.now())[
            "label_at"
        ]
        .is_not_null()
        .all()
    )
