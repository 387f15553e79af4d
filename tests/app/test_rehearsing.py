"""The way back is tried with a real server before a version goes live, and the real ledger gets one fact of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kairos.app.control import ask
from kairos.app.deploying import deploy
from kairos.app.rehearsing import rehearse
from kairos.errors import TransitionRefused
from kairos.values import Digest
from tests.app.worlds import SETTINGS, Stock, World

ASKED = SETTINGS + '\n[control]\nrehearsed_within = "7d"\n'


def test_a_version_is_taken_live_and_back_beside_the_traffic(tmp_path: Path, stock: Stock) -> None:
    """The answers after are those of before; only the one fact is left, and with it the version may go live."""
    world = World(tmp_path / "toy", stock, ASKED)
    world.live(260.0)
    ref = world.passed(200.0)
    deploy(world.project, ref)
    model = world.model()
    assert ask(world.project, model, model.version(2), "live").kinds == ("rehearsal",)
    before = list(world.project.ledger.read())
    entry = rehearse(world.project, ref)
    assert list(world.project.ledger.read()) == [*before, entry]
    assert (entry.kind, entry.body["verdict"], entry.body["against"]) == ("rehearsal.done", "pass", "demand@1")
    assert entry.body["answers"]["before"] == entry.body["answers"]["after"]
    assert entry.body["requests"] == {"champion": 50, "version": 50}
    assert entry.body["source"] == {"champion": "holdout", "version": "holdout"}
    assert 0 < entry.body["way_back_s"] < 10
    assert [path.name for path in world.project.home.glob("rehearsal-*")] == []
    model = world.model()
    assert ask(world.project, model, model.version(2), "live").verdict == "pass"


def test_a_version_that_cannot_be_loaded_fails_its_rehearsal(world: World) -> None:
    """Nobody but the rehearsal has met it; where its very package cannot be read, the command says so."""
    world.live(260.0)
    nobody = world.register(package=Digest("0" * 32 + ".dir"))
    with pytest.raises(Exception, match="no blob"):
        rehearse(world.project, nobody)


def test_without_a_way_back_there_is_no_rehearsal(world: World) -> None:
    """Nothing is live, or the version itself is."""
    ref = world.passed()
    with pytest.raises(TransitionRefused, match="nothing is live"):
        rehearse(world.project, ref)
    world.put(ref, "live")
    with pytest.raises(TransitionRefused, match="it is live already"):
        rehearse(world.project, ref)


def test_a_way_back_that_is_too_slow_fails(tmp_path: Path, stock: Stock) -> None:
    """The limit is the project's; the sentence names both."""
    world = World(tmp_path / "toy", stock, SETTINGS + '\n[control]\nway_back = "0.000001s"\n')
    world.live(260.0)
    entry = rehearse(world.project, world.passed(200.0))
    assert entry.body["verdict"] == "fail"
    assert "the way back took" in entry.body["reasons"][0]
    assert "1e-06 s are allowed" in entry.body["reasons"][0]


def test_a_trial_under_way_does_not_answer_in_the_rehearsal(world: World) -> None:
    """The version in canary answers a quarter of the users, and none of the rehearsal's requests before it is live."""
    world.live(260.0)
    ref = world.passed(200.0)
    world.put(ref, "canary", share=0.25)
    entry = rehearse(world.project, ref)
    assert (entry.body["verdict"], entry.body["requests"]["version"]) == ("pass", 50)
    assert world.stages() == {1: "live", 2: "canary"}
