"""What a project says about itself, once it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from kairos.app.settings.card import CardSettings
from kairos.app.settings.leaks import LeakSettings
from kairos.delivery.control import ControlPolicy
from kairos.delivery.retrain.policy import RetrainPolicy
from kairos.delivery.rollout import RolloutPolicy
from kairos.errors import NotFound
from kairos.gates.policy import GatePolicy
from kairos.models.baselines.names import BASELINES, BaselineName
from kairos.monitor.policy import MonitorPolicy
from kairos.pipeline.data_checks.values import DataChecks
from kairos.serving.connections.limits import USUAL, Limits
from kairos.serving.guard import OutputGuard
from kairos.values import Window

__all__ = ["CaptureMode", "ModelSettings", "Pickles", "PrivacySettings", "Settings"]

CaptureMode = Literal["fast", "durable"]
"""What an answer waits for: ``fast`` for one write, which ``kill -9`` cannot undo; ``durable`` for the disk."""

Pickles = bool | Literal["signed"]
"""Whether code in a model's packages may be loaded; ``signed``: if the package is, by a key of the project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacySettings:
    """What may be kept of a request to one model."""

    keep: tuple[str, ...] | None = None
    """Fields kept as they came; ``None``: all inputs of the model but free text and arrays."""
    pseudonymise: tuple[str, ...] = ()
    """Fields kept under a keyed pseudonym."""
    entity: Literal["pseudonym", "drop", "raw"] = "pseudonym"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Everything a project says about one model."""

    name: str
    step: str
    holdout: str
    """Name of the artifact that the gate judges on."""
    target: str | None
    """Of several the first."""
    time: str | None
    entity: str | None
    drop: tuple[str, ...]
    allow_pickle: Pickles
    gate: GatePolicy
    delivery: RolloutPolicy
    control: ControlPolicy
    retrain: RetrainPolicy
    monitor: MonitorPolicy
    output: OutputGuard
    privacy: PrivacySettings
    leaks: LeakSettings = field(default_factory=LeakSettings)
    card: CardSettings = field(default_factory=CardSettings)
    targets: tuple[str, ...] = ()
    """All targets, if the settings name several."""
    rank_within: str | None = None
    """Column in which rows that are ranked against each other are alike."""
    item: str | None = None
    """Column that says which thing a row of a list is, by which a label may name it."""
    tune: tuple[str, ...] = ()
    """Ranges of params that `kairos tune` searches when it is told none: ``STEP.PARAM=RANGE``, or ``STEP.PARAM``."""
    baselines: tuple[BaselineName, ...] = BASELINES
    """Simple models that are fitted beside it and that it has to beat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A project's settings."""

    name: str
    pipeline: str = "pipeline.py"
    every: timedelta = timedelta(days=1)
    """How often the loop looks: findings, rollout, retraining."""
    glance: timedelta = timedelta(seconds=1)
    """How often `kairos up` looks quickly at what is on trial: bad events only."""
    history: timedelta = timedelta(days=365)
    """How far back a retraining looks."""
    label_delay: timedelta = timedelta(0)
    """How late the truth is known; a retraining uses nothing younger."""
    window: Window | None = None
    """What ``kairos run`` looks at when it is not told; ``None``: the last ``history``."""
    seed: int = 0
    models: Mapping[str, ModelSettings] = field(default_factory=dict)
    data: Mapping[str, DataChecks] = field(default_factory=dict)
    """What is asked of artifacts, by their names."""
    replay_rows: str | None = None
    """Name of the artifact whose rows a replay sends as traffic."""
    replay_window: Window | None = None
    """What a replay sends."""
    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int | None = None
    """Where the server speaks gRPC; ``None``: nowhere."""
    tls_cert: str | None = None
    """File of the certificate that the server speaks TLS with, from the project's folder; ``None``: it does not."""
    tls_key: str | None = None
    """File of its key; ``None``: the same."""
    limits: Limits = USUAL
    """For clients of each worker of the server."""
    capture: CaptureMode = "fast"
    """What an answer waits for."""
    watchdog: timedelta = timedelta(seconds=10)
    """How long a worker of the server may stand still before another takes its place; nothing: for ever."""
    tracking: str | None = None
    """Address of an MLflow server; ``None``: a file in the project."""
    signing_keys: tuple[str, ...] = ()
    """Files of the public keys whose signatures count, from the project's folder."""

    def model(self, name: str) -> ModelSettings:
        """That model's settings.

        Raises:
            NotFound: the project has no such model.
        """
        if name not in self.models:
            accepted = ", ".join(sorted(self.models)) or "none is set up"
            raise NotFound(f"The project has no model {name!r}.", accepted=accepted, hint=f"Write [model.{name}].")
        return self.models[name]
