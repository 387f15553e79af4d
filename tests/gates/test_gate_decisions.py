"""The gate: proven better passes, proven worse fails, anything else holds and says what is missing."""

from __future__ import annotations

import doctest
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kairos.gates.decide import decide
from kairos.gates.evidence import GateEvidence, measure
from kairos.gates.policy import GatePolicy, Margin
from kairos.values import canonical_json

POLICY = GatePolicy(loss="absolute_error")
Floats = NDArray[np.float64]


def rows(n: int, *, better_by: float, seed: int = 0, sd: float = 5.0) -> tuple[Floats, Floats]:
    """Losses around 20 of a champion, and of a challenger that is better by so much on average."""
    rng = np.random.default_rng(seed)
    champion = 20 + sd * rng.standard_normal(n)
    return champion, champion - better_by + sd * rng.standard_normal(n)


def evidence(n: int = 400, *, better_by: float = 3.0, policy: GatePolicy = POLICY, **more: object) -> GateEvidence:
    champion, challenger = rows(n, better_by=better_by)
    return measure(champion, challenger, policy=policy, rows_digest="0" * 32, **more)  # type: ignore[arg-type]


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
    refresh = replace(POLICY, require="non_inferior")
    assert decide(refresh, evidence(better_by=-3.0)).verdict == "fail"


def test_not_enough_evidence_holds_and_counts_what_is_missing() -> None:
    """With the missing rows added, a difference of the same size passes."""
    champion, challenger = rows(200, better_by=0.3, seed=5)
    decision = decide(POLICY, measure(champion, challenger, policy=POLICY, rows_digest="0" * 32))
    assert decision.verdict == "hold"
    assert decision.needed_rows is not None
    assert f"about {decision.needed_rows} more rows" in decision.sentence


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
    nothing = measure(np.array([]), np.array([]), policy=POLICY, rows_digest="0" * 32)
    assert decide(POLICY, nothing).verdict == "hold"


def test_a_refresh_has_to_be_no_worse_than_the_margin() -> None:
    """An equal model passes as a refresh, and holds as a change by choice."""
    refresh = replace(POLICY, require="non_inferior", margin=Margin(kind="relative", value=0.05))
    equal = evidence(better_by=0.0, n=4000)
    assert decide(refresh, equal).verdict == "pass"
    assert decide(POLICY, equal).verdict == "hold"


def test_a_slice_that_is_proven_worse_fails_the_version() -> None:
    """Better on the whole does not excuse harm to a part."""
    policy = replace(POLICY, slices=("kind",))
    champion, challenger = rows(1000, better_by=3.0)
    kind = np.array(["a"] * 900 + ["b"] * 100)
    challenger[900:] += 8
    found = measure(champion, challenger, policy=policy, rows_digest="0" * 32, slices={"kind": kind.tolist()})
    decision = decide(policy, found)
    assert decision.verdict == "fail"
    assert "slice kind=b" in decision.sentence
    few = measure(
        champion[:920], challenger[:920], policy=policy, rows_digest="0" * 32, slices={"kind": kind[:920].tolist()}
    )
    assert decide(policy, few).verdict == "pass"
    assert any("kind=b" in reason and "too few" in reason for reason in decide(policy, few).reasons)


def test_a_floor_is_absolute() -> None:
    """Better than the champion is not good enough if nobody can use it."""
    decision = decide(replace(POLICY, floor=10.0), evidence())
    assert decision.verdict == "fail"
    assert "above the 10 " in decision.sentence


def test_a_loss_that_is_no_number_fails_the_version_whose_it_is() -> None:
    """It is never averaged away; what the version is compared with cannot make it fail, only wait for a person."""
    champion, challenger = rows(400, better_by=3.0)
    broken = challenger.copy()
    broken[7] = np.nan
    decision = decide(POLICY, measure(champion, broken, policy=POLICY, rows_digest="0" * 32))
    assert decision.sentence == "fail: 1 of 400 of its losses are not numbers"
    champion[7:9] = np.inf
    decision = decide(POLICY, measure(champion, challenger, policy=POLICY, rows_digest="0" * 32))
    assert decision.sentence == "hold: 2 of 400 of the champion's losses are not numbers"
    both = measure(champion, broken, policy=POLICY, rows_digest="0" * 32)
    assert decide(POLICY, both).verdict == "fail"


@given(
    name=st.sampled_from(["champion", "challenger", "difference", "lower", "upper", "se"]),
    on_slice=st.booleans(),
    require=st.sampled_from(["superior", "non_inferior"]),
    floor=st.none() | st.just(30.0),
)
def test_evidence_that_holds_nan_is_never_a_pass(name: str, on_slice: bool, require: str, floor: float | None) -> None:
    """Whichever number it is, and however it came in."""
    policy = replace(POLICY, require=require, floor=floor, slices=("part",))  # type: ignore[arg-type]
    good = evidence(policy=policy, slices={"part": ["a", "b"] * 200})
    assert decide(policy, good).verdict == "pass"
    told = good.plain()
    (told["slices"]["part=a"] if on_slice else told["overall"])[name] = {"$float": "nan"}
    bad = GateEvidence.from_plain(told)
    assert decide(policy, bad).verdict == "hold"


def test_right_or_wrong_rows_in_time_have_to_differ_often_enough() -> None:
    """Bounds of dependent rows are too sure when the two models rarely differ: 12 rows are too few, 40 are not."""
    policy = replace(POLICY, loss="zero_one")
    verdicts = []
    for differ in (12, 40):
        champion = np.zeros(400)
        champion[:: 400 // differ][:differ] = 1.0
        found = measure(champion, np.zeros(400), policy=policy, rows_digest="0" * 32, times=np.arange(400))
        verdicts.append(decide(policy, found))
    assert [one.verdict for one in verdicts] == ["hold", "pass"]
    assert "differ on 12 rows" in verdicts[0].sentence
    assert verdicts[0].needed_rows == 600


@given(
    better_by=st.floats(-5, 5),
    n=st.integers(0, 300),
    require=st.sampled_from(["superior", "non_inferior"]),
    floor=st.none() | st.floats(10, 30),
)
def test_any_decision_can_be_made_again_from_its_json(
    better_by: float, n: int, require: str, floor: float | None
) -> None:
    """Policy and evidence come back from the ledger and give the same decision, to the byte."""
    policy = replace(POLICY, require=require, floor=floor, slices=("part", "b", "b2"))  # type: ignore[arg-type]
    parts = {name: [str(i % count) for i in range(n)] for name, count in (("part", 12), ("b", 2), ("b2", 3))}
    found = evidence(n, better_by=better_by, policy=policy, slices=parts, times=np.arange(n))
    again_policy = GatePolicy.from_plain(json.loads(canonical_json(policy.plain())))
    again_evidence = GateEvidence.from_plain(json.loads(canonical_json(found.plain())))
    assert canonical_json(decide(again_policy, again_evidence)) == canonical_json(decide(policy, found))


def test_the_page_of_this_room_tells_the_truth() -> None:
    """Its example gives what it shows."""
    assert doctest.testfile(str(Path(__file__).parents[2] / "docs/gates.md"), module_relative=False).failed == 0
