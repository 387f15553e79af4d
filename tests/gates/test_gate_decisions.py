"""The gate: proven bad fails, all proven good passes, anything else holds and says what is missing."""

from __future__ import annotations

import doctest
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairos.gates.decide import decide
from kairos.gates.evidence import CheckResult, GateEvidence, PackageCost
from kairos.gates.measure import measure
from kairos.gates.policy import GatePolicy, Margin, MetricRule
from kairos.values import canonical_json
from tests.gates.making import POLICY, evidence, losses, of_losses

REFRESH = replace(POLICY, require="non_inferior", margin=Margin(kind="relative", value=0.05))


def test_proven_better_passes() -> None:
    """The sentence carries the evidence: by how much, with which interval, on how many rows."""
    decision = decide(POLICY, evidence())
    assert decision.verdict == "pass"
    assert "better" in decision.sentence
    assert "than the champion's" in decision.sentence
    assert "on 400 fresh rows" in decision.sentence
    assert "90%" in decision.sentence


def test_proven_worse_fails() -> None:
    """Whatever is required."""
    assert decide(POLICY, evidence(better_by=-3.0)).verdict == "fail"
    assert decide(REFRESH, evidence(better_by=-5.0)).verdict == "fail"


def test_not_enough_evidence_holds_and_counts_what_is_missing() -> None:
    """How many rows, and the day on which they will be there at the rate at which they come."""
    hours = np.arange("2012-03-01T00", "2012-03-09T08", dtype="datetime64[h]").astype("datetime64[us]")
    found = evidence(200, better_by=0.5, seed=5, times=hours, label_delay_days=1.0)
    decision = decide(POLICY, found)
    assert decision.verdict == "hold"
    assert decision.needed_rows is not None
    assert f"about {decision.needed_rows} more rows" in decision.sentence
    assert found.rows_per_day == pytest.approx(24.0)
    days = -(-(decision.needed_rows / 24 + 1) // 1)
    assert decision.ready_on == str(np.datetime64("2012-03-09", "D") + int(days))


def test_the_present_rate_of_labels_counts_more_than_that_of_the_holdout() -> None:
    """What live traffic brings decides when the rows are there; without moments nobody knows."""
    hours = np.arange(200).astype("datetime64[h]").astype("datetime64[us]")
    slow = decide(POLICY, evidence(200, better_by=0.5, seed=5, times=hours, rows_per_day=2.0))
    fast = decide(POLICY, evidence(200, better_by=0.5, seed=5, times=hours, rows_per_day=2000.0))
    assert slow.ready_on is not None
    assert fast.ready_on is not None
    assert fast.ready_on < slow.ready_on
    assert decide(POLICY, evidence(200, better_by=0.5, seed=5)).ready_on is None


def test_too_few_rows_hold_however_good_they_look() -> None:
    """99 rows are one less than asked for; nor are they enough to condemn. Where more are needed, more are named."""
    decision = decide(POLICY, evidence(n=99, better_by=10.0))
    assert (decision.verdict, decision.needed_rows) == ("hold", 1)
    assert decide(POLICY, evidence(n=99, better_by=-10.0)).verdict == "hold"
    unclear = decide(POLICY, evidence(n=99, better_by=0.5))
    assert unclear.needed_rows is not None
    assert unclear.needed_rows > 100


def test_no_rows_hold() -> None:
    """Nothing is known, so nothing is claimed."""
    nothing = measure(of_losses(np.array([]), np.array([])), POLICY)
    assert decide(POLICY, nothing).verdict == "hold"


def test_a_refresh_has_to_be_no_worse_than_the_margin() -> None:
    """An equal model passes as a refresh, and holds as a change by choice."""
    equal = evidence(better_by=0.0, n=4000)
    assert decide(REFRESH, equal).verdict == "pass"
    assert decide(POLICY, equal).verdict == "hold"


def test_worse_by_less_than_the_margin_is_not_worse_even_if_it_is_proven() -> None:
    """With enough rows everything differs; the margin is what the owner said does not matter."""
    slightly = evidence(better_by=-1.0, n=4000)
    assert slightly.overall.upper < 0
    assert decide(REFRESH, slightly).verdict == "pass"
    assert decide(POLICY, slightly).verdict == "fail"


def test_a_slice_that_is_proven_worse_fails_the_version() -> None:
    """Better on the whole does not excuse harm to a part."""
    policy = replace(POLICY, slices=("kind",))
    champion, challenger = losses(1000, better_by=3.0)
    kind = np.array(["a"] * 900 + ["b"] * 100)
    challenger[900:] += 8
    decision = decide(policy, measure(of_losses(champion, challenger, columns={"kind": kind}), policy))
    assert decision.verdict == "fail"
    assert "slice kind=b" in decision.sentence
    few = measure(of_losses(champion[:920], challenger[:920], columns={"kind": kind[:920]}), policy)
    assert decide(policy, few).verdict == "pass"
    assert any("kind=b" in reason and "too few" in reason for reason in decide(policy, few).reasons)


def test_a_protected_slice_has_to_be_proven_itself() -> None:
    """Not proven worse is not enough there: the gate holds and counts rows, until the slice has them."""
    policy = replace(POLICY, protected=("kind=b",), margin=Margin.parse("2%"))
    champion, challenger = losses(1000, better_by=3.0)
    kind = np.array(["a"] * 960 + ["b"] * 40)
    rows = of_losses(champion, challenger, columns={"kind": kind})
    decision = decide(policy, measure(rows, policy))
    assert decision.verdict == "pass"
    challenger[960:] = champion[960:] + np.tile([8.0, -8.0], 20)
    decision = decide(policy, measure(of_losses(champion, challenger, columns={"kind": kind}), policy))
    assert decision.verdict == "hold"
    assert "protected slice kind=b" in decision.sentence
    assert decision.needed_rows is not None
    assert decision.needed_rows > 1000
    plain = replace(policy, protected=(), slices=("kind",))
    assert decide(plain, measure(of_losses(champion, challenger, columns={"kind": kind}), plain)).verdict == "pass"


def test_a_protected_column_protects_each_of_its_levels_and_a_level_without_rows_holds() -> None:
    """Few rows are never a pass; no rows neither."""
    champion, challenger = losses(1000, better_by=3.0)
    columns = {"kind": ["a"] * 990 + ["b"] * 10}
    whole = replace(POLICY, protected=("kind",))
    decision = decide(whole, measure(of_losses(champion, challenger, columns=columns), whole))
    assert decision.verdict == "hold"
    assert decision.needed_rows is not None
    assert decision.needed_rows >= 2000  # 20 more of b, one row in a hundred
    gone = replace(POLICY, protected=("kind=c",))
    decision = decide(gone, measure(of_losses(champion, challenger, columns=columns), gone))
    assert decision.sentence == "hold: no rows of the protected slice kind=c"


def test_a_floor_is_absolute_and_judged_by_what_is_proven() -> None:
    """Better than the champion is not good enough if nobody can use it; near the floor the gate holds."""
    assert decide(replace(POLICY, floor=10.0), evidence()).verdict == "fail"
    assert decide(replace(POLICY, floor=50.0), evidence()).verdict == "pass"
    near = decide(replace(POLICY, floor=37.3), evidence())
    assert near.verdict == "hold"
    assert "not proven not above the 37.3 that is acceptable" in near.sentence
    assert near.needed_rows is not None


def test_further_metrics_have_margins_of_their_own() -> None:
    """A version that is better by the first metric and worse by another is not let through."""
    more = (MetricRule(metric="rmse", margin=Margin.parse("2%")),)
    policy = replace(POLICY, more=more)
    champion, challenger = losses(600, better_by=3.0)
    decision = decide(policy, measure(of_losses(champion, challenger), policy))
    assert decision.verdict == "pass"
    assert any("root mean squared error" in reason for reason in decision.reasons)
    challenger[::20] += 100
    policy = replace(policy, metric="pinball:0.05")
    assert decide(policy, measure(of_losses(-champion, -challenger), policy)).verdict == "fail"


def test_claims_that_a_metric_is_worse_share_alpha() -> None:
    """One of four metrics that is worse at 3 % does not fail an otherwise unclear version."""
    found = evidence(400, better_by=-0.5, seed=9)
    assert 0.0125 < found.overall.p_below(0.0) < 0.05
    assert decide(POLICY, found).verdict == "fail"
    names = ("rmse", "squared_error", "pinball:0.5")
    policy = replace(POLICY, more=tuple(MetricRule(metric=name, margin=Margin.parse(0)) for name in names))
    unclear = {name: replace(found.overall, difference=0.0) for name in names}
    together = replace(found, metrics={**found.metrics, **unclear})
    assert decide(policy, together).verdict == "hold"


def test_versions_judged_on_the_same_rows_share_alpha() -> None:
    """What passes as the only one does not pass as the third; with a plan for three it gets a third of alpha."""
    found = evidence(400, better_by=0.5, seed=4)
    assert 0.001 < found.overall.p_above(0.0) < 0.05 / 3
    assert decide(POLICY, found).verdict == "pass"
    third = decide(POLICY, replace(found, rank=3))
    assert third.verdict == "hold"
    assert "as the third that is judged on these rows it may err with a chance of 0.0008333" in third.sentence
    assert any("newer rows bring a new alpha" in reason for reason in third.reasons)
    assert decide(replace(POLICY, planned_versions=3), replace(found, rank=3)).verdict == "pass"
    spent = [POLICY.alpha_of(rank) for rank in range(1, 2000)]
    assert sum(spent) <= 1.1 * POLICY.alpha
    assert spent == sorted(spent, reverse=True)


def test_answers_that_are_no_numbers_fail_the_version_whose_they_are() -> None:
    """They are never averaged away; those of the champion cannot make a version fail, only wait for a person."""
    champion, challenger = losses(400, better_by=3.0)
    broken = challenger.copy()
    broken[7] = np.nan
    decision = decide(POLICY, measure(of_losses(champion, broken), POLICY))
    assert decision.sentence == "fail: 1 of 400 of its answers are not numbers"
    champion[7:9] = np.inf
    decision = decide(POLICY, measure(of_losses(champion, challenger), POLICY))
    assert decision.sentence == "hold: 2 of 400 of the champion's answers are not numbers"
    assert decide(POLICY, measure(of_losses(champion, broken), POLICY)).verdict == "fail"


def test_the_projects_own_checks_have_to_pass() -> None:
    """A failed one fails the version, however good it is; one that could not be carried out makes the gate hold."""
    checks = [CheckResult(name="test_heat", state="passed")]
    assert decide(POLICY, evidence(checks=tuple(checks))).verdict == "pass"
    failed = CheckResult(name="test_rain", state="failed", message="row 3: 5 is above 4", rows=(3,))
    decision = decide(POLICY, evidence(checks=(*checks, failed)))
    assert decision.sentence == "fail: the check test_rain failed: row 3: 5 is above 4"
    assert decide(POLICY, evidence(n=20, checks=(failed,))).verdict == "fail"
    broken = CheckResult(name="test_sun", state="broken", message="KeyError: 'sun'")
    decision = decide(POLICY, evidence(checks=(broken,)))
    assert (decision.verdict, decision.needed_rows) == ("hold", None)


def test_a_package_that_is_too_big_or_too_slow_fails() -> None:
    """Only if there is a limit; a limit on what was not measured holds."""
    policy = replace(POLICY, max_size_mb=2.0, max_latency_ms=5.0)
    within = PackageCost(size_bytes=1_000_000, one_row_ms=4.0)
    assert decide(policy, evidence(policy=policy, cost=within)).verdict == "pass"
    big = decide(policy, evidence(policy=policy, cost=replace(within, size_bytes=3_000_000)))
    assert big.sentence == "fail: the package's size is 3 MB, more than the 2 allowed"
    slow = decide(policy, evidence(policy=policy, cost=replace(within, one_row_ms=6.5)))
    assert slow.sentence == "fail: the package's latency is 6.5 ms for one row, more than the 5 allowed"
    assert decide(policy, evidence(policy=policy)).verdict == "hold"
    assert decide(POLICY, evidence(cost=PackageCost(size_bytes=10**12))).verdict == "pass"


def test_a_bias_above_its_limit_fails() -> None:
    """If it is proven to be: the answers of these rows are about 37 above the truth, which is 0."""
    assert decide(replace(POLICY, bias_limit=Margin.parse(30)), evidence()).verdict == "fail"
    assert decide(replace(POLICY, bias_limit=Margin.parse(37)), evidence()).verdict == "pass"


def test_a_difference_between_groups_above_its_limit_fails() -> None:
    """If it is proven to be, with bounds that hold for all levels together; without a limit it is told."""
    policy = replace(POLICY, groups=("sex",), group_limits={"error": 2.0})
    champion, challenger = losses(600, better_by=3.0)
    columns = {"sex": np.where(np.arange(600) % 2, "f", "m")}
    assert decide(policy, measure(of_losses(champion, challenger, columns=columns), policy)).verdict == "pass"
    challenger[1::2] += 4.0
    champion[1::2] += 8.0
    found = measure(of_losses(champion, challenger, columns=columns), policy)
    decision = decide(policy, found)
    assert decision.verdict == "fail"
    assert "error of sex=m less that of sex=f" in decision.sentence
    assert "proven more than the 2 allowed" in decision.sentence
    assert decide(replace(policy, group_limits={}), found).verdict == "pass"


@given(
    name=st.sampled_from(["champion", "challenger", "difference", "lower", "upper", "se"]),
    on_slice=st.booleans(),
    require=st.sampled_from(["superior", "non_inferior"]),
    floor=st.none() | st.just(60.0),
)
def test_evidence_that_holds_nan_is_never_a_pass(name: str, on_slice: bool, require: str, floor: float | None) -> None:
    """Whichever number it is, and however it came in."""
    policy = replace(POLICY, require=require, floor=floor, slices=("part",))  # type: ignore[arg-type]
    good = evidence(policy=policy, columns={"part": ["a", "b"] * 200})
    assert decide(policy, good).verdict == "pass"
    told = good.plain()
    (told["slices"]["part=a"] if on_slice else told["metrics"]["absolute_error"])[name] = {"$float": "nan"}
    bad = GateEvidence.from_plain(told)
    assert decide(policy, bad).verdict == "hold"


def test_right_or_wrong_rows_in_time_have_to_differ_often_enough() -> None:
    """Bounds of dependent rows are too sure when the two models rarely differ: 12 rows are too few, 40 are not."""
    policy = replace(POLICY, loss="zero_one")
    verdicts = []
    for differ in (12, 40):
        champion = np.zeros(400)
        champion[:: 400 // differ][:differ] = 1.0
        found = measure(of_losses(champion, np.zeros(400), times=np.arange(400)), policy)
        verdicts.append(decide(policy, found))
    assert [one.verdict for one in verdicts] == ["hold", "pass"]
    assert "differ on 12 rows" in verdicts[0].sentence
    assert verdicts[0].needed_rows == 600


@settings(max_examples=40, deadline=None)  # each measures a score of slices
@given(
    better_by=st.floats(-5, 5),
    n=st.integers(0, 300),
    require=st.sampled_from(["superior", "non_inferior"]),
    floor=st.none() | st.floats(10, 60),
    metric=st.sampled_from([None, "rmse", "pinball:0.9"]),
    rank=st.integers(1, 3),
)
def test_any_decision_can_be_made_again_from_its_json(
    better_by: float, n: int, require: str, floor: float | None, metric: str | None, rank: int
) -> None:
    """Policy and evidence come back from the ledger and give the same decision, to the byte."""
    policy = GatePolicy(
        loss="absolute_error",
        metric=metric,
        require=require,  # type: ignore[arg-type]
        floor=floor,
        slices=("part", "b", "b2"),
        protected=("b",),
        groups=("b2",),
        group_limits={"error": 3.0},
        bias_limit=Margin.parse("5%"),
        more=(MetricRule(metric="squared_error", margin=Margin.parse("3%")),),
    )
    parts = {name: [str(i % count) for i in range(n)] for name, count in (("part", 12), ("b", 2), ("b2", 3))}
    checks = (CheckResult(name="test_a", state="passed"), CheckResult(name="test_b", state="broken", message="no"))
    cost = PackageCost(size_bytes=12, one_row_ms=0.5)
    found = evidence(
        n, better_by=better_by, policy=policy, columns=parts, times=np.arange(n), rank=rank, checks=checks, cost=cost,
        inputs={"x": np.arange(n) % 7.0}, simple=np.full(n, 30.0),
    )  # fmt: skip
    again_policy = GatePolicy.from_plain(json.loads(canonical_json(policy.plain())))
    again_evidence = GateEvidence.from_plain(json.loads(canonical_json(found.plain())))
    assert again_policy == policy
    assert canonical_json(again_evidence.plain()) == canonical_json(found.plain())
    assert canonical_json(decide(again_policy, again_evidence)) == canonical_json(decide(policy, found))


def test_the_page_of_this_room_tells_the_truth() -> None:
    """Its example gives what it shows."""
    assert doctest.testfile(str(Path(__file__).parents[2] / "docs/gates.md"), module_relative=False).failed == 0
