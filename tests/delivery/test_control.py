"""Whether a step forward may be taken: people, freezes, and whether the way back was tried."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kairos.delivery.control import ControlPolicy, frozen, may_go_forward
from kairos.delivery.freezes import FreezeWindow
from kairos.delivery.stages import Stage
from kairos.delivery.versions import Approval, Freeze, ModelState, Rehearsal, VersionState
from kairos.errors import SettingsError
from kairos.values import Digest, VersionRef

NOW = datetime(2026, 12, 5, 12, tzinfo=UTC)  # a Saturday
DAY = timedelta(days=1)
ONE, TWO = VersionRef("demand", 1), VersionRef("demand", 2)


def version(ref: VersionRef, stage: Stage, **fields: object) -> VersionState:
    """One as the ledger tells it; ann made it and bob asked for it to be made live."""
    state = VersionState(
        ref=ref,
        package=Digest("0" * 32),
        run="r1",
        origin="manual",
        registered_at=NOW - 9 * DAY,
        registered_by="ann",
        asked_by="bob",
        stage=stage,
        since=NOW - 2 * DAY,
        stage_seq=3,
    )
    return replace(state, **fields)  # type: ignore[arg-type]


def model(*freezes: Freeze) -> ModelState:
    """Version 1 is live."""
    return ModelState(model="demand", versions={1: version(ONE, "live")}, champion_number=1, freezes=freezes)


def word(person: str, verdict: str = "pass", **fields: object) -> Approval:
    """What a person said."""
    one = Approval(
        person=person,
        verdict="pass" if verdict == "pass" else "fail",
        reason="looked at it.",
        against=ONE,
        serving="{}",
        at=NOW - DAY,
    )
    return replace(one, **fields)  # type: ignore[arg-type]


def asked(
    policy: ControlPolicy,
    *words: Approval,
    to: Stage = "canary",
    by: str = "kairos",
    rehearsal: Rehearsal | None = None,
) -> tuple[str, list[str]]:
    """The verdict on version 2, and its sentences."""
    challenger = version(TWO, "shadow", approvals=words, rehearsal=rehearsal)
    decision = may_go_forward(policy, model(), challenger, to=to, serving="{}", by=by, now=NOW)
    return decision.verdict, decision.sentences


def test_by_default_nothing_is_waited_for() -> None:
    """Who asks for no control has none."""
    assert asked(ControlPolicy()) == ("pass", [])


def test_it_waits_for_as_many_people_as_are_asked_for() -> None:
    """And says how many are missing and who has said yes."""
    policy = ControlPolicy(approvals=2)
    assert asked(policy) == ("hold", ["demand@2 waits for approval by two people."])
    assert asked(policy, word("carol")) == (
        "hold",
        ["demand@2 waits for approval by one more person. carol approved it."],
    )
    assert asked(policy, word("carol"), word("dave")) == ("pass", [])
    assert asked(ControlPolicy(approvals=1)) == ("hold", ["demand@2 waits for approval by one person."])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (word("ann"), "ann made the version"),
        (word("bob"), "bob asked for it"),
        (word("erin"), "erin takes this step"),
        (word("kairos"), "the loop is no person"),
        (word("carol", against=None), "it was given when nothing was live"),
        (word("carol", against=VersionRef("demand", 7)), "it was given when demand@7 was live"),
        (word("carol", serving='{"output":{}}'), "it was given for other settings of output and capture"),
    ],
)
def test_an_approval_that_does_not_count_is_told_with_the_reason(given: Approval, why: str) -> None:
    """Four eyes are those of two people who look at the same thing."""
    verdict, [sentence] = asked(ControlPolicy(approvals=1), given, by="erin")
    assert verdict == "hold"
    assert sentence == (
        f"demand@2 waits for approval by one person. The approval by {given.person} does not count: {why}."
    )


@pytest.mark.parametrize(
    ("before", "waits"),
    [("shadow", ["shadow", "canary", "live"]), ("canary", ["canary", "live"]), ("live", ["live"])],
)
def test_approval_is_needed_from_a_stage_on(before: Stage, waits: list[str]) -> None:
    """By default from the first one in which users get its answers."""
    policy = ControlPolicy(approvals=1, approve_before=before)
    stages: tuple[Stage, ...] = ("shadow", "canary", "live")
    assert [to for to in stages if asked(policy, to=to)[0] == "hold"] == waits


def test_a_refusal_counts_also_where_no_approval_is_asked_for() -> None:
    """It is a verdict of its own, and stands beside any number of approvals."""
    refused = word("carol", "fail", reason="the winter rows are wrong")
    expected = (
        "fail",
        [
            "carol refused demand@2 on 2026-12-04: the winter rows are wrong. It goes on only if carol approves it "
            "after all."
        ],
    )
    assert asked(ControlPolicy(), refused) == expected
    assert asked(ControlPolicy(approvals=1), refused, word("dave")) == expected


def test_a_freeze_of_the_settings_is_told_with_the_end_of_all_of_them() -> None:
    """Windows that follow one another are one freeze for whoever waits."""
    policy = ControlPolicy(
        freeze=(FreezeWindow(text="fri 16:00..mon 08:00"), FreezeWindow(text="2026-12-07..2026-12-08"))
    )
    assert asked(policy, to="shadow") == (
        "hold",
        [
            "Nothing goes forward until 2026-12-09 00:00 UTC: the settings freeze 'fri 16:00..mon 08:00'. "
            "A rollback is possible."
        ],
    )
    assert frozen(policy, model(), NOW + 5 * DAY) == []


def test_a_freeze_by_a_person_ends_by_its_date_or_not_at_all() -> None:
    """Each is told with who and why."""
    open_end = Freeze(person="ann", reason="the warehouse moves.", at=NOW - DAY, until=None)
    dated = Freeze(person="bob", reason="a fair", at=NOW - DAY, until=NOW + DAY)
    told = [one.sentence for one in frozen(ControlPolicy(), model(open_end, dated), NOW)]
    assert told == [
        "ann froze demand until somebody unfreezes it: the warehouse moves. A rollback is possible.",
        "bob froze demand until 2026-12-06 12:00 UTC: a fair. A rollback is possible.",
    ]
    assert len(frozen(ControlPolicy(), model(open_end, dated), NOW + DAY)) == 1


def test_the_end_of_a_bake_waits_for_freezes_only() -> None:
    """The former champion is kept warm as long as nothing goes forward; nobody has to approve that it goes."""
    policy = ControlPolicy(approvals=2, approve_before="shadow", rehearsed_within=DAY)
    assert asked(policy, word("carol", "fail"), to="retired") == ("pass", [])
    held = replace(policy, freeze=(FreezeWindow(text="fri 16:00..mon 08:00"),))
    assert asked(held, to="retired")[0] == "hold"


@pytest.mark.parametrize(
    ("rehearsal", "what"),
    [
        (None, "was not rehearsed"),
        (Rehearsal(verdict="pass", against=VersionRef("demand", 7), at=NOW), "was not rehearsed"),
        (Rehearsal(verdict="fail", against=ONE, at=NOW), "did not pass its rehearsal of 2026-12-05 12:00"),
        (Rehearsal(verdict="pass", against=ONE, at=NOW - 8 * DAY), "was rehearsed on 2026-11-27 12:00, longer than 7d"),
        (Rehearsal(verdict="pass", against=ONE, at=NOW - 7 * DAY), None),
    ],
)
def test_a_version_goes_live_only_if_the_way_back_was_tried(rehearsal: Rehearsal | None, what: str | None) -> None:
    """From this version to this champion, with success, and not too long ago."""
    policy = ControlPolicy(rehearsed_within=7 * DAY)
    assert asked(policy, rehearsal=rehearsal, to="canary") == ("pass", [])
    verdict, sentences = asked(policy, rehearsal=rehearsal, to="live")
    assert verdict == ("pass" if what is None else "hold")
    if what is not None:
        assert f"The way back from demand@2 to demand@1 {what}" in sentences[0]
        assert sentences[0].endswith("Type: kairos deploy --rehearse demand@2")


def test_where_nothing_is_live_there_is_no_way_back_to_rehearse() -> None:
    """The first version goes live without."""
    first = version(ONE, "registered")
    nothing = ModelState(model="demand", versions={1: first})
    policy = ControlPolicy(rehearsed_within=DAY)
    assert may_go_forward(policy, nothing, first, to="live", serving=None, by="ann", now=NOW).verdict == "pass"


def test_an_override_goes_past_freezes_and_past_people_only_if_that_is_set() -> None:
    """What is left is what still holds it up."""
    policy = ControlPolicy(approvals=1, freeze=(FreezeWindow(text="fri 16:00..mon 08:00"),), rehearsed_within=DAY)
    challenger = version(TWO, "canary", approvals=(word("carol", "fail"),))
    decision = may_go_forward(policy, model(), challenger, to="live", serving="{}", by="ann", now=NOW)
    assert decision.kinds == ("approval", "freeze", "refusal", "rehearsal")
    assert (decision.past(policy).verdict, decision.past(policy).kinds) == ("fail", ("approval", "refusal"))
    assert decision.past(replace(policy, override_approvals=True)).verdict == "pass"


def test_a_policy_comes_back_from_its_plain_form() -> None:
    """So that a decision can be made again from the ledger."""
    policy = ControlPolicy(
        approvals=2,
        approve_before="live",
        override_approvals=True,
        freeze=(FreezeWindow(text="daily 18:00..08:00 Europe/Berlin"),),
        rehearsed_within=7 * DAY,
        way_back=timedelta(seconds=2.5),
    )
    assert ControlPolicy.from_plain(policy.plain()) == policy
    assert ControlPolicy.from_plain(ControlPolicy().plain()) == ControlPolicy()


@pytest.mark.parametrize("wrong", [{"approvals": 3}, {"approve_before": "retired"}, {"way_back": timedelta(0)}])
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    """When it is made."""
    with pytest.raises(SettingsError):
        ControlPolicy(**wrong)  # type: ignore[arg-type]
