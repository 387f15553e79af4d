"""A model may answer a row with more than one number: chances of classes, several targets, quantiles."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from lightgbm import LGBMClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from kairos.errors import DataRefused, PackageError
from kairos.gates.losses import loss_named
from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.goals import truth_of
from kairos.models.learn import Learn
from kairos.models.measure import LOSSES, MeasureModel, read_losses
from kairos.models.outputs import Output, among, answers_a_row, leads, told_row
from kairos.models.package import Package, open_package
from kairos.models.score import named_answers, score_table
from kairos.models.spec import PackageSpec
from kairos.values import Window
from tests.models.trainings import LEAKS, Request, finish, hours

FEATURES = ["hour_of_day", "temperature", "holiday"]
TABLE = hours().drop("hour", "weather", *LEAKS)
WORDS = TABLE.with_columns(
    users=pl.when(pl.col("users") < 50).then(pl.lit("few")).when(pl.col("users") < 100).then(pl.lit("some"))
    .otherwise(pl.lit("many"))
)  # fmt: skip
NUMBERED = WORDS.with_columns(users=pl.col("users").replace_strict({"few": 1, "some": 2, "many": 4}))
HOLES = WORDS.with_columns(temperature=pl.when(pl.col("hour_of_day") != 3).then(pl.col("temperature")))
TWO = WORDS.with_columns(users=pl.col("users").replace("some", "many"))
STEPS = TABLE.with_columns(h1=pl.col("users"), h2=pl.col("users") * 2.0 + pl.col("temperature")).drop("users")

CLASSIFIERS: dict[str, Any] = {
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=3, random_state=0),
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "lightgbm": lambda: LGBMClassifier(n_estimators=3, verbose=-1, random_state=0),
    "xgboost": lambda: XGBClassifier(n_estimators=3),
}


def packaged(folder: Path, returned: Any, table: pl.DataFrame, loss: str, **settings: Any) -> Package:
    """Finished and opened again."""
    return open_package(finish(folder, returned, ModelOptions(loss=loss, **settings), train=table), allow_pickle=True)


def of_steps(folder: Path, returned: Any, loss: str = "absolute_error", table: pl.DataFrame = STEPS) -> Package:
    """The same of the targets ``h1`` and ``h2``."""
    request = Request(returned=returned, inputs={"train": table}, workdir=folder, target="h1", targets=("h1", "h2"))
    options = ModelOptions(loss=loss, allow_pickle=True)
    return open_package(FinishModel(settings={"demand": options})(request), allow_pickle=True)


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize(
    ("table", "classes"),
    [(WORDS, ("few", "many", "some")), (NUMBERED, (1, 2, 4)), (TWO, ("few", "many"))],
    ids=["names", "numbers", "two names"],
)
def test_a_classifier_gives_a_chance_for_each_class(
    tmp_path: Path, kind: str, table: pl.DataFrame, classes: tuple[str | int, ...]
) -> None:
    """In the order of the classes, by name; with the compiled form, if there is one, as without it."""
    estimator = CLASSIFIERS[kind]()
    package = packaged(tmp_path, estimator, table, "log_loss")
    [output] = package.spec.signature.outputs
    assert (output.name, output.kind, output.classes) == ("users", "class", classes)
    expected = estimator.predict_proba(table.select(FEATURES).to_pandas() if kind == "lightgbm" else table[FEATURES])
    for answers in (score_table(package, table), package.native_runner().predict(_columns(package, table))):
        np.testing.assert_allclose(answers, expected, rtol=1e-6)
        np.testing.assert_allclose(answers.sum(axis=1), 1.0, rtol=1e-6)
    told = named_answers(package, score_table(package, table))
    assert list(told) == ["users", *(f"users.{name}" for name in classes)]
    assert [told["users"][row] for row in range(5)] == [classes[place] for place in expected[:5].argmax(axis=1)]


def _columns(package: Package, table: pl.DataFrame) -> dict[str, Any]:
    from kairos.models.score import score_columns

    return score_columns(package, table)


COMPILED: dict[str, tuple[Any, pl.DataFrame | None, float]] = {
    "line of classes": (make_pipeline(StandardScaler(), LogisticRegression()), WORDS, 1e-12),
    "boosting": (HistGradientBoostingClassifier(max_iter=5, random_state=0), HOLES, 1e-12),
    "scaled boosting": (
        make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=5, random_state=0)), WORDS, 1e-12
    ),
    "gradient boosting": (GradientBoostingClassifier(n_estimators=7, random_state=0), WORDS, 1e-12),
    "two classes by gradient boosting": (GradientBoostingClassifier(n_estimators=7, random_state=0), TWO, 1e-12),
    "two classes": (HistGradientBoostingClassifier(max_iter=5, random_state=0), TWO, 1e-12),
    "forest": (RandomForestClassifier(5, random_state=0), WORDS, 1e-12),
    "tree": (DecisionTreeClassifier(max_depth=4), WORDS, 1e-12),
    "lightgbm": (LGBMClassifier(n_estimators=5, verbose=-1, random_state=0), HOLES, 1e-12),
    "xgboost": (XGBClassifier(n_estimators=5), HOLES, 1e-6),
    "lines": (LinearRegression(), None, 1e-12),
    "forest of targets": (RandomForestRegressor(5, random_state=0), None, 1e-12),
}  # fmt: skip


@pytest.mark.parametrize("kind", COMPILED)
def test_the_compiled_form_gives_all_numbers(tmp_path: Path, kind: str) -> None:
    """The proof is about all of them; a row at a threshold, or without a value, goes the same way."""
    returned, table, tolerance = COMPILED[kind]
    package = of_steps(tmp_path, returned) if table is None else packaged(tmp_path, returned, table, "log_loss")
    assert package.answering == "compiled", package.compilation.why
    columns = _columns(package, STEPS if table is None else table)
    native, compiled = (runner.predict(columns) for runner in (package.native_runner(), package.compiled_runner()))
    np.testing.assert_allclose(compiled, native, rtol=0.0, atol=tolerance * np.abs(native).max())
    assert package.compilation.proof is not None
    assert package.compilation.proof.made_rows > 0


@pytest.mark.parametrize(
    "estimator", [LinearRegression(), RandomForestRegressor(5, random_state=0),
                  MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=3, random_state=0))]
)  # fmt: skip
def test_several_targets_are_predicted_together(tmp_path: Path, estimator: Any) -> None:
    """None of them is a feature of another; each is an output by its column's name."""
    package = of_steps(tmp_path, estimator)
    spec = package.spec
    assert (spec.target, spec.goals, spec.signature.names) == ("h1", ("h1", "h2"), tuple(FEATURES))
    np.testing.assert_allclose(score_table(package, STEPS), estimator.predict(STEPS[FEATURES]), rtol=1e-9)
    assert list(named_answers(package, score_table(package, STEPS))) == ["h1", "h2"]
    assert spec.baselines == (STEPS["h1"].median(), STEPS["h2"].median())


class Several:
    """An object that is no estimator and gives a frame: quantiles, or one column for each target."""

    def __init__(self, columns: int) -> None:
        self.columns = columns

    def predict(self, frame: Any) -> Any:
        """As forecasts of other libraries come."""
        hour = frame["hour_of_day"].to_numpy() * 1.0
        return pd.DataFrame({f"c{at}": hour + at for at in range(self.columns)})


def test_an_object_that_gives_a_frame_tells_quantiles_or_steps_ahead(tmp_path: Path) -> None:
    """How many columns there have to be follows from the loss and the targets; others are refused in words."""
    quantiles = packaged(tmp_path / "q", Several(3), TABLE, "pinball:0.1,0.5,0.9", allow_pickle=True)
    assert list(named_answers(quantiles, score_table(quantiles, TABLE))) == ["users.q0.1", "users.q0.5", "users.q0.9"]
    assert quantiles.spec.baselines == tuple(np.quantile(TABLE["users"], (0.1, 0.5, 0.9)))
    ahead = of_steps(tmp_path / "h", Several(2))
    np.testing.assert_array_equal(score_table(ahead, STEPS)[:, 1], STEPS["hour_of_day"] + 1.0)
    with pytest.raises(PackageError, match=r"2 numbers a row.*such as a data frame with a column for each"):
        of_steps(tmp_path / "no", Several(3))


@pytest.mark.parametrize(
    ("returned", "table", "loss", "words"),
    [
        (LinearSVC(), WORDS, "zero_one", "gives no probabilities"),
        (LinearRegression(), WORDS, "log_loss", "gives no probabilities"),
        (LogisticRegression(), WORDS, "absolute_error", "of names of classes a loss of brier, log_loss, zero_one"),
        (LogisticRegression(), TABLE.with_columns(users=pl.int_range(pl.len()) + 0), "log_loss", "too many classes"),
        (LogisticRegression(), WORDS.with_columns(users=pl.lit("one")), "log_loss", "too few classes"),
        (LogisticRegression(), WORDS.with_columns(users=pl.lit(None, pl.String)), "log_loss", "400 of 400 rows"),
        (LogisticRegression().fit(TWO[FEATURES], TWO["users"]), WORDS, "log_loss", "other classes than its training"),
    ],
)
def test_what_gives_no_chances_is_refused(
    tmp_path: Path, returned: Any, table: pl.DataFrame, loss: str, words: str
) -> None:
    """Before anything is written."""
    with pytest.raises((PackageError, DataRefused), match=words):
        packaged(tmp_path, returned, table, loss)
    assert not (tmp_path / "package").exists()


def test_several_targets_need_an_estimator_and_a_loss_of_several(tmp_path: Path) -> None:
    """The words say what to type."""
    with pytest.raises(PackageError, match="MultiOutputRegressor"):
        of_steps(tmp_path, HistGradientBoostingRegressor(max_iter=2))
    with pytest.raises(PackageError, match="its loss is not one of several"):
        of_steps(tmp_path, LinearRegression(), "log_loss")
    with pytest.raises(DataRefused, match=r"give its target 'h2' away"):
        of_steps(tmp_path, LinearRegression(), table=STEPS.with_columns(copy=pl.col("h2")))
    with pytest.raises(PackageError, match="lacks the target 'h2'"):
        of_steps(tmp_path, LinearRegression(), table=STEPS.drop("h2"))


def test_a_package_of_one_number_is_written_as_it_always_was(tmp_path: Path) -> None:
    """Format 1, without a word of outputs; of several numbers it is format 2, and both are read."""
    one = finish(tmp_path / "one", LinearRegression(), ModelOptions(), train=TABLE)
    spec = json.loads((one / "kairos/spec.json").read_bytes())
    assert spec["format"] == "1"
    assert not {"targets", "baselines"} & spec.keys()
    assert spec["signature"].keys() == {"columns", "output"}
    several = of_steps(tmp_path / "several", LinearRegression())
    assert several.spec.plain()["format"] == "2"
    for package in (open_package(one), several):
        assert PackageSpec.from_plain(package.spec.plain()) == package.spec


def test_a_class_that_training_did_not_hold_costs_as_much_as_a_sure_mistake(tmp_path: Path) -> None:
    """It is a truth that the model could not say."""
    package = packaged(tmp_path, CLASSIFIERS["logistic"](), WORDS, "log_loss")
    fresh = WORDS.head(2).with_columns(users=pl.Series(["few", "heaps"]))
    truth = truth_of(fresh, package.spec.goals, package.spec.signature.outputs)
    assert truth.tolist() == [0.0, -1.0]
    assert loss_named("log_loss")(truth, score_table(package, fresh))[1] == pytest.approx(34.5, abs=0.1)


def test_one_number_stands_for_an_answer_where_only_one_can_be_shown() -> None:
    """The place of a class with a name, the number of one without, the first of several numbers."""
    names, numbers = (Output(name="k", kind="class", classes=c) for c in (("a", "b"), (3, 7)))
    chances = np.array([[0.5, 0.5], [0.1, 0.9], [np.nan, 0.2]])
    np.testing.assert_array_equal(leads([names], chances), [0.0, 1.0, np.nan])
    np.testing.assert_array_equal(leads([numbers], chances), [3.0, 7.0, np.nan])
    spread = Output(name="q", kind="quantiles", quantiles=(0.1, 0.5, 0.9))
    np.testing.assert_array_equal(leads([spread], np.array([[1.0, 2.0, 3.0]])), [2.0])
    assert told_row([names], [0.5, 0.5])["k"] == "a"
    assert among(names, ("b", "z", "a"), chances[1:2]).tolist() == [[0.9, 0.0, 0.1]]
    with pytest.raises(PackageError, match=r"2 numbers a row.*k\.a, k\.b"):
        answers_a_row(np.ones((4, 3)), 4, [names])


@pytest.mark.parametrize("loss", ["log_loss", "absolute_error"])
def test_what_a_step_would_have_lost_is_measured_over_all_numbers(tmp_path: Path, loss: str) -> None:
    """As it is of one number: trained on what was known, judged on a block of days after it."""
    when = hours().select("hour")
    is_class = loss == "log_loss"
    table = pl.concat([when, WORDS if is_class else STEPS], how="horizontal")
    targets = ("users",) if is_class else ("h1", "h2")
    until = datetime(2011, 1, 11, tzinfo=UTC)
    options = ModelOptions(
        target=targets[0], targets=targets if len(targets) > 1 else (), time="hour", loss=loss, lower=0.0
    )
    block = Window(until, until + timedelta(days=3))
    measure = MeasureModel(
        step="demand", options=options, learn=Learn(), block=block, known_until=until, clip=not is_class
    )
    estimator: Any = CLASSIFIERS["logistic"]() if is_class else LinearRegression()
    given = {"train": table}
    known = dict(measure.prepare("demand", targets[0], given, {}))
    request = Request(returned=estimator, inputs=known, given=given, workdir=tmp_path, target=targets[0])
    found = read_losses((measure(replace(request, targets=options.targets)) / LOSSES).read_bytes())
    rows = table.filter(pl.col("hour") >= until, pl.col("hour") < block.end)
    answers = (
        estimator.predict_proba(rows[FEATURES]) if is_class else np.clip(estimator.predict(rows[FEATURES]), 0, None)
    )
    outputs = (Output(name="users", kind="class", classes=("few", "many", "some")),) if is_class else ()
    losses = loss_named(loss)(truth_of(rows, targets, outputs), answers)
    assert (found["days"], found["rows"]) == ([0, 1, 2], [24, 24, 24])
    assert sum(found["losses"]) == pytest.approx(losses.sum())


def test_a_target_of_arrays_is_told_how_it_becomes_several(tmp_path: Path) -> None:
    """Steps ahead in one cell are a column each; what is told to type makes them."""
    table = TABLE.select("temperature", "hour_of_day", users=pl.concat_list(pl.col("users"), pl.col("users") * 2.0))
    with pytest.raises(DataRefused, match=r"'users'.*holds arrays.*shape \[2\].*list.to_struct\(fields=names\)"):
        finish(tmp_path / "one", LinearRegression(), ModelOptions(loss="squared_error"), train=table)
    names = ["h1", "h2"]
    several = table.with_columns(pl.col("users").list.to_struct(fields=names)).unnest("users")
    made = FinishModel(settings={"demand": ModelOptions(loss="squared_error", target="h1", targets=("h1", "h2"))})(
        Request(returned=LinearRegression(), inputs={"train": several}, workdir=tmp_path / "two", target=None)
    )
    assert score_table(open_package(made), several).shape == (len(table), 2)
