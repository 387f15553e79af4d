"""The simple models beside a model: what they answer, which of them is taken, and that none looks ahead."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge

from kairos.models.baselines.choosing import Series, fit_baselines
from kairos.models.baselines.fitted import Baselines, last_answers
from kairos.models.baselines.fitting import fit_linear, no_line
from kairos.models.baselines.last_value import WEEK_S, History, LastValue, codes_of, suits_week
from kairos.models.baselines.names import BASELINES, BaselineName
from kairos.models.frames import FrameColumn, read_column
from kairos.models.outputs import Output
from kairos.values import canonical_json

HOUR = 3_600
ROWS = 600
NOBODY = Series(time=None, entity=None, delay_s=0.0)


def table(seed: int = 0, rows: int = ROWS) -> pl.DataFrame:
    """Numbers, a category, a boolean and free text, some of it missing."""
    random = np.random.default_rng(seed)
    kinds = random.choice(["a", "b", "c"], rows)
    frame = pl.DataFrame(
        {
            "x": random.normal(10, 3, rows),
            "hour": random.integers(0, 24, rows),
            "kind": kinds,
            "open": random.random(rows) < 0.5,
            "note": [f"note {at}" for at in range(rows)],
        }
    )
    return frame.with_columns(
        x=pl.when(pl.Series(random.random(rows) < 0.1)).then(None).otherwise("x"),
        kind=pl.when(pl.Series(random.random(rows) < 0.1)).then(None).otherwise("kind"),
    )


def read(frame: pl.DataFrame) -> dict[str, FrameColumn]:
    """All its columns."""
    return {name: read_column(frame, name) for name in frame.columns}


def values(columns: dict[str, FrameColumn]) -> dict[str, np.ndarray[Any, Any]]:
    """As arrays."""
    return {name: column.values for name, column in columns.items()}


def test_a_line_is_ridge_on_standardised_numbers_and_levels() -> None:
    """As scikit-learn fits it to the same matrix: a term for each hour and kind and for missing numbers."""
    frame = table()
    columns, random = read(frame), np.random.default_rng(1)
    target = np.nan_to_num(columns["x"].values, nan=4.0) * 2 + columns["hour"].values + random.normal(size=ROWS)
    line = fit_linear(columns, target, "squared_error", (), np.arange(ROWS))
    x, hour = columns["x"].values, columns["hour"].values.astype(float)
    known, is_open = np.isfinite(x), columns["open"].values.astype(float)
    parts = [np.where(known, (x - x[known].mean()) / x[known].std(), 0.0), (~known).astype(float)]
    parts += [(each - each.mean()) / each.std() for each in (hour, is_open)]
    parts += [(hour == each).astype(float) for each in range(24)]
    parts += [np.array([value == each for value in columns["kind"].values], dtype=float) for each in ("a", "b", "c")]
    held = np.column_stack(parts)
    wanted = Ridge(alpha=1.0).fit(held, target).predict(held)
    assert line.answers(values(columns), ROWS) == pytest.approx(wanted, rel=1e-6)
    assert "note" not in line.terms.names


def test_a_line_of_chances_is_a_logistic_regression() -> None:
    """Of 0 and 1 the chance of 1; of three classes a chance for each; judged right or wrong, a class."""
    frame = table().select("x", "hour").with_columns(x=pl.col("x").fill_null(10.0))
    columns = read(frame.with_columns(pl.col("hour").cast(pl.Float64)))
    target = (columns["x"].values > 10).astype(float)
    said = fit_linear(columns, target, "log_loss", (), np.arange(ROWS)).answers(values(columns), ROWS)
    held = np.column_stack([(each.values - each.values.mean()) / each.values.std() for each in columns.values()])
    wanted = LogisticRegression(max_iter=60, tol=1e-3).fit(held, target).predict_proba(held)[:, 1]
    assert said == pytest.approx(wanted, abs=1e-6)
    three = np.digitize(columns["x"].values, [9.0, 11.0]).astype(float)
    output = Output(name="kind", kind="class", classes=("low", "mid", "up"))
    chances = fit_linear(columns, three, "log_loss", (output,), np.arange(ROWS)).answers(values(columns), ROWS)
    assert chances.shape == (ROWS, 3)
    assert chances.sum(axis=1) == pytest.approx(np.ones(ROWS))
    assert (chances.argmax(axis=1) == three).mean() > 0.8
    named = fit_linear(columns, three + 7, "zero_one", (), np.arange(ROWS)).answers(values(columns), ROWS)
    assert set(named.tolist()) <= {7.0, 8.0, 9.0}
    assert (named == three + 7).mean() > 0.8


@pytest.mark.parametrize(
    ("loss", "outputs", "share"),
    [
        ("absolute_error", (), 0.5),
        ("pinball:0.9", (), 0.9),
        ("pinball:0.1,0.9", (Output(name="y", kind="quantiles", quantiles=(0.1, 0.9)),), 0.1),
    ],
)
def test_a_line_begins_where_the_loss_is_least(loss: str, outputs: Sequence[Output], share: float) -> None:
    """Half of the truths lie below it, or the share that was asked for; of several quantiles the share of each."""
    columns, random = read(table()), np.random.default_rng(2)
    target = columns["hour"].values + random.exponential(10, ROWS)
    said = fit_linear(columns, target, loss, outputs, np.arange(ROWS)).answers(values(columns), ROWS)
    if outputs:
        assert said.shape == (ROWS, 2)
        assert (target < said[:, 1]).mean() == pytest.approx(0.9, abs=0.02)
        said = said[:, 0]
    assert (target < said).mean() == pytest.approx(share, abs=0.02)


def test_a_line_takes_what_it_has_not_seen() -> None:
    """Other levels and values missing for the first time count as nothing; a number far outside ends at 8 spreads."""
    columns = read(table().drop_nulls())
    target = columns["hour"].values * 1.0
    line = fit_linear(columns, target, "squared_error", (), np.arange(len(target)))
    held = {
        "x": np.array([np.nan, 1e15]),
        "hour": np.array([99, 3]),
        "kind": np.array(["new", None], dtype=object),
        "open": np.array([None, True], dtype=object),
    }
    said = line.answers(held, 2)
    assert np.isfinite(said).all()
    assert abs(said[1] - 3) < 2


def test_of_many_columns_the_most_related_stay() -> None:
    """At most 300 terms, the ones that tell the target among them."""
    random = np.random.default_rng(3)
    numbers = random.normal(size=(200, 400))
    columns = read(pl.DataFrame({f"c{at}": numbers[:, at] for at in range(400)}))
    line = fit_linear(columns, numbers[:, 399] * 3 + numbers[:, 7], "squared_error", (), np.arange(200))
    assert len(line.weights) <= 301
    assert {"c399", "c7"} <= set(line.terms.names)


@given(
    moments=st.lists(st.integers(0, 40), min_size=1, max_size=30),
    who=st.lists(st.integers(0, 2), min_size=30, max_size=30),
    delay=st.integers(0, 12),
    season=st.sampled_from([None, 5]),
)
def test_the_last_value_is_one_that_was_known(
    moments: list[int], who: list[int], delay: int, season: int | None
) -> None:
    """Found one by one: of the same entity, known ``delay`` before the row's moment and never at it, the latest; of a
    season the latest that lies whole seasons back."""
    at, entity = np.array(moments), np.array(who[: len(moments)])
    history = History(at_s=at, entity=entity, truth=np.arange(len(at), dtype=float))
    said = LastValue(delay_s=delay, season_s=season).answers(history, at, entity)
    for row in range(len(at)):
        known = [i for i in range(len(at)) if entity[i] == entity[row] and at[i] <= at[row] - max(delay, 1)]
        first = 1 if season is None else max(1, -(-delay // season))
        same = [i for back in range(first, first + 4) for i in known if season and at[i] == at[row] - back * season]
        best = max(known, key=lambda i: (at[i], i), default=None)
        if same:
            latest = at[same[0]]
            best = max(i for i in same if at[i] == latest)
        assert np.isnan(said[row]) if best is None else said[row] == best


def hours(rows: int, weeks: Sequence[float] = (1.0,)) -> pl.DataFrame:
    """A truth for each hour that repeats each week, in two places."""
    at = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 12, 1), "1h", eager=True).head(rows)
    week = np.arange(rows) % 168 * np.resize(np.array(weeks), rows)
    one = pl.DataFrame({"at": at, "place": "A", "y": week * 1.0})
    return pl.concat([one, one.with_columns(place=pl.lit("B"), y=pl.col("y") + 1000)])


def fitted(frame: pl.DataFrame, asked: Sequence[BaselineName] = BASELINES, **words: Any) -> Baselines:
    """Of a table with a target ``y``."""
    columns = read(frame.drop("y", "at", "place", strict=False))
    given: dict[str, Any] = {"loss": "absolute_error", "series": NOBODY, "outputs": ()} | words
    return fit_baselines(frame, columns, frame["y"].to_numpy(), asked=asked, **given)


def test_the_same_hour_of_the_week_is_taken_where_it_is_better() -> None:
    """And the last value where the target wanders; the constant of before the tail is measured on the tail."""
    series = Series(time="at", entity="place", delay_s=24 * HOUR)
    frame = hours(168 * 6).with_columns(x=pl.lit(1.0) + pl.int_range(pl.len()) % 2)
    found = fitted(frame, series=series)
    assert found.chosen == "last_value"
    assert found.last_value == LastValue(delay_s=24 * HOUR, season_s=WEEK_S)
    assert found.inner["last_value"] == 0.0
    wander = frame.with_columns(y=pl.Series(np.random.default_rng(0).normal(size=len(frame)).cumsum()))
    assert fitted(wander, series=series).last_value == LastValue(delay_s=24 * HOUR)


def test_the_best_on_the_tail_of_training_is_taken() -> None:
    """Each fifth row where there is no time; a tie, and too few rows, go to the simplest."""
    random = np.random.default_rng(0)
    x = random.normal(size=300)
    line = fitted(pl.DataFrame({"x": x, "y": 3 * x}))
    assert (line.chosen, line.names) == ("linear", ("linear", "constant"))
    assert line.inner["linear"] < 0.1 < line.inner["constant"]
    flat = fitted(pl.DataFrame({"x": x, "y": np.ones(300)}))
    assert (flat.chosen, flat.inner["linear"], flat.inner["constant"]) == ("constant", 0.0, 0.0)
    few = fitted(pl.DataFrame({"x": x, "y": 3 * x}).head(10))
    assert (few.chosen, few.linear is None) == ("constant", False)


@pytest.mark.parametrize(
    ("words", "name", "why"),
    [
        ({}, "last_value", "the settings name no time"),
        ({"series": Series(time="at", entity=None, delay_s=0.0)}, "last_value", "rows share a moment"),
        ({"series": Series(time="at", entity="who", delay_s=0.0)}, "last_value", "has no 'who'"),
        ({"series": Series(time="when", entity=None, delay_s=0.0)}, "last_value", "has no 'when'"),
        ({"loss": "brier"}, "last_value", "a last value is no chance"),
    ],
)
def test_what_does_not_apply_is_told(words: dict[str, Any], name: BaselineName, why: str) -> None:
    """With the reason; the others are fitted all the same."""
    frame = hours(200).with_columns(x=pl.int_range(pl.len()) % 7, y=(pl.col("y") > 90).cast(pl.Float64))
    found = fitted(frame, **words)
    assert why in found.left_out[name]
    assert set(found.names) == {"constant", "linear"}


def test_classes_and_text_without_a_line_are_told() -> None:
    """One class, too many of them, or nothing but free text."""
    frame = table()
    columns = read(frame)
    notes = {"note": columns["note"]}
    assert no_line(notes, np.zeros(ROWS), "absolute_error", ()) == "every input is free text"
    assert no_line(columns, np.zeros(ROWS), "log_loss", ()) == "all rows are of one class"
    assert no_line(columns, np.arange(ROWS, dtype=np.float64), "zero_one", ()) == "there are more than 30 classes"
    assert no_line(columns, np.arange(ROWS, dtype=np.float64), "squared_error", ()) is None


def test_several_targets_and_names_of_classes_have_a_last_value() -> None:
    """Of targets each its own, once it is told how late they are known; of a class the class for sure."""
    frame = hours(400).filter(pl.col("place") == "A").with_columns(x=pl.int_range(pl.len()) % 5)
    both = np.column_stack([frame["y"].to_numpy(), -frame["y"].to_numpy()])
    outputs = (Output(name="h1"), Output(name="h2"))
    words: dict[str, Any] = {"loss": "absolute_error", "asked": BASELINES}
    columns = read(frame.select("x"))
    untold = fit_baselines(frame, columns, both, outputs, series=Series(time="at", entity=None, delay_s=0), **words)
    assert "several targets" in untold.left_out["last_value"]
    told = fit_baselines(frame, columns, both, outputs, series=Series(time="at", entity=None, delay_s=HOUR), **words)
    assert told.last_value is not None
    at = frame["at"].dt.epoch("s").to_numpy()
    nobody = np.zeros(400, dtype=np.int64)
    history = History(at_s=at, entity=nobody, truth=both)
    said = last_answers(LastValue(delay_s=HOUR), history, at, nobody, constant=(5.0, 6.0), outputs=outputs)
    assert said[0].tolist() == [5.0, 6.0]
    assert said[1:].tolist() == both[:-1].tolist()
    kind = Output(name="kind", kind="class", classes=("cat", "dog"))
    places = History(at_s=at[:3], entity=nobody[:3], truth=np.array([1.0, 0.0, 1.0]))
    sure = last_answers(LastValue(delay_s=0), places, at[:3], nobody[:3], constant=(0.25, 0.75), outputs=[kind])
    assert sure.tolist() == [[0.25, 0.75], [0.0, 1.0], [1.0, 0.0]]


def test_baselines_are_the_same_after_being_written_down() -> None:
    """As JSON in a package: the same answers, to the bit; and the same rows give the same bytes."""
    frame = table().with_columns(y=pl.col("hour") * 2.0)
    found = fitted(frame)
    again = Baselines.from_plain(json.loads(canonical_json(found)))
    assert again == found
    assert canonical_json(fitted(frame)) == canonical_json(found)
    assert not fitted(frame, asked=()).names


def test_entities_are_numbered_alike_in_several_tables() -> None:
    """And the hour of the week is worth a look only where rows come daily, for three weeks."""
    assert [each.tolist() for each in codes_of([1, "x"], ["x", 2])] == [[0, 1], [1, 2]]
    daily = History(at_s=np.arange(30) * 86_400, entity=np.zeros(30, dtype=np.int64), truth=np.zeros(30))
    weekly = History(at_s=np.arange(30) * WEEK_S, entity=np.zeros(30, dtype=np.int64), truth=np.zeros(30))
    assert suits_week(daily)
    assert not suits_week(weekly)
