"""The state of delivery is a fold over the ledger and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kairos.delivery.state import DeliveryState
from kairos.errors import LedgerBroken, NotFound
from kairos.ledger import SqliteLedger

START = datetime(2012, 1, 1, tzinfo=UTC)


class Story:
    """Writes a ledger, one fact a day."""

    def __init__(self, path: Path) -> None:
        self.ledger = SqliteLedger(path / "ledger.db")
        self.day = 0

    def tell(self, kind: str, subject: str, **body: object) -> None:
        self.ledger.append(kind, subject=subject, body=body, actor="test", at=START + timedelta(days=self.day))
        self.day += 1

    def register(self, number: int) -> None:
        self.tell("version.registered", f"demand@{number}", package="0" * 32 + ".dir", run="r1", origin="manual")

    def move(self, number: int, to: str, share: float = 0.0) -> None:
        self.tell("stage.changed", f"demand@{number}", to=to, share=share)

    def state(self, *, until: datetime | None = None) -> DeliveryState:
        return DeliveryState.fold(self.ledger.read(until=until))


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def test_a_rollout_from_shadow_to_live(story: Story) -> None:
    """The challenger answers nobody in shadow, a share in canary, all when live; the former champion stays warm."""
    story.register(1)
    story.move(1, "live")
    story.register(2)
    story.move(2, "shadow")
    route = story.state().model("demand").route()
    assert (route.stage, route.share) == ("shadow", 0.0)
    story.move(2, "canary", 0.25)
    route = story.state().model("demand").route()
    assert (route.stage, route.share) == ("canary", 0.25)
    assert route.champion is not None
    assert route.champion.ref.number == 1
    story.move(2, "live")
    model = story.state().model("demand")
    assert (model.champion_number, model.challenger_number, model.previous_number) == (2, None, 1)


def test_a_rollback_gives_the_former_champion_back(story: Story) -> None:
    """After a rollback the bad version is nowhere in the route."""
    story.register(1)
    story.move(1, "live")
    story.register(2)
    story.move(2, "live")
    story.move(1, "live")
    story.move(2, "rolled_back")
    model = story.state().model("demand")
    assert (model.champion_number, model.challenger_number, model.previous_number) == (1, None, None)
    assert model.version(2).stage == "rolled_back"


def test_what_was_live_at_a_moment(story: Story) -> None:
    """The same fold over a prefix answers what was live then."""
    story.register(1)
    story.move(1, "live")
    story.register(2)
    story.move(2, "live")
    then = story.state(until=START + timedelta(days=2)).model("demand")
    assert then.champion_number == 1
    assert story.state().model("demand").champion_number == 2


def test_folding_in_two_parts_is_folding_at_once(story: Story) -> None:
    """A cached state plus the new entries equals the whole fold."""
    story.register(1)
    story.move(1, "live")
    story.tell("finding", "demand", check="quality")
    story.register(2)
    story.move(2, "canary", 0.1)
    entries = list(story.ledger.read())
    for cut in range(len(entries) + 1):
        first = DeliveryState.fold(entries[:cut])
        assert DeliveryState.fold(entries[cut:], start=first) == story.state()


def test_an_unknown_model_or_version_is_named(story: Story) -> None:
    """Typos get the nearest name; missing versions get the list."""
    story.register(1)
    with pytest.raises(NotFound, match="Did you mean 'demand'"):
        story.state().model("demnad")
    with pytest.raises(NotFound, match="Accepted: demand@1"):
        story.state().model("demand").version(7)


def test_a_move_of_an_unregistered_version_is_a_broken_ledger(story: Story) -> None:
    """The fold never invents a version."""
    story.move(3, "live")
    with pytest.raises(LedgerBroken, match="never registered"):
        story.state()


def test_a_displaced_champion_is_retired_yet_kept_warm(story: Story) -> None:
    """Its stage says that it answers nobody; the route still names it until it is let go."""
    story.register(1)
    story.move(1, "live")
    story.register(2)
    story.move(2, "live")
    model = story.state().model("demand")
    assert model.version(1).stage == "retired"
    assert model.previous_number == 1
    story.move(1, "retired")
    assert story.state().model("demand").previous_number is None


def test_a_trial_is_counted_from_the_first_traffic(story: Story) -> None:
    """Shadow, canary and live are one trial; leaving it ends the count."""
    story.register(1)
    assert story.state().model("demand").version(1).on_trial_since is None
    story.move(1, "shadow")
    story.move(1, "canary", 0.1)
    version = story.state().model("demand").version(1)
    assert version.on_trial_since == START + timedelta(days=1)
    assert version.since == START + timedelta(days=2)
    story.move(1, "rolled_back")
    assert story.state().model("demand").version(1).on_trial_since is None


def test_the_way_back_skips_what_was_taken_back(story: Story) -> None:
    """The former champion is the last one that was live and is still trusted."""
    for number in (1, 2, 3):
        story.register(number)
        story.move(number, "live")
    former = story.state().model("demand").former
    assert former is not None
    assert former.ref.number == 2
    story.move(2, "live")
    story.move(3, "rolled_back")
    former = story.state().model("demand").former
    assert former is not None
    assert former.ref.number == 1


def test_a_version_keeps_the_settings_that_it_was_deployed_with(story: Story) -> None:
    """The route tells a server; a later change of stage without settings tells that they were not recorded."""
    story.register(1)
    story.tell("stage.changed", "demand@1", to="live", settings="5" * 32, serving={"output": {"upper": 5}})
    champion = story.state().model("demand").route().champion
    assert champion is not None
    assert (champion.serving, champion.settings) == ('{"output":{"upper":5}}', "5" * 32)
    story.move(1, "live")
    champion = story.state().model("demand").route().champion
    assert champion is not None
    assert champion.serving is None


def test_a_version_that_was_gone_back_from_is_no_way_back(story: Story) -> None:
    """Settings alone may be gone back from; then what was live before them is the way back."""
    story.register(1)
    story.register(2)
    story.move(1, "live")
    for upper in (5, 6):
        story.tell("stage.changed", "demand@2", to="live", serving={"output": {"upper": upper}})
    before = story.state().model("demand").former
    assert before is not None
    assert before.serving == '{"output":{"upper":5}}'
    story.tell("stage.changed", "demand@2", to="live", serving={"output": {"upper": 5}}, restored={})
    model = story.state().model("demand")
    assert model.former is not None
    assert model.former.ref.number == 1
    assert model.last_live(2) == before
