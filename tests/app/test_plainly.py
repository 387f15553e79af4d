"""Every fact that decides something is told in two sentences that need no statistics, from the entry alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from kairos.app.approving import approve, freeze, refuse, unfreeze
from kairos.app.deploying import deploy, rollback
from kairos.app.judging import judge
from kairos.app.plainly import plain_line, plain_words
from kairos.app.project import Project
from kairos.app.telling import DECISIONS
from kairos.delivery.rollout import StageStep
from kairos.ledger import Entry
from kairos.monitor.findings import Check, Finding
from kairos.monitor.words import finding_words
from kairos.values import Window
from tests.app.worlds import World

JARGON = ("p =", "PSI", "e =", "confidence", "alpha", "log_", "None", "nan", "{", "_")
WINDOW = Window(datetime(2012, 3, 3, tzinfo=UTC), datetime(2012, 3, 10, tzinfo=UTC))


def finding(check: Check, **more: Any) -> Finding:
    """About version 5."""
    given = {
        "check": check, "level": "alarm", "column": None, "value": 0.25, "lower": 0.2, "upper": 0.3, "threshold": 0.1,
        "window": WINDOW, "rows": 1200, "sentence": "in full", "version": 5,
    }  # fmt: skip
    return Finding(**given | more)


@pytest.mark.parametrize("check", get_args(Check))
def test_every_finding_has_two_plain_sentences(check: Check) -> None:
    """Each ends with a full stop and speaks no statistics; one that came a year ago as well says so."""
    column = "temperature" if check in ("missing_input", "input_drift") else None
    for words in (finding_words(finding(check, column=column)), finding_words(finding(check, level="warn"))):
        assert all(sentence.endswith(".") and sentence[0].isupper() | sentence[0].isdigit() for sentence in words)
        assert not [word for word in JARGON if word in " ".join(words).replace("None", "" if column else "None")]
    assert "A year ago" in finding_words(finding(check, column=column, is_seasonal=True))[1]


def test_a_quality_alarm_says_since_when_how_much_and_what_follows() -> None:
    """And bias says which way."""
    seen, follows = finding_words(finding("quality", value=61.2, threshold=50.3))
    assert seen == "Since 3 March 2012 version 5 has had a mean loss of 61.2, where at most 50.3 is tolerated."
    assert "kairos why" in follows
    seen, _ = finding_words(finding("prediction_bias", value=-9.0, lower=-11.0, upper=-7.0, threshold=5.0))
    assert "too low by at least 7 on average, where 5 is tolerated" in seen


def test_the_life_of_a_version_is_told_plainly(world: World) -> None:
    """Gate, deployment, override, rollback, approval, refusal, freeze: who, what, why, and what follows."""
    first = world.register(200.0)
    judge(world.project, first)
    deploy(world.project, first)
    second = world.passed(205.0)
    other = Project(world.root, clock=world.clock, actor="ann")
    approve(other, second, reason="looked at the winter rows.")
    refuse(other, second, reason="the rows of May")
    approve(other, second, reason="May is fine")
    freeze(other, "demand", reason="the warehouse moves")
    unfreeze(other, "demand", reason="it has moved")
    deploy(world.project, second, to=StageStep.parse("canary:25%"), override="in a hurry")
    rollback(world.project, "demand", reason="too slow")
    told = {entry.kind: words for entry in world.facts() if (words := plain_words(entry)) is not None}
    assert "if the two were equally good" in told["gate.decided"][0]
    assert told["freeze.begun"][0] == "ann froze demand until somebody ends it: the warehouse moves."
    assert told["approval.decided"][0] == "ann approved version 2 in place of version 1: May is fine."
    moved = [words for entry in world.facts("stage.changed") if (words := plain_words(entry)) is not None]
    assert (
        "Version 2 was taken back by tester: too slow.",
        "Users have the answers of the version before it again.",
    ) in moved
    assert [
        words for words in moved if words and words[0].startswith("tester brought version 2 to 25 % of the requests")
    ]
    line = plain_line(world.facts("gate.decided")[-1])
    assert line.words is None or len(line.words) == 2


@pytest.mark.parametrize("origin", ["finding", "contract", "regret", "growth", "age"])
def test_a_training_says_why_and_that_nothing_changes_yet(world: World, origin: str) -> None:
    """With the days that it learns from."""
    body = {"action": "retrain", "origin": origin, "reasons": [f"{origin}: x", "age: y"], "window": str(WINDOW)}
    first, second = plain_words(world.project.tell("retrain.decided", subject="demand", body=body)) or ("", "")
    assert first.startswith("A new version is trained on data from 3 March 2012 to 10 March 2012, because ")
    assert first.endswith(", and for 1 more reason.")
    assert "nothing changes for users yet" in second


@pytest.mark.parametrize("kind", DECISIONS)
def test_an_old_or_foreign_fact_is_left_to_its_one_sentence(world: World, kind: str) -> None:
    """It stops no page."""
    entry: Entry = world.project.tell(kind, subject="demand@1", body={"unknown": True})
    assert plain_words(entry) is None


@pytest.mark.parametrize(
    ("verdict", "second"), [("pass", "takes the way into production"), ("fail", "It is not used: ")]
)
def test_a_refit_is_told_as_its_twin_with_more_days(world: World, verdict: str, second: str) -> None:
    """It stands on its twin's proof, or is not used, with the reason."""
    evidence = {"format": "refit", "twin": "demand@3", "newest_days": 14.0}
    body = {"verdict": verdict, "sentence": "Learnt as demand@3 did.", "evidence": evidence, "policy": {}}
    words = plain_words(world.project.tell("gate.decided", subject="demand@4", body=body))
    assert words is not None
    assert words[0] == "Version 4 is version 3, learnt once more with 14 more days of data."
    assert second in words[1]
