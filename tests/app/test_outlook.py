"""What a model waits for: told at any moment, with its due date and its obstacles, and without writing anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kairos.app.approving import freeze
from kairos.app.deploying import deploy
from kairos.app.judging import judge
from kairos.app.outlook import outlook
from kairos.app.retraining import retrain_facts
from kairos.app.watching import Watch
from kairos.cli import main
from kairos.delivery.retrain.decide import decide_retrain
from kairos.delivery.rollout import StageStep
from kairos.web.live import status_page
from tests.app.test_control import FOUR_EYES, days, of
from tests.app.test_controller import RETRAIN, find_harm
from tests.app.worlds import DAY, SETTINGS, Stock, World


@pytest.fixture
def world(tmp_path: Path, stock: Stock) -> World:
    """A champion that says 205, a better challenger in shadow, and one other person who has to approve."""
    world = World(tmp_path / "toy", stock, FOUR_EYES)
    world.live(205.0)
    deploy(world.project, world.passed(200.0), to=StageStep.parse("shadow"))
    return world


def test_a_trial_says_what_is_missing_until_when_and_who_has_to_approve(world: World) -> None:
    """Two sentences, a due date, and the approval; nothing is written."""
    one, two = (world.model().version(number).ref for number in (1, 2))
    days(world, 2, (one, 205.0), (two, 200.0))
    head = world.project.ledger.head()
    found = outlook(world.project, world.project.settings.model("demand"))
    assert world.project.ledger.head() == head
    assert (found.champion, found.bake) == (one, None)
    assert found.trial is not None
    assert (found.trial.version, found.trial.stage, found.trial.is_overdue) == (two, "shadow", False)
    assert "still missing is" in found.trial.words[0]
    assert found.trial.due is not None
    assert found.due == found.trial.due
    assert f"{found.trial.due:%B %Y}" in found.trial.words[1]
    assert [sentence for sentence in found.trial.obstacles if "waits for approval by one person" in sentence]


def test_freezes_of_the_settings_are_told_before_they_begin(tmp_path: Path, stock: Stock) -> None:
    """On the page and by the command, the next one first; one that holds is told as such, and not twice."""
    windows = '\n[control]\nfreeze = ["sat 00:00..mon 00:00", "fri 16:00..fri 18:00"]\n'
    world = World(tmp_path / "toy", stock, SETTINGS + windows)
    world.live(200.0)
    found = outlook(world.project, world.project.settings.model("demand"))
    assert found.freezes == ()
    assert found.freezes_ahead == (
        "From 2012-01-06 16:00 to 2012-01-06 18:00 UTC nothing will go forward: 'fri 16:00..fri 18:00'.",
        "From 2012-01-07 00:00 to 2012-01-09 00:00 UTC nothing will go forward: 'sat 00:00..mon 00:00'.",
    )
    assert "From 2012-01-06 16:00 to 2012-01-06 18:00 UTC nothing will go forward" in status_page(world.project)
    world.clock.move_to(world.clock.now() + 5 * DAY)
    found = outlook(world.project, world.project.settings.model("demand"))
    assert [len(found.freezes), len(found.freezes_ahead)] == [1, 1]


def test_a_freeze_is_told_with_its_person(world: World) -> None:
    """On the page as well, with what the trial waits for and its pictures, once there are labels."""
    one, two = (world.model().version(number).ref for number in (1, 2))
    days(world, 4, (one, 205.0), (two, 200.0))
    freeze(of(world, "ann"), "demand", reason="the warehouse moves")
    found = outlook(world.project, world.project.settings.model("demand"))
    [sentence] = found.freezes
    assert sentence.startswith("ann froze demand until somebody unfreezes it: the warehouse moves")
    page = status_page(world.project)
    assert "ann froze demand" in page
    assert found.trial is not None
    assert found.trial.words[0] in page
    assert page.count("<svg") == 3  # the live version by day, the trial's loss, its guards


def test_the_live_version_is_told_day_by_day(world: World) -> None:
    """Mean losses of days whose labels are in, with what is tolerated and the findings since it went live."""
    one, two = (world.model().version(number).ref for number in (1, 2))
    days(world, 4, (one, 205.0), (two, 200.0))
    found = outlook(world.project, world.project.settings.model("demand")).quality
    assert found is not None
    assert found.loss == "mean absolute error"
    assert [rows for _, _, rows in found.days] == [24] * len(found.days)
    assert len(found.days) >= 2
    assert found.usual is not None
    assert found.tolerated is not None
    assert found.tolerated > found.usual > 0


def test_looking_learns_nothing_into_the_ledger(tmp_path: Path, stock: Stock) -> None:
    """Also where it could learn how late labels are: that is the loop's to write."""
    world = World(tmp_path / "toy", stock)
    one = world.live(205.0)
    two = world.passed(200.0)
    deploy(world.project, two, to=StageStep.parse("shadow"))
    for _ in range(4):
        world.day((one, 205.0), (two, 200.0))
    head = world.project.ledger.head()
    assert outlook(world.project, world.project.settings.model("demand")).trial is not None
    assert world.project.ledger.head() == head


def test_a_version_that_meets_no_request_is_told_with_its_gate(world: World) -> None:
    """In the gate's two sentences; one that met no gate says that."""
    third = world.register(260.0)
    settings = world.project.settings.model("demand")
    found = outlook(world.project, settings).newest
    assert found is not None
    assert (found.version, found.verdict, found.words) == (third, None, None)
    judge(world.project, third)
    found = outlook(world.project, settings).newest
    assert found is not None
    assert found.verdict == "fail"
    assert found.words is not None
    assert "worse than version 1" in found.words[0]


def test_a_new_version_that_is_asked_for_says_what_it_waits_for_and_until_when(
    tmp_path: Path, stock: Stock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pause ends on a day; missing rows are there when their labels are, at the present rate. Nothing is written."""
    world = World(tmp_path / "toy", stock, RETRAIN)
    ref = world.live(205.0)
    for _ in range(4):
        world.day((ref, 205.0))
    model, clock = world.project.settings.model("demand"), world.clock.now()
    assert outlook(world.project, model).learning is None
    find_harm(world, ref)
    asked = outlook(world.project, model).learning
    assert asked is not None
    assert (asked.reasons, asked.waits, asked.due) == (("alarm: quality",), None, None)
    monkeypatch.setattr("kairos.cli.opening.Project", lambda root: world.project)
    assert main(["-C", str(world.root), "status"]) == 0
    assert "the loop's next turn decides about it" in capsys.readouterr().out
    facts = retrain_facts(world.project, Watch(world.project, model), model, world.model())
    decision = decide_retrain(model.retrain, facts).plain()
    body = {**decision, "window": "2012-01-01..2012-01-02", "facts": facts.plain(), "policy": model.retrain.plain()}
    world.project.tell("retrain.decided", subject="demand", body=body)
    world.run()
    head = world.project.ledger.head()
    found = outlook(world.project, model)
    assert found.learning is not None
    assert found.learning.waits == "the last training was less than 7 days ago"
    assert found.due == found.learning.due == clock + 7 * DAY
    page = status_page(world.project)
    assert "due 13 Jan 2012, 00:00 UTC" in " ".join(page.split())
    assert main(["-C", str(world.root), "status"]) == 0
    assert "due: 2012-01-13 00:00" in capsys.readouterr().out
    monkeypatch.setattr(
        "kairos.app.learning.retrain_facts", lambda *_: replace(facts, alarms=("quality",), new_rows=52)
    )
    few = outlook(world.project, model).learning
    assert few is not None
    assert few.waits == "52 of 100 new rows with a known truth"
    assert few.due is not None
    assert few.due == Watch(world.project, model).maturity().due(48, 24.0, now=clock)
    assert world.project.ledger.head() == head


def test_a_gate_that_holds_says_when_it_can_be_asked_again(world: World) -> None:
    """The day of the rows that it lacks is the next thing due."""
    one, two = (world.model().version(number).ref for number in (1, 2))
    world.put(two, "retired")
    judged = judge(world.project, world.register(205.0, holdout=world.stock.few))
    assert (judged.decision.verdict, judged.against) == ("hold", one)
    found = outlook(world.project, world.project.settings.model("demand"))
    assert found.newest is not None
    assert f"{found.newest.due:%Y-%m-%d}" == judged.decision.ready_on
    assert found.due == found.newest.due
