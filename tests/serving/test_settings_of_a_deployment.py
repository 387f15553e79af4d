"""A change of serving settings alone is a swap like any other: once it is followed, and for no request half."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kairos.clock import SystemClock
from kairos.delivery.state import Live
from kairos.errors import SettingsError
from kairos.models.signature import Signature
from kairos.serving.guard import OutputGuard
from kairos.serving.ports import ModelPolicy
from kairos.serving.server import ModelServer
from kairos.store.predictions import PredictionLog
from tests.serving.toys import KEEP_ALL, Registry, adds, live, route

REQUEST = b'{"temperature": 20.5}'


@pytest.fixture
def registry() -> Registry:
    """Version 1 is live, and its settings end outputs at 50."""
    champion = replace(live(1), serving="50")
    return Registry({1: adds(100.0)}, replace(route(), champion=champion))


@pytest.fixture
def server(registry: Registry, tmp_path: Path) -> ModelServer:
    """Clips outputs at the number that the settings of a deployment are."""

    def policy(live: Live, signature: Signature) -> ModelPolicy:
        if live.serving is None:
            raise SettingsError("There are no settings.")
        guard = OutputGuard(lower=0.0, upper=float(live.serving), on_violation="clip")
        return ModelPolicy(guard=guard, capture=KEEP_ALL)

    sink = PredictionLog(tmp_path).writer("toy")
    return ModelServer(registry.source, load=registry.load, policy=policy, sink=sink, clock=SystemClock())


def answer(server: ModelServer) -> object:
    """The prediction for the request."""
    return json.loads(server.predict("demand", REQUEST).written.body)["prediction"]


def test_the_same_version_with_other_settings_is_swapped_in(server: ModelServer, registry: Registry) -> None:
    """The guard of the new deployment holds at once, and counts as a swap."""
    assert server.follower.poll()
    assert answer(server) == 50.0
    registry.routes = [replace(route(seq=2), champion=replace(live(1), serving="80"))]
    assert server.follower.poll()
    assert answer(server) == 80.0
    server.close()


def test_settings_that_cannot_be_read_change_nothing(server: ModelServer, registry: Registry) -> None:
    """What answered goes on answering, as it was, and the difference is told."""
    server.follower.poll()
    registry.routes = [route(seq=2)]
    server.follower.poll()
    assert answer(server) == 50.0
    [trouble] = server.follower.deployment.troubles
    assert "There are no settings." in trouble.reason
    server.close()
