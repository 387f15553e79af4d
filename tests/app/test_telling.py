"""Each kind of fact is a sentence in a line, with what a person asks for: who, what, why."""

from __future__ import annotations

from typing import Any

import pytest

from kairos.app.deploying import deploy, rollback
from kairos.app.judging import judge
from kairos.app.story import DecisionLine
from kairos.app.telling import decision_line
from kairos.delivery.rollout import StageStep
from tests.app.worlds import START, World


def told(world: World, kind: str, subject: str, body: dict[str, Any]) -> DecisionLine:
    """A made-up fact as a line."""
    return decision_line(world.project.tell(kind, subject=subject, body=body))


def test_a_line_says_where_it_is_from(world: World) -> None:
    """Time, actor, number and hash of the entry: so that it can be looked up."""
    world.register()
    [*_, entry] = world.facts()
    line = decision_line(entry)
    assert (line.at, line.actor, line.seq, line.entry_hash) == (START, "tester", entry.seq, entry.hash)
    assert (line.kind, line.subject) == ("version", "demand@1")


def test_the_life_of_a_version(world: World) -> None:
    """From the run to the rollback, one line each and no line break in any."""
    first = world.register(200.0)
    judge(world.project, first)
    deploy(world.project, first)
    second = world.passed(205.0)
    deploy(world.project, second, to=StageStep.parse("canary:25%"), override="in a hurry")
    rollback(world.project, "demand", reason="too slow")
    run, registered, gated, live, *_, canary, back = [decision_line(entry) for entry in world.facts()]
    assert (
        run.sentence == "data 2011-11-21..2012-01-01: 1 of 1 steps ran, demand; mean absolute error 20 on its holdout"
    )
    assert registered.sentence == f"made by run {world.facts()[0].subject}"
    assert gated.sentence.startswith("better: its mean absolute error of ")
    assert (gated.kind, gated.verdict, gated.stage) == ("gate", "pass", None)
    assert (live.sentence, live.stage, live.verdict) == ("live: passed its gate; nothing was live", "live", "pass")
    assert canary.sentence == "canary with 25% of requests: overridden: in a hurry"
    assert back.sentence == "rolled back: too slow"
    assert (canary.verdict, back.verdict) == (None, None)  # a person's word is no verdict


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        (
            "run.finished",
            {
                "window": "2011-01-01T00:00:00Z..2011-07-01T00:00:00Z",
                "steps": [{"status": "ran"}, {"status": "reused"}],
                "models": {"b": "x", "a": "y"},
                "metrics": {"a.absolute_error": 46.2345, "a.absolute_error.baseline": 90.0},
            },
            "data 2011-01-01..2011-07-01: 1 of 2 steps ran, a, b; mean absolute error 46.23 on its holdout",
        ),
        (
            "run.finished",
            {"window": "2011-01-01T06:00:00Z..2011-01-02T00:00:00Z", "steps": [], "models": {}},
            "data 2011-01-01T06:00:00Z..2011-01-02: 0 of 0 steps ran, no model",
        ),
        (
            "run.failed",
            {"failure": {"step": "features", "message": "5 rows contradict"}},
            "stopped at features: 5 rows contradict",
        ),
        (
            "version.registered",
            {"run": "r1", "reasons": ["alarm: quality", "age: 40 days"]},
            "made by run r1, because of: alarm: quality; age: 40 days",
        ),
        ("gate.decided", {"verdict": "hold", "sentence": "hold: not proven: 3 rows"}, "not proven: 3 rows"),
        ("stage.changed", {"to": "rolled_back", "share": 0.0, "reasons": ["worse"]}, "rolled back: worse"),
        (
            "stage.changed",
            {"to": "live", "share": 0, "reasons": ["in place of x@2", "bad"], "override": "bad"},
            "live: overridden: bad; in place of x@2",
        ),
        ("finding", {"level": "alarm", "sentence": "The loss rose."}, "alarm: The loss rose."),
        (
            "retrain.decided",
            {"window": "2011-01-01T00:00:00Z..2011-07-01T00:00:00Z", "reasons": ["age: 31 days"]},
            "on 2011-01-01..2011-07-01, because of: age: 31 days",
        ),
    ],
)
def test_each_kind_has_its_sentence(world: World, kind: str, body: dict[str, Any], sentence: str) -> None:
    """Nothing of the body is shown raw."""
    assert told(world, kind, "demand@1", body).sentence == sentence


def test_a_kind_of_a_later_release_is_told_all_the_same(world: World) -> None:
    """With its body, so that an old command reads a new ledger."""
    line = told(world, "label.forgotten", "demand", {"count": 3})
    assert (line.kind, line.sentence, line.verdict) == ("fact", "{'count': 3}", None)
