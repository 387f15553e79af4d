"""A version is served with the settings that it was deployed with, and comes back with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kairos.app.deploying import deploy, rollback
from kairos.app.serving import _Wiring
from kairos.app.standing import differences, serving_now, unapplied
from kairos.delivery.versions import Live
from kairos.errors import TransitionRefused
from kairos.models.signature import Column, OutputSpec, Signature
from kairos.serving.ports import ModelPolicy
from kairos.values import VersionRef, plain
from tests.app.worlds import SETTINGS, Stock, World

SIGNATURE = Signature(
    columns=(Column(name="temperature", kind="number"), Column(name="street", kind="category")), output=OutputSpec()
)


def with_range(upper: int, *, keep: str = '["temperature", "street"]', entity: str = "raw") -> str:
    """Settings with an output range and a capture policy."""
    output = f"\n[model.demand.output]\nrange = [0, {upper}]\n"
    return SETTINGS + output + f'\n[model.demand.privacy]\nkeep = {keep}\nentity = "{entity}"\n'


@pytest.fixture
def world(tmp_path: Path, stock: Stock) -> World:
    """A project whose outputs end at 5000."""
    return World(tmp_path / "toy", stock, with_range(5000))


def edited(world: World, settings: str) -> World:
    """The project once somebody has edited ``kairos.toml``, as a new process opens it."""
    (world.root / "kairos.toml").write_text(settings)
    return world.again()


def served(world: World) -> ModelPolicy:
    """What a server that starts now keeps to for the live version."""
    [route] = world.project.state().routes()
    assert route.champion is not None
    return _Wiring(world.project).policy(route.champion, SIGNATURE)


def upper(world: World) -> float | None:
    """Where outputs end."""
    return served(world).guard.upper


def test_a_deployment_names_all_settings_and_holds_those_of_the_server(world: World) -> None:
    """The blob of that name is the model's settings in plain form; the ledger alone tells what is served."""
    entry = deploy(world.project, world.passed())
    whole = json.loads(world.project.store.get_bytes(entry.body["settings"], verify=True))
    settings = plain(world.project.settings.model("demand"))
    del settings["targets"], settings["output"]["each"]  # which are told where there are any
    assert whole == {"format": "1", **settings}
    assert whole["gate"]["alpha"] == 0.05
    assert entry.body["serving"]["output"] == {"lower": 0.0, "upper": 5000.0, "on_violation": "clip"}


def test_an_edit_of_the_settings_changes_nothing_until_it_is_deployed(world: World) -> None:
    """Also for a server that starts anew: it serves what the ledger says; then the fact says what has changed."""
    ref = world.live()
    later = edited(world, with_range(100))
    assert upper(later) == 5000
    entry = deploy(later.project, ref)
    assert (entry.body["from"], entry.body["to"]) == ("live", "live")
    assert entry.body["reasons"] == ["its settings change: output.upper was 5000.0 and is 100.0"]
    assert upper(later) == 100
    with pytest.raises(TransitionRefused, match="live already"):
        deploy(later.project, ref)


def test_a_rollback_brings_the_version_back_as_it_was_served(world: World) -> None:
    """Another version, and the output guard that it had; the fact lists what comes back and how kairos.toml differs."""
    world.live()
    later = edited(world, with_range(100))
    later.live(205.0)
    assert upper(later) == 100
    back, ended = rollback(later.project, "demand", reason="too low")
    assert (back.subject, ended.subject) == ("demand@1", "demand@2")
    assert upper(later) == 5000
    assert back.body["reasons"] == [
        "in place of demand@2",
        "too low",
        f"the package {world.stock.packages[200.0][:8]} comes back with the output guard and the capture policy that "
        "it had (in kairos.toml output.upper was 5000.0 and is 100.0)",
    ]
    what = back.body["restored"]
    assert what["package"] == world.stock.packages[200.0]
    assert (what["run"], what["code"], what["libraries"]) == (
        later.model().version(1).run,
        {"commit": None, "branch": None, "dirty_digest": None},
        {},
    )
    assert {name: what[name] for name in ("settings", "serving")} == {
        name: back.body[name] for name in ("settings", "serving")
    }


def test_a_change_of_settings_alone_is_taken_back_alone(world: World) -> None:
    """The version stays live and trusted; then there is nothing further to go back to."""
    ref = world.live()
    later = edited(world, with_range(100))
    deploy(later.project, ref)
    [back] = rollback(later.project, "demand", reason="too low")
    assert (back.subject, back.body["to"]) == ("demand@1", "live")
    assert back.body["reasons"][0] == "in place of demand@1 with its later settings"
    assert upper(later) == 5000
    assert later.model().champion_number == 1
    assert not later.model().version(1).was_taken_back
    with pytest.raises(TransitionRefused, match="no former version"):
        rollback(later.project, "demand", reason="further")


def test_rollbacks_go_back_deployment_by_deployment(world: World) -> None:
    """Versions and settings in the reverse order in which they came, each exactly."""
    world.live(200.0)
    second = edited(world, with_range(4000))
    deploy(second.project, VersionRef("demand", 1))
    second.live(205.0)
    third = edited(world, with_range(3000))
    deploy(third.project, VersionRef("demand", 2))
    seen = [(third.model().champion_number, upper(third))]
    for _ in range(3):
        rollback(third.project, "demand", reason="back")
        seen.append((third.model().champion_number, upper(third)))
    assert seen == [(2, 3000), (2, 4000), (1, 4000), (1, 5000)]


def test_capture_only_narrows(world: World) -> None:
    """What kairos.toml no longer lets be kept is not kept again because an older version came back."""
    world.live()
    later = edited(world, with_range(5000, keep='["temperature"]', entity="drop"))
    later.live(205.0)
    rollback(later.project, "demand", reason="why not")
    capture = served(later).capture
    assert (capture.keep, capture.pseudonymise, capture.entity) == (frozenset({"temperature"}), frozenset(), "drop")
    wider = edited(world, with_range(5000, keep='["temperature", "street", "name"]'))
    assert served(wider).capture.keep == {"temperature", "street"}


def test_a_deployment_that_tells_no_settings_is_served_as_the_project_says(world: World) -> None:
    """As ledgers from before do; a rollback to it says so, and a first deployment of settings is no place to return."""
    ref = world.passed()
    body = {"from": "registered", "to": "live", "share": 0.0, "reasons": [], "override": None}
    world.project.tell("stage.changed", subject=str(ref), body=body)
    later = edited(world, with_range(100))
    assert upper(later) == 100
    entry = deploy(later.project, ref)
    assert entry.body["reasons"] == ["its settings change: they were not recorded before"]
    with pytest.raises(TransitionRefused, match="no former version"):
        rollback(later.project, "demand", reason="further")


def test_a_rollback_to_a_deployment_that_tells_no_settings_says_so(world: World) -> None:
    """Nothing is made up."""
    ref = world.passed()
    body = {"from": "registered", "to": "live", "share": 0.0, "reasons": [], "override": None}
    world.project.tell("stage.changed", subject=str(ref), body=body)
    world.live(205.0)
    back, _ = rollback(world.project, "demand", reason="bad")
    assert back.body["serving"] is None
    assert "its settings were not recorded then, so it is served as kairos.toml says" in back.body["reasons"][2]
    assert upper(world) == 5000


def test_a_model_that_left_the_settings_can_still_be_rolled_back(world: World) -> None:
    """The way back needs nothing but the ledger."""
    world.live(200.0)
    world.live(205.0)
    later = edited(world, SETTINGS.replace("[model.demand", "[model.other"))
    back, _ = rollback(later.project, "demand", reason="bad")
    assert back.body["serving"]["output"]["upper"] == 5000
    assert upper(later) == 5000


def test_differences_are_told_by_name(world: World) -> None:
    """A value that is not set on one side is said to be so."""
    live = world.live()
    then = world.model().version(live.number).live
    now = edited(world, SETTINGS).project
    assert differences(then, serving_now(now, "demand")) == [
        "output.lower was 0.0 and is not set",
        "output.on_violation was clip and is flag",
        "output.upper was 5000.0 and is not set",
        "privacy.entity was raw and is pseudonym",
        'privacy.keep was ["temperature", "street"] and is not set',
    ]
    assert differences(Live(ref=live, package=then.package), {}) == ["they were not recorded before"]


def test_settings_that_wait_to_be_applied_are_told(world: World) -> None:
    """With what differs and what to type; nothing is told where nothing waits."""
    world.live()
    assert unapplied(world.project) == {}
    assert unapplied(edited(world, with_range(100)).project) == {
        "demand": "demand@1 is served as it was deployed, and kairos.toml says otherwise: output.upper was 5000.0 and "
        "is 100.0. To apply it: kairos deploy demand@1"
    }
