"""Evidence of a gate: two models on the same rows, by every metric, with their dependence, by slice."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as judges

from kairos.errors import SettingsError, ShapeMismatch, UsageError
from kairos.gates.decide import decide
from kairos.gates.measure import measure
from kairos.gates.metrics import METRICS
from kairos.gates.policy import GatePolicy, Margin, MetricRule, OwnMetric
from kairos.gates.rows import GateRows
from kairos.values import canonical_json
from tests.gates.making import DIGEST, POLICY, Floats, evidence, losses, of_losses

RIGHT_OR_WRONG = GatePolicy(loss="zero_one")


def chances(n: int = 2000, *, skill: float = 1.0, seed: int = 0, share: float = 0.3) -> GateRows:
    """Two models that give chances of 1; the challenger knows a little more."""
    rng = np.random.default_rng(seed)
    truth = (rng.uniform(size=n) < share).astype(int)
    signal = (2 * truth - 1) * skill
    first, second = signal + rng.normal(size=n), signal + 0.8 * rng.normal(size=n)
    return GateRows(
        truth=truth,
        champion=1 / (1 + np.exp(-first)),
        challenger=1 / (1 + np.exp(-second)),
        simple=np.full(n, truth.mean()),
        columns={"city": np.where(np.arange(n) % 3, "a", "b")},
        digest=DIGEST,
    )


def test_rows_in_time_are_taken_as_dependent() -> None:
    """A difference that comes and goes in long waves proves less than its rows suggest, in whatever order they come."""
    rng = np.random.default_rng(3)
    wave = np.repeat(rng.standard_normal(20), 20) * 5
    champion, challenger = np.full(400, 40.0), 39.0 + wave
    naive = measure(of_losses(champion, challenger), POLICY)
    timely = measure(of_losses(champion, challenger, times=np.arange(400)), POLICY)
    assert timely.overall.se > 1.5 * naive.overall.se
    assert timely.overall.dependence == "times"
    mix = rng.permutation(400)
    mixed = measure(of_losses(champion, challenger[mix], times=np.arange(400)[mix]), POLICY)
    assert mixed.overall.se == pytest.approx(timely.overall.se)


def test_rows_of_one_moment_are_one_block() -> None:
    """Ten shops in the same hour are not ten times the evidence if all of them had rain."""
    rain = np.random.default_rng(4).standard_normal(40)
    challenger = 40.0 + np.repeat(rain, 10)
    found = measure(of_losses(np.full(400, 40.0), challenger, times=np.repeat(np.arange(40), 10)), POLICY)
    assert found.overall.design_effect > 5


def test_a_model_that_some_users_like_less_for_ever_is_not_surer_for_all_their_rows() -> None:
    """It is not seen among neighbours in time, but among their own rows; names may be missing."""
    rng = np.random.default_rng(5)
    liked = rng.standard_normal(20)
    who = np.tile(np.arange(20), 50)
    champion, challenger = np.full(1000, 40.0), 40.0 + liked[who] + rng.standard_normal(1000)
    by_time = measure(of_losses(champion, challenger, times=np.arange(1000)), POLICY)
    names = np.array([None if i == 0 else f"user {i}" for i in who], dtype=object)
    both = measure(of_losses(champion, challenger, times=np.arange(1000), entities=names), POLICY)
    assert both.overall.dependence == "times and entities"
    assert both.overall.se > 2 * by_time.overall.se


def test_right_or_wrong_is_judged_by_score_bounds() -> None:
    """Few rows on which two models differ are not over-trusted, on the whole and on slices."""
    policy = replace(RIGHT_OR_WRONG, slices=("half",))
    champion = np.r_[np.ones(12), np.zeros(88)]
    challenger = np.r_[np.zeros(12), np.ones(5), np.zeros(83)]
    halves = {"half": [1] * 50 + [2] * 50}
    found = measure(of_losses(champion, challenger, columns=halves), policy)
    assert found.overall.method == "tango"
    assert found.overall.difference == pytest.approx(0.07)
    assert found.overall.lower < 0.07 < found.overall.upper
    assert found.slices["half=2"].discordant == 0
    assert found.slices["half=2"].lower < -0.04
    same = measure(of_losses(champion, champion, columns=halves), policy)
    needed = decide(replace(RIGHT_OR_WRONG, require="non_inferior"), same).needed_rows
    assert needed is not None
    assert needed > 1000


def test_every_metric_has_the_value_of_scikit_learn_and_knows_which_way_is_better() -> None:
    """A difference above 0 means that the challenger is better, whatever is compared."""
    rows = chances()
    assert rows.champion is not None
    rules = tuple(MetricRule(metric=name, margin=Margin.parse(0.05)) for name in METRICS if name != "zero_one")
    found = measure(rows, GatePolicy(loss="zero_one", metric="f1", more=tuple(r for r in rules if r.metric != "f1")))
    said = rows.challenger >= 0.5
    want = {
        "log_loss": judges.log_loss(rows.truth, rows.challenger),
        "brier": judges.brier_score_loss(rows.truth, rows.challenger),
        "squared_error": judges.brier_score_loss(rows.truth, rows.challenger),
        "absolute_error": judges.mean_absolute_error(rows.truth, rows.challenger),
        "rmse": judges.root_mean_squared_error(rows.truth, rows.challenger),
        "auc": judges.roc_auc_score(rows.truth, rows.challenger),
        "accuracy": judges.accuracy_score(rows.truth, said),
        "balanced_accuracy": judges.balanced_accuracy_score(rows.truth, said),
        "f1": judges.f1_score(rows.truth, said),
        "precision": judges.precision_score(rows.truth, said),
        "recall": judges.recall_score(rows.truth, said),
        "mcc": judges.matthews_corrcoef(rows.truth, said),
    }
    assert found.metrics.keys() == want.keys()
    for name, one in found.metrics.items():
        assert one.challenger == pytest.approx(want[name]), name
        assert one.difference > 0, name
        assert one.lower < one.difference < one.upper, name
        assert one.own_lower < one.challenger < one.own_upper, name


def test_the_threshold_decides_what_counts_as_one() -> None:
    """From 0.8 on there are fewer ones, and recall falls."""
    low, high = (measure(chances(), GatePolicy(loss="log_loss", metric="recall", threshold=t)) for t in (0.5, 0.8))
    assert high.overall.challenger < low.overall.challenger
    assert low.overall.rarest == int(chances().truth.sum())


def test_a_class_that_is_rare_holds_until_there_is_enough_of_it() -> None:
    """A hundred rows of each class that a metric conditions on, and thirty rows that differ."""
    policy = GatePolicy(loss="log_loss", metric="auc", margin=Margin.parse(0.01))
    decision = decide(policy, measure(chances(1000, share=0.03), policy))
    assert decision.verdict == "hold"
    assert "rows of the rarest class that area under the ROC curve rests on, at least 100" in decision.sentence
    assert decision.needed_rows is not None
    assert decision.needed_rows > 1000
    timid = GatePolicy(loss="log_loss", metric="precision", threshold=0.8, margin=Margin.parse(0.01))
    assert "answers of the class that precision rests on" in decide(timid, measure(chances(600), timid)).sentence


def test_names_of_many_classes_are_compared_by_macro_metrics() -> None:
    """Five classes by their cells, fifteen by their rows; a truth that is a number is refused."""
    rng = np.random.default_rng(6)
    for classes in (5, 15):
        truth = rng.integers(0, classes, 1200).astype(float)
        first, second = (np.where(rng.uniform(size=1200) < p, truth, (truth + 1) % classes) for p in (0.6, 0.8))
        policy = GatePolicy(loss="zero_one", metric="f1", discover=False)
        found = measure(GateRows(truth=truth, champion=first, challenger=second, digest=DIGEST), policy)
        assert found.overall.challenger == pytest.approx(judges.f1_score(truth, second, average="macro"))
        assert found.overall.lower > 0.1
        assert found.overall.method == ("cells" if classes == 5 else "bootstrap")
    numbers = GateRows(truth=truth + 0.5, champion=first, challenger=second, digest=DIGEST)
    with pytest.raises(SettingsError, match="not a whole number"):
        measure(numbers, policy)


def test_a_bounded_loss_on_few_rows_is_judged_without_approximation() -> None:
    """A largest loss, told or known from chances; with 200 rows and more a t interval is good enough."""
    policy = replace(POLICY, largest_loss=100.0)
    champion, challenger = losses(150, better_by=3.0)
    few = measure(of_losses(champion, challenger), policy).overall
    assert few.method == "betting"
    assert few.upper - few.lower > measure(of_losses(champion, challenger), POLICY).overall.upper
    assert measure(of_losses(*losses(250, better_by=3.0)), policy).overall.method == "t"
    brier = GatePolicy(loss="squared_error")
    assert measure(chances(150), brier).overall.method == "betting"


def test_a_function_of_the_project_is_a_metric_like_any_other() -> None:
    """Judged by resampling, always the same way; a missing function is an error."""

    def worst_tenth(truth: NDArray[np.float64], prediction: Floats) -> float:
        return float(np.sort(np.abs(prediction - truth))[-truth.size // 10 :].mean())

    policy = replace(POLICY, metric="tail", own={"tail": OwnMetric(function="metrics.py:worst_tenth", better="lower")})
    one, two = (evidence(200, policy=policy, functions={"tail": worst_tenth}) for _ in range(2))
    assert one.overall.method == "bootstrap"
    assert canonical_json(one.plain()) == canonical_json(two.plain())
    assert decide(policy, one).verdict in ("pass", "hold")
    with pytest.raises(UsageError, match="'tail' was not given"):
        evidence(200, policy=policy)


def test_the_simple_baseline_is_shown_beside_a_champion_and_takes_its_place_without_one() -> None:
    """A champion that is good says nothing of whether both are worth anything."""
    champion, challenger = losses(300, better_by=0.0)
    both = measure(of_losses(champion, challenger, simple=np.full(300, 90.0)), POLICY)
    assert both.baseline == "champion"
    assert both.simple is not None
    assert both.simple.champion == 90.0
    assert any("against the simple baseline" in reason for reason in decide(POLICY, both).reasons)
    rows = GateRows(truth=np.zeros(300), challenger=challenger, simple=np.full(300, 90.0), digest=DIGEST)
    alone = measure(rows, POLICY)
    assert (alone.baseline, alone.simple) == ("simple baseline", None)
    assert "than the simple baseline's 90" in decide(POLICY, alone).sentence


def test_inputs_are_searched_for_where_it_got_worse() -> None:
    """The cold quarter is found and told; it stops nothing. Where nothing is worse, nothing is told."""
    champion, challenger = losses(800, better_by=3.0)
    cold = np.random.default_rng(7).normal(10, 8, 800)
    inputs = {"temperature": cold, "city": np.tile(["a", "b"], 400), "weather": np.tile([1.0, 2.0, np.nan, 3.0], 200)}
    quiet = measure(of_losses(champion, challenger, inputs=inputs), POLICY)
    assert quiet.search.searched == 4 + 2 + 4
    assert quiet.search.found == ()
    challenger[cold < np.quantile(cold, 0.25)] += 12.0
    found = measure(of_losses(champion, challenger, inputs=inputs), POLICY)
    assert [slice_.name.split(" from ")[0] for slice_ in found.search.found] == ["temperature"]
    decision = decide(POLICY, found)
    assert not decision.sentence.startswith("fail: worse on")
    assert any("found by searching 10 parts: temperature from" in reason for reason in decision.reasons)
    assert measure(of_losses(champion, challenger, inputs=inputs), replace(POLICY, discover=False)).search.searched == 0


def test_slices_that_are_found_without_harm_are_few() -> None:
    """Of a hundred versions that are equally good everywhere, about ten at most have any slice told."""
    told = 0
    for seed in range(100):
        rng = np.random.default_rng(1000 + seed)
        inputs = {f"x{i}": rng.normal(size=400) for i in range(5)}
        policy = replace(POLICY, margin=Margin.parse(0))
        told += bool(measure(of_losses(*losses(400, better_by=0.0, seed=seed), inputs=inputs), policy).search.found)
    assert told <= 20


def test_groups_are_compared_with_the_largest_one() -> None:
    """Chances by rates, numbers by means, each with the champion's difference beside it; one group is no comparison."""
    policy = GatePolicy(loss="log_loss", groups=("city",))
    found = measure(chances(), policy).groups
    assert {one.measure for one in found} == {
        "selection_rate", "true_positive_rate", "false_positive_rate", "error",
    }  # fmt: skip
    assert {(one.level, one.reference) for one in found} == {("b", "a")}
    assert all(one.champion is not None and one.challenger.lower < one.challenger.upper for one in found)
    numbers = evidence(policy=replace(POLICY, groups=("city",)), columns={"city": ["a", "b"] * 200})
    assert {one.measure for one in numbers.groups} == {"mean_prediction", "error"}
    alone = evidence(policy=replace(POLICY, groups=("city",)), columns={"city": ["a"] * 400})
    assert alone.groups == ()


def test_what_seems_to_tie_rows_together_is_told() -> None:
    """A column of names that nobody declared, and a column of times that was taken for one."""
    rng = np.random.default_rng(8)
    liked = 3 * rng.standard_normal(20)
    who = np.tile(np.arange(20), 20)
    champion, challenger = np.full(400, 40.0), 40.0 + liked[who] + rng.standard_normal(400)
    told = measure(of_losses(champion, challenger, names=[("user_id", who.astype(str))]), POLICY)
    assert told.undeclared is not None
    assert 'write entity = "user_id"' in told.undeclared
    wave = np.repeat(rng.standard_normal(20), 20)
    timed = of_losses(champion, 40.0 + wave, times=np.arange(400), time_column="hour")
    assert measure(timed, POLICY).undeclared == (
        "the settings name no time; 'hour' was taken as the moments of the rows"
    )
    assert evidence(names=[("user_id", who.astype(str))]).undeclared is None


def test_the_moments_of_the_rows_are_kept() -> None:
    """Whoever reads the decision sees how fresh the rows were."""
    hours = np.arange("2012-03-01T00", "2012-03-06T04", dtype="datetime64[h]").astype("datetime64[us]")
    found = measure(of_losses(np.full(124, 2.0), np.ones(124), times=hours), POLICY)
    assert (found.oldest, found.freshest) == ("2012-03-01T00:00:00Z", "2012-03-06T03:00:00Z")
    assert "the rows are from 2012-03-01T00:00:00Z to 2012-03-06T03:00:00Z" in decide(POLICY, found).reasons
    assert measure(of_losses(np.ones(3), np.zeros(3)), POLICY).freshest is None


def test_what_does_not_fit_is_refused() -> None:
    """Arrays of other lengths, slices that are not there, and columns that are no slices."""
    with pytest.raises(ShapeMismatch, match="3 and 2"):
        of_losses(np.zeros(3), np.zeros(2))
    sliced = replace(POLICY, slices=("city",))
    with pytest.raises(UsageError, match="no levels of the slice 'city'"):
        measure(of_losses(np.zeros(3), np.zeros(3)), sliced)
    with pytest.raises(SettingsError, match="60 levels"):
        measure(of_losses(np.zeros(60), np.zeros(60), columns={"city": range(60)}), sliced)


def test_answers_are_told_how_far_they_are_off() -> None:
    """Bias and slope, with bounds; for chances on the logit scale."""
    found = measure(chances(3000), GatePolicy(loss="log_loss")).calibration
    assert found is not None
    assert found.slope > 1.2  # the model is less sure than it might be
    assert math.isfinite(found.bias_lower)
    assert len(found.bins) == 10


def test_metrics_of_classes_judge_the_likeliest_of_several_chances() -> None:
    """Accuracy and the like; what needs one number is refused by name."""
    random = np.random.default_rng(3)
    truth, chances = random.integers(0, 3, 400), random.dirichlet(np.ones(3), 400)
    better = 0.5 * chances + 0.5 * np.eye(3)[truth]
    rows = GateRows(truth=truth, challenger=better, champion=chances, digest="d")
    found = measure(rows, GatePolicy(loss="log_loss", metric="accuracy", margin=Margin.parse(0.01)))
    assert found.metrics["accuracy"].challenger == judges.accuracy_score(truth, better.argmax(axis=1))
    assert found.calibration is None
    policy = GatePolicy(loss="log_loss", metric="auc", margin=Margin.parse(0.01))
    with pytest.raises(UsageError, match="'auc' cannot judge answers of more than one number"):
        measure(rows, policy)
