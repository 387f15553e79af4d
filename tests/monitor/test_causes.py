"""The parts of a search for causes: what became of an input, who is blamed, what came with a version, what is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kairos.errors import ShapeMismatch
from kairos.experiments.ports import CodeRecord, RunRecord
from kairos.gates.losses import absolute_error, loss_named
from kairos.models.profile import Profile
from kairos.monitor.causes.blame import blame
from kairos.monitor.causes.cause import Cause, Causes
from kairos.monitor.causes.columns import ColumnChange, column_change
from kairos.monitor.causes.decide import find_causes
from kairos.monitor.causes.differences import profile_differences, run_differences
from kairos.monitor.causes.evidence import CauseEvidence, Event, Rows, Symptom
from kairos.monitor.causes.gather import effect_of, put_before, rows_of
from kairos.monitor.causes.words import cause_lines, cause_sentences
from kairos.monitor.days import day_start
from kairos.testing.troubles import Trouble, troubled_stream
from kairos.values import Interval, plain

FIRST = 20
DAY = np.repeat(np.arange(30), 24)
AFTER = DAY >= FIRST
NOW = datetime(2012, 3, 1, tzinfo=UTC)


def changed(values: NDArray[Any]) -> ColumnChange | None:
    """What became of a column."""
    return column_change("x", values, DAY, usual_until=FIRST)


def numbers(seed: int = 0) -> NDArray[np.float64]:
    """Of days that differ a little."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(50, 10, DAY.size) + rng.normal(0, 1, 30)[DAY])


def levels(seed: int = 0) -> NDArray[Any]:
    """Three of them."""
    return np.random.default_rng(seed).choice(np.array(["a", "b", "c"], dtype=object), DAY.size)


def test_what_did_not_move_is_not_told() -> None:
    """Numbers, levels, a constant, nothing at all, and names of which each row has its own."""
    assert changed(numbers()) is None
    assert changed(levels()) is None
    assert changed(np.full(DAY.size, 3.0)) is None
    assert changed(np.full(DAY.size, np.nan)) is None
    assert changed(np.array([f"n{i}" for i in range(DAY.size)], dtype=object)) is None


@pytest.mark.parametrize(
    ("values", "kind", "what"),
    [
        (np.where(AFTER, numbers() * 1000, numbers()), "unit", "looks like 1000 x of what it was (times 1 000)"),
        (np.where(AFTER, numbers() + 20, numbers()), "shift", "moved: its mean is 69.41, and was 49.52"),
        (np.where(AFTER & (levels(1) == "a"), np.nan, numbers()), "missing", "of the rows (before: 0%)"),
        (np.where(AFTER, np.nan, numbers()), "schema", "is no longer there (it was in 100% of the rows)"),
        (np.where(AFTER, np.array(None), levels()), "schema", "is no longer there"),
        (np.where(AFTER & (levels(1) == "a"), "new", levels()), "unseen", "never seen: 'new', in 3"),
        (np.where(AFTER & (levels() == "b"), "a", levels()), "mix", "has 'a' in 6"),
        (np.where(AFTER & (levels(1) != "a"), 1.0, (levels() == "b") * 1.0), "mix", "has 1 in"),
    ],
)
def test_a_column_that_moved_says_how_and_when(values: NDArray[Any], kind: str, what: str) -> None:
    """The kind, a part of a sentence with figures, and the day."""
    found = changed(values)
    assert found is not None
    assert (found.kind, found.first) == (kind, FIRST)
    assert what in found.what


def test_values_that_come_back_are_told_too() -> None:
    """A column that used to be missing, and is there now."""
    found = changed(np.where(AFTER, numbers(), np.nan))
    assert found is not None
    assert (found.first, found.what) == (FIRST, "is missing in 0% of the rows (before: 100%)")


@given(st.integers(0, 30), st.floats(0, 3))
def test_shares_of_the_blame_sum_to_one(seed: int, size: float) -> None:
    """Those of the inputs and the rest, whatever moved and whatever got worse."""
    rng = np.random.default_rng(seed)
    columns = [
        ColumnChange(
            name=name,
            kind="mix",
            what="",
            first=FIRST,
            moved=0.1,
            cells=rng.integers(0, 3, DAY.size),
            is_new=np.array([False, False, True]),
        )
        for name in "ab"
    ]
    value = rng.exponential(1, DAY.size) + size * AFTER
    found = blame(columns, value=value, day=DAY, first=FIRST)
    total = sum(share.estimate for share in found.shares.values()) + found.rest.estimate
    assert total == pytest.approx(1.0)
    assert found == found
    for share in (*found.shares.values(), found.rest):
        assert share.lower <= share.estimate <= share.upper


def evidence(
    trouble: Trouble, *, symptom: Symptom = "loss", events: tuple[Event, ...] = (), **more: Any
) -> CauseEvidence:
    """A stream with a trouble on its 21st day."""
    stream = troubled_stream(trouble, days=30, first=FIRST, rows_per_day=24, seed=3)
    value = {
        "loss": np.abs(stream.output - stream.label),
        "output": stream.output,
        "bias": stream.label - stream.output,
    }
    return CauseEvidence(
        model="demand",
        as_of=day_start(30),
        symptom=symptom,
        named="mean absolute error",
        rows=Rows(day=stream.day, value=value[symptom], inputs=stream.inputs, output=stream.output, label=stream.label),
        events=events,
        **more,
    )


def deployed(day: float, *, effect: tuple[float, float, float] | None = None) -> Event:
    """That day."""
    at = day_start(0) + timedelta(days=day)
    return Event(at=at, seq=9, version="demand@2", before="demand@1", what="demand@2 went live", effect=effect)


def test_only_a_version_that_came_in_time_is_blamed() -> None:
    """On the day of the rise or the day before; a week earlier, or later, it is told of and not blamed."""
    for day, kind in (
        (FIRST + 0.4, "deployment"),
        (FIRST - 0.4, "deployment"),
        (FIRST - 7, "concept"),
        (FIRST + 4, "concept"),
    ):
        found = find_causes(evidence("concept", events=(deployed(day),)))
        assert found.first is not None
        assert found.first.kind == kind, day
        assert {cause.kind for cause in found.causes} >= {"deployment"}


def test_a_version_that_was_seen_to_be_no_worse_is_not_blamed() -> None:
    """Its own effect is known from requests that both versions predicted; what is left is the world's."""
    harmless = find_causes(evidence("concept", events=(deployed(FIRST, effect=(0.1, -0.5, 0.7)),)))
    assert harmless.first is not None
    assert harmless.first.kind == "concept"
    rise = (harmless.after or 0) - (harmless.before or 0)
    guilty = find_causes(evidence("concept", events=(deployed(FIRST, effect=(rise, rise - 1, rise + 1)),)))
    assert guilty.first is not None
    assert guilty.first.kind == "deployment"
    assert guilty.first.share is not None
    assert guilty.first.share.estimate == pytest.approx(1.0)


def test_a_bias_and_a_mean_of_answers_are_parted_alike() -> None:
    """Truths that fall make answers too high; answers that move by themselves are the server's doing."""
    high = evidence("concept", symptom="bias")
    bias = find_causes(replace(high, rows=replace_value(high.rows, -high.rows.value)))
    assert bias.first is not None
    assert bias.first.kind == "concept"
    output = evidence("serving", symptom="output")
    drift = find_causes(replace(output, rows=replace_value(output.rows, -output.rows.value)))
    assert drift.first is not None
    assert drift.first.kind == "serving"


def replace_value(rows: Rows, value: NDArray[np.float64]) -> Rows:
    """The same rows with another symptom."""
    return Rows(day=rows.day, value=value, inputs=rows.inputs, output=rows.output, label=rows.label)


def test_without_a_rise_the_input_that_was_asked_about_comes_first() -> None:
    """A drift that did no harm: what became of the input, and that nobody knows of harm."""
    quiet = evidence("unit", column="temperature")
    found = find_causes(replace(quiet, rows=replace_value(quiet.rows, np.ones_like(quiet.rows.value))))
    assert (found.since, found.first) == (None, found.causes[0])
    assert "whether it does harm is not known" in cause_sentences(found)
    nothing = find_causes(replace(quiet, rows=rows_between(quiet.rows, 0, 1), column=None))
    assert (nothing.since, nothing.causes, nothing.days) == (None, (), 1)
    empty = find_causes(replace(quiet, rows=rows_between(quiet.rows, 99, 100)))
    assert (empty.since, empty.rows) == (None, 0)


def rows_between(rows: Rows, start: int, end: int) -> Rows:
    """Of these days."""
    kept = (rows.day >= start) & (rows.day < end)
    inputs = {name: values[kept] for name, values in rows.inputs.items()}
    return Rows(
        day=rows.day[kept], value=rows.value[kept], inputs=inputs, output=rows.output[kept], label=rows.label[kept]
    )


def test_a_rise_before_what_was_found_is_another_story() -> None:
    """The search begins where the finding says that it may have begun."""
    assert find_causes(evidence("concept", not_before=FIRST - 3)).since == day_start(FIRST)
    assert find_causes(evidence("concept", not_before=FIRST + 4)).since != day_start(FIRST)


def test_causes_are_plain_and_equal_each_time() -> None:
    """The same evidence gives the same answer, and it is JSON."""
    first, again = (find_causes(evidence("missing", events=(deployed(3),))) for _ in range(2))
    assert first == again
    assert plain(first)["causes"][0]["kind"] == "missing"
    with pytest.raises(ShapeMismatch):
        Rows(day=DAY, value=np.zeros(3), inputs={}, output=np.zeros(3), label=np.zeros(3))


def run(name: str, *, code: str = "c", params: dict[str, Any] | None = None, commit: str = "1234567890ab") -> RunRecord:
    """A run of one step."""
    return RunRecord(
        run=name,
        status="finished",
        started_at=NOW,
        ended_at=NOW,
        window="",
        actor="",
        params=params or {},
        inputs={},
        code=CodeRecord(commit=commit, steps={"train": code}),
    )


def test_what_came_with_a_run_is_told_from_upstream_to_downstream() -> None:
    """Params, code with its commits, and libraries, of which no more than five are named."""
    libraries = {f"l{number}": "1" for number in range(7)}
    found = run_differences(
        run("a", params={"train.depth": 3, "train.old": 1}),
        run("b", code="d", params={"train.depth": 4, "train.new": None}, commit="ab34567890ab"),
        libraries=(libraries, {**dict.fromkeys(libraries, "2"), "x": "1"}),
    )
    assert [(one.kind, one.what) for one in found] == [
        ("params", "param train.depth 3 -> 4"),
        ("params", "param train.new = null is new"),
        ("params", "param train.old = 1 is gone"),
        ("code", "code of train (commit 1234567890 -> ab34567890)"),
        ("library", "l0 1 -> 2, l1 1 -> 2, l2 1 -> 2, l3 1 -> 2, l4 1 -> 2 and 3 more"),
    ]
    assert run_differences(run("a"), run("b"), libraries=({}, {})) == ()


def profile(**columns: Any) -> Profile:
    """Of training data with these columns; the target is what it always is."""
    rows = len(next(iter(columns.values())))
    kinds = {n: ("number" if v.dtype.kind == "f" else "category", v) for n, v in columns.items()}
    target = np.random.default_rng(9).normal(200, 30, rows)
    return Profile.fit(kinds, target=target, prediction=target, prediction_on="holdout")  # type: ignore[arg-type]


def test_what_is_odd_about_training_data_is_told_and_what_moved_is_not() -> None:
    """Units, missing values, new levels, columns, rows; not a warmer month."""
    usual = profile(t=numbers(1), s=levels(1), gone=numbers(2))
    holes = np.where(levels(4) == "a", np.nan, numbers(3))
    odd = profile(t=numbers(3)[:300] * 100, s=np.where(levels(4) == "a", "z", levels(5))[:300], late=holes[:300])
    assert [(one.kind, one.what) for one in profile_differences(usual, odd)] == [
        ("schema", "column 'gone' is gone from the training data"),
        ("schema", "column 'late' is new in the training data"),
        ("unit", "column 't' in the training data looks like 100 x of what it was (times 100)"),
        ("unseen", "column 's' has new levels in the training data: 'z'"),
        ("data", "trained on 300 rows (before: 720)"),
    ]
    warmer = profile(t=numbers(3) + 4, s=levels(7), gone=numbers(5))
    assert profile_differences(usual, warmer) == ()
    [missing] = profile_differences(usual, profile(t=holes, s=levels(1), gone=numbers(2)))
    assert (missing.kind, missing.what.partition(" in ")[0]) == ("missing", "column 't' is missing")


def frame(rows: int = 48, *, versions: tuple[int, ...] = (1,), worse: float = 0.0) -> pl.DataFrame:
    """Rows of a log: hourly, each predicted by all versions and answered by the first."""
    at = [NOW + timedelta(hours=i) for i in range(rows) for _ in versions]
    version = list(versions) * rows
    return pl.DataFrame(
        {
            "id": [f"p{i:04}" for i in range(rows) for _ in versions],
            "at": at,
            "version": version,
            "answered": [v == versions[0] for v in version],
            "output": [100.0 + worse * (v == 2) + (i % 3) for i, v in enumerate(version)],
            "label": [100.0] * len(version),
            "violation": [None if i % 4 else "above" for i in range(len(version))],
            "in.t": [float(i) for i in range(len(version))],
            "in.s": ["a", None] * (len(version) // 2),
            "in.empty": [None] * len(version),
        },
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )


def test_rows_of_the_log_become_rows_with_a_symptom() -> None:
    """What was answered and, where that is needed, labelled; inputs as numbers or objects; days as numbers."""
    log = frame(versions=(1, 2)).with_columns(
        label=pl.when(pl.col("id") == "p0000").then(None).otherwise(pl.col("label"))
    )
    found = rows_of(log, "loss", absolute_error)
    assert found.day.size == 47
    assert found.inputs["t"].dtype == np.float64
    assert found.inputs["s"].dtype == object
    assert np.isnan(found.inputs["empty"]).all()
    assert (found.day[-1] - found.day[0], found.value.max()) == (1, 2.0)
    assert rows_of(log, "impossible", absolute_error).value.sum() == 24
    low, high = (rows_of(log, "bias", absolute_error, is_low=is_low).value.sum() for is_low in (True, False))
    assert low == -high
    busy = pl.concat([frame(24).with_columns(id=pl.format("{}-{}", "id", pl.lit(k))) for k in range(400)])
    assert rows_of(busy, "output", absolute_error).day.size <= 4000


def test_a_label_that_cannot_be_meant_is_left_out() -> None:
    """A log-loss takes 0 or 1: one label of 7 among them does not stop the search."""
    chances = frame(24 * 5, versions=(1, 2)).with_columns(output=pl.lit(0.5), label=pl.lit(1.0))
    odd = chances.with_columns(label=pl.when(pl.col("id") == "p0003").then(7.0).otherwise(pl.col("label")))
    assert rows_of(odd, "loss", loss_named("log_loss")).day.size == 24 * 5 - 1
    assert effect_of(odd, 1, 2, "loss", loss_named("log_loss")) == pytest.approx((0.0, 0.0, 0.0))


def test_a_holdout_is_put_before_the_rows_of_the_log() -> None:
    """In as many days as are asked for, with the inputs that both have."""
    log = rows_of(frame(), "loss", absolute_error)
    held = rows_of(frame(140).drop("in.empty").with_columns(pl.col("in.t").cast(pl.String)), "loss", absolute_error)
    both = put_before(held, log)
    assert sorted(set((both.day - log.day.min()).tolist())) == [*range(-14, 0), 0, 1]
    assert set(both.inputs) == {"t", "s"}
    assert both.inputs["t"].dtype == object


def test_two_versions_are_compared_on_the_requests_that_both_predicted() -> None:
    """A day is one value; with few days or requests nothing is said."""
    found = effect_of(frame(24 * 5, versions=(1, 2), worse=5.0), 1, 2, "output", absolute_error)
    assert found is not None
    assert found[1] <= found[0] <= found[2]
    assert found[0] == pytest.approx(5.0, abs=0.6)
    assert effect_of(frame(24 * 2, versions=(1, 2)), 1, 2, "loss", absolute_error) is None
    assert effect_of(frame(24 * 5), 1, 2, "loss", absolute_error) is None


def causes(*found: Cause, **more: Any) -> Causes:
    """As a search gives them."""
    given: dict[str, Any] = {"since": NOW, "before": 20.0, "after": 35.5, "reference": "before", "rows": 9, "days": 3}
    return Causes(model="demand", as_of=NOW, named="mean absolute error", causes=found, **{**given, **more})


def test_two_sentences_and_a_table() -> None:
    """For a person who asks what happened, and for one who asks what else did."""
    share = Interval(estimate=0.97, lower=0.88, upper=1.04, level=0.95)
    first = Cause(
        kind="library", what="scikit-learn 1.8 -> 1.9 (came with demand@2)", since=NOW, share=share, together=2
    )
    late = Cause(kind="shift", what="input 't' moved", since=NOW, share=None, is_timely=False)
    assert cause_sentences(causes(first, late)) == (
        "demand: the mean absolute error rose to 35.5 on 2012-03-01 (before: 20). What changed first: scikit-learn "
        "1.8 -> 1.9 (came with demand@2), on 2012-03-01; it accounts for 97% of the rise (88% to 104%), with 1 more "
        "that came at once."
    )
    assert cause_lines(causes(first, late)) == [
        (
            "97%",
            "88% to 104%",
            "2012-03-01",
            "library: scikit-learn 1.8 -> 1.9 (came with demand@2) [one of 2 that came at once]",
        ),
        ("", "", "2012-03-01", "shift: input 't' moved [not at the time of the rise]"),
    ]
    weak = replace(first, share=replace(share, estimate=0.05))
    assert cause_sentences(causes(weak)).endswith("Nothing that changed explains it.")
    assert cause_sentences(causes(since=None, before=None, after=None)) == (
        "demand: no rise of the mean absolute error is to be seen in 3 days. What else changed is not known to do harm."
    )
    calm = causes(since=None, before=None, after=None)
    assert "is to be seen in 1 day." in cause_sentences(replace(calm, days=1))
    assert cause_sentences(replace(calm, days=0, rows=0)).startswith(
        "demand: there is no answer yet that the mean absolute error can be told of."
    )
