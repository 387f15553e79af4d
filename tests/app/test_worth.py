"""From ``kairos.toml`` and ``POST /events`` to a rollback that is made again from the ledger alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kairos.app.deploying import deploy
from kairos.app.evidence import Gathered
from kairos.app.glancing import Glance
from kairos.app.outlook import outlook
from kairos.app.recomputing import recompute_all
from kairos.app.serving import make_server
from kairos.delivery.rollout import StageStep
from kairos.serving.app import make_app
from tests.app.worlds import SETTINGS, Stock, World
from tests.serving.toys import Client

WORTH = """
[model.demand.delivery.values.revenue]
range = [0, 500]
"""
REQUESTS = 240


@pytest.mark.parametrize("bring", [0.0, 300.0])
def test_what_users_pay_decides_and_is_decided_again(tmp_path: Path, stock: Stock, bring: float) -> None:
    """A quarter of the requests are the challenger's, which bring nothing, or as much as those of the champion."""
    world = World(tmp_path / "toy", stock, SETTINGS + WORTH)
    world.live(205.0)
    challenger = world.passed(200.0)
    deploy(world.project, challenger, to=StageStep.parse("canary:25%"), override="quick")
    server = make_server(world.project)
    with Client(make_app(server, pages={})) as client:
        answers = [
            client.post("/predict/demand", json={"inputs": {"temperature": 12.5}, "id": f"r{n}"}).json()
            for n in range(REQUESTS)
        ]
        paid = {1: 300.0, challenger.number: bring}
        events = [
            {"prediction_id": answer["prediction_id"], "name": "revenue", "value": paid[answer["version"]]}
            for answer in answers
        ]
        told = client.post("/events", json={"events": events}).json()
        assert told == {"events": REQUESTS, "counted": REQUESTS}
        world.clock.move_to(world.clock.now() + timedelta(minutes=5))
        (line,) = outlook(world.project, world.project.settings.model("demand")).trial.worth  # type: ignore[union-attr]
        assert line.startswith("revenue ")
        assert f"{REQUESTS} values" in line
        Glance(world.project, Gathered(), fresh_for=timedelta(days=1)).look()
    moved = world.facts("stage.changed")[-1]
    if bring:
        assert moved.body["to"] == "canary"
        return
    assert (moved.body["to"], moved.body["verdict"]) == ("rolled_back", "fail")
    assert "requests are worth less: revenue" in moved.body["reasons"][0]
    found = {one.seq: one.outcome for one in recompute_all(world.project.ledger)}
    assert found[moved.seq] == "identical"
