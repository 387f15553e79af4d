"""A verdict for people: two sentences, a screen, the full explanation, Markdown."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from kairos.gates.case import GateCase
from kairos.gates.decide import decide
from kairos.gates.evidence import CheckResult, GateEvidence, PackageCost
from kairos.gates.explain import explanation
from kairos.gates.markdown import markdown, plain_text
from kairos.gates.picture import picture
from kairos.gates.policy import GatePolicy, Margin, MetricRule
from kairos.gates.screen import screen, table_rows
from kairos.gates.words import two_sentences
from tests.gates.making import POLICY, evidence

HOURS = np.arange("2012-02-18T00", "2012-03-05T16", dtype="datetime64[h]").astype("datetime64[us]")


def case(found: GateEvidence | None = None, policy: GatePolicy = POLICY, **more: Any) -> GateCase:
    """Version 7 against version 5, on 400 hours."""
    found = evidence(policy=policy, times=HOURS) if found is None else found
    given = {"version": "demand@7", "against": "demand@5", **more}
    return GateCase(policy=policy, evidence=found, decision=decide(policy, found), **given)


def test_a_pass_says_by_how_much_on_what_and_how_sure() -> None:
    """In percent of what the champion loses; chance in words."""
    found, follows = two_sentences(case())
    assert re.fullmatch(
        r"Version 7 predicts \d\.\d to \d\.\d % better than version 5 on 17 days of data up to 5 March 2012 \(mean "
        r"absolute error 36\.\d+ against 39\.\d+\); if the two were equally good, we would see this less than once "
        r"in 20 times\.",
        found,
    ), found
    assert follows == "All that is asked of it is proven, so it may begin its way into production."


def test_a_fail_says_that_the_other_goes_on() -> None:
    """By how much it is worse, or what else is wrong."""
    found, follows = two_sentences(case(evidence(better_by=-3.0, times=HOURS)))
    assert "worse than version 5" in found
    assert follows == "It stays out of production, and version 5 goes on."
    failed = CheckResult(name="test_heat", state="failed", message="row 3: 5 is above 4")
    found, _ = two_sentences(case(evidence(checks=(failed,))))
    assert found == "Version 7 is not fit for use: the check test_heat failed: row 3: 5 is above 4."
    first = case(evidence(better_by=-3.0), against=None)
    assert two_sentences(first)[1] == "It stays out of production."


def test_a_slice_that_got_worse_is_named_beside_the_whole() -> None:
    """Better on the whole does not hide it."""
    policy = replace(POLICY, slices=("kind",))
    bad = evidence(1000, policy=policy, columns={"kind": ["a"] * 900 + ["b"] * 100})
    worse = replace(bad.slices["kind=b"], difference=-8.0, lower=-9.0, upper=-7.0)
    found, _ = two_sentences(case(replace(bad, slices={**bad.slices, "kind=b": worse}), policy))
    assert "better than version 5" in found
    assert "but predicts worse on the slice kind=b" in found


def test_a_hold_says_what_is_missing_and_when_it_will_be_there() -> None:
    """Rows, and the day at the present rate; protected slices by name; broken checks; or that rows will not help."""
    near = evidence(better_by=0.35, seed=5, times=HOURS)
    found, follows = two_sentences(case(near))
    assert "; that is no proof either way." in found
    assert re.fullmatch(
        r"It needs about [\d,]+ more rows with a known truth, which at the present rate of 24 a day will be there on "
        r"\d+ \w+ 2012\.",
        follows,
    ), follows
    assert two_sentences(case(evidence(better_by=0.35, seed=5)))[1].endswith("before that can be decided.")
    old = evidence(better_by=0.35, seed=5, times=HOURS, as_of=datetime(2013, 1, 1, tzinfo=UTC))
    assert two_sentences(case(old))[1].endswith("should be there already: judge newer rows.")
    policy = replace(POLICY, protected=("kind=b",))
    rare = evidence(policy=policy, columns={"kind": ["a"] * 380 + ["b"] * 20})
    follows = two_sentences(case(rare, policy))[1]
    assert re.search(r"about ([\d,]+) more rows with a known truth, among them about (\d+) of kind=b", follows), follows
    broken = CheckResult(name="test_sun", state="broken", message="no")
    assert two_sentences(case(evidence(checks=(broken,))))[1].startswith("The check test_sun has to be mended")
    alike = replace(near, metrics={name: replace(one, se=10 * one.se) for name, one in near.metrics.items()})
    assert two_sentences(case(alike))[1].endswith(": the two are too alike to tell.")
    worse = evidence(better_by=-0.3, seed=4)
    assert two_sentences(case(worse))[1].startswith("More rows would not prove what is asked")
    assert two_sentences(case(evidence(n=0)))[0].startswith("There is too little to compare version 7")
    gone = evidence(incomparable="cannot be compared: demand@5 takes the column 'x', which the holdout lacks")
    assert two_sentences(case(gone))[0].startswith("Version 7 cannot be compared: ")


def test_a_refresh_and_a_late_version_are_told_as_what_they_are() -> None:
    """Not worse is not better; and what the bounds show but the shared alpha does not allow only seems so."""
    refresh = replace(POLICY, require="non_inferior", margin=Margin.parse("5%"))
    assert "up to 5 % worse counts as not worse" in two_sentences(case(evidence(better_by=0.0), refresh))[0]
    late = replace(evidence(better_by=0.5, seed=4), rank=3)
    assert "seems to predict" in two_sentences(case(late))[0]


def test_scores_are_told_in_points() -> None:
    """A share that rises by 0.02 rises by 2 points."""
    found = evidence()
    auc = replace(found.overall, champion=0.8, challenger=0.82, difference=0.02, lower=0.01, upper=0.03, se=0.006)
    policy = GatePolicy(loss="log_loss", metric="auc")
    shown = case(replace(found, primary="auc", metrics={"auc": auc}), policy)
    assert "predicts 1 to 3 points better than version 5" in two_sentences(shown)[0]


def test_the_screen_fits_and_shows_what_was_compared() -> None:
    """A line for each metric, for the simple baseline and the worst slices; what else was looked at below."""
    policy = replace(POLICY, slices=("kind",), groups=("kind",), more=(MetricRule(metric="rmse"),))
    found = evidence(policy=policy, times=HOURS, columns={"kind": list("abcdefgh") * 50}, simple=np.full(400, 90.0))
    text = screen(case(found, policy, cost=PackageCost(size_bytes=1_234_567, one_row_ms=0.31, batch_ms=0.8)))
    lines = text.splitlines()
    assert lines[0] == "demand@7 against demand@5: pass"
    assert len(lines) <= 30
    assert max(len(line) for line in lines) <= 120
    for shown in ("mean absolute error", "root mean squared error", "… against the simple baseline", "… where kind="):
        assert shown in text
    assert text.count("… where kind=") == 3
    assert "14 differences between groups" in text
    assert "400 fresh rows from 2012-02-18 00:00 to 2012-03-05 15:00" in text
    assert "package: 1.235 MB, 0.31 ms for one row, 0.8 ms for 64 rows" in text


def test_the_screen_marks_what_fails_and_what_holds() -> None:
    """So that the eye finds it."""
    assert re.search(r"mean absolute error .* FAIL worse", screen(case(evidence(better_by=-3.0))))
    assert re.search(r"mean absolute error .* hold not proven", screen(case(evidence(better_by=0.1))))
    policy = replace(POLICY, floor=10.0)
    assert re.search(r"\n  FAIL its mean absolute error is", screen(case(evidence(policy=policy), policy)))


@pytest.mark.parametrize("better_by", [3.0, 0.2, -3.0])
def test_the_explanation_names_estimator_interval_assumptions_and_what_would_change_the_verdict(
    better_by: float,
) -> None:
    """In sections, in the same order for every verdict."""
    policy = replace(
        POLICY, slices=("kind",), more=(MetricRule(metric="rmse"),), groups=("kind",), planned_versions=2, floor=50.0
    )
    more: dict[str, Any] = {"times": HOURS, "columns": {"kind": ["a", "b"] * 200}, "inputs": {"x": np.arange(400.0)}}
    checks = (CheckResult(name="test_a", state="passed"),)
    found = evidence(better_by=better_by, policy=policy, checks=checks, **more)
    sections = dict(explanation(case(found, policy)))
    assert list(sections) == [
        "Data", "Comparisons", "Slices", "Answers", "Groups", "Checks and cost", "Assumptions",
        "What would change the verdict",
    ]  # fmt: skip
    text = plain_text(case(found, policy))
    for part in (
        "400 rows of the table", "version number 1 that is judged on these rows, 2 planned", "chance of 0.025",
        "90% interval", "degrees of freedom", "design effect", "paired differences, t bounds", "delta method",
        "Holm", "false discovery rate", "slope", "the check test_a passed", "equally weighted cosines", "one look",
    ):  # fmt: skip
        assert part in text, part


def test_markdown_stands_alone_and_equal_cases_give_equal_bytes() -> None:
    """A heading, the two sentences, a table and the sections; text of slices cannot break the table."""
    policy = replace(POLICY, slices=("kind",))
    found = evidence(policy=policy, times=HOURS, columns={"kind": ["a|b", "c"] * 200})
    one, two = markdown(case(found, policy)), markdown(case(found, policy))
    assert one == two
    assert one.startswith("# demand@7 against demand@5: pass\n\nVersion 7 predicts")
    rows = [line for line in one.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert "a\\|b" in one
    assert "## What would change the verdict" in one
    assert one.endswith("\n")


def test_an_interval_is_drawn_around_nothing() -> None:
    """Whether it holds 0 is seen at once; what is beyond the scale ends in an arrow; what is unknown is left out."""
    assert picture(-1.0, 0.5, 2.0, 2.0) == "     ─────┼─●────────"
    assert picture(-9.0, -3.0, 0.5, 2.0) == "●─────────┼──        ".replace("●", "◄", 1)
    assert picture(math.nan, 0.0, 1.0, 1.0) == picture(0.0, 0.0, 0.0, 0.0) == " " * 21
    drawn = {row[0]: row[-2] for row in table_rows(case())}
    assert drawn["mean absolute error"].index("│") < drawn["mean absolute error"].index("●")
