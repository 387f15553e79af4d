"""What a model waits for: told at any moment, with its due date and its obstacles, and without writing anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from kairos.app.approving import freeze
from kairos.app.deploying import deploy
from kairos.app.judging import judge
from kairos.app.outlook import outlook
from kairos.delivery.rollout import StageStep
from kairos.web.live import status_page
from tests.app.test_control import FOUR_EYES, days, of
from tests.app.worlds import Stock, World


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
