"""``kairos.toml``, read once into values that never change; everything wrong in it is named."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal, cast

from kairos.app.place import SETTINGS_FILE
from kairos.app.toml import Reader
from kairos.delivery.retrain import RetrainPolicy
from kairos.delivery.rollout import RolloutPolicy, StageStep
from kairos.errors import NotFound, SettingsError, UsageError
from kairos.gates.losses import LOSSES
from kairos.gates.policy import GatePolicy, Margin
from kairos.monitor.policy import MonitorPolicy
from kairos.serving.guard import GuardAction, OutputGuard
from kairos.values import MODEL_NAMES, Window, is_model_name

__all__ = [
    "ModelSettings",
    "PrivacySettings",
    "Settings",
    "load_settings",
    "read_settings",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacySettings:
    """What may be kept of a request to one model."""

    keep: tuple[str, ...] | None = None
    """Fields kept as they came; ``None``: all inputs of the model but free text."""
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
    time: str | None
    entity: str | None
    drop: tuple[str, ...]
    allow_pickle: bool
    gate: GatePolicy
    delivery: RolloutPolicy
    retrain: RetrainPolicy
    monitor: MonitorPolicy
    output: OutputGuard
    privacy: PrivacySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A project's settings."""

    name: str
    pipeline: str = "pipeline.py"
    every: timedelta = timedelta(days=1)
    """How often the loop looks: findings, rollout, retraining."""
    history: timedelta = timedelta(days=365)
    """How far back a retraining looks."""
    label_delay: timedelta = timedelta(0)
    """How late the truth is known; a retraining uses nothing younger."""
    window: Window | None = None
    """What ``kairos run`` looks at when it is not told; ``None``: the last ``history``."""
    seed: int = 0
    models: Mapping[str, ModelSettings] = field(default_factory=dict)
    replay_rows: str | None = None
    """Name of the artifact whose rows a replay sends as traffic."""
    replay_window: Window | None = None
    """What a replay sends."""
    host: str = "127.0.0.1"
    port: int = 8000
    tracking: str | None = None
    """Address of an MLflow server; ``None``: a file in the project."""

    def model(self, name: str) -> ModelSettings:
        """That model's settings.

        Raises:
            NotFound: the project has no such model.
        """
        if name not in self.models:
            accepted = ", ".join(sorted(self.models)) or "none is set up"
            raise NotFound(f"The project has no model {name!r}.", accepted=accepted, hint=f"Write [model.{name}].")
        return self.models[name]


def load_settings(root: Path) -> Settings:
    """Reads the settings of the project in that folder.

    Raises:
        SettingsError: a key or value is not accepted; it is named.
    """
    try:
        return read_settings(tomllib.loads((root / SETTINGS_FILE).read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{SETTINGS_FILE} is not TOML.", given=str(error)) from error


def read_settings(values: Mapping[str, object]) -> Settings:
    """Turns the parsed file into settings.

    Raises:
        SettingsError: a key or value is not accepted; it is named.
    """
    top = Reader(values)
    project = top.table("project")
    window = project.optional_text("window")
    label_delay = project.length("label_delay", timedelta(0))
    models = {name: _model(name, reader, label_delay) for name, reader in top.tables("model").items()}
    replay, server, tracking = top.table("replay"), top.table("server"), top.table("tracking")
    sent = replay.optional_text("window")
    settings = Settings(
        name=project.text("name"),
        pipeline=project.text("pipeline", "pipeline.py"),
        every=project.length("every", timedelta(days=1)),
        history=project.length("history", timedelta(days=365)),
        label_delay=label_delay,
        window=None if window is None else project.parsed("window", Window.parse, window),
        seed=project.whole("seed", 0),
        models=models,
        replay_rows=replay.optional_text("rows"),
        replay_window=None if sent is None else replay.parsed("window", Window.parse, sent),
        host=server.text("host", "127.0.0.1"),
        port=server.whole("port", 8000),
        tracking=tracking.optional_text("mlflow"),
    )
    for reader in (replay, server, tracking, project, top):
        reader.done()
    if settings.every <= timedelta(0) or settings.history <= timedelta(0):
        raise SettingsError("kairos.toml: project.every and project.history have to be longer than nothing.")
    return settings


def _model(name: str, reader: Reader, label_delay: timedelta) -> ModelSettings:
    if not is_model_name(name):  # before a ledger entry is written that nobody can read
        raise SettingsError("kairos.toml: a model cannot be called so.", given=repr(name), accepted=MODEL_NAMES)
    loss = reader.choice("loss", tuple(LOSSES), "absolute_error")
    slices = reader.texts("slices")
    output = _output(reader.table("output"))
    model = ModelSettings(
        name=name,
        step=reader.text("step", name),
        holdout=reader.text("holdout"),
        target=reader.optional_text("target"),
        time=reader.optional_text("time"),
        entity=reader.optional_text("entity"),
        drop=reader.texts("drop"),
        allow_pickle=reader.flag("allow_pickle", default=False),
        gate=_gate(reader.table("gate"), loss, slices),
        delivery=_delivery(reader.table("delivery")),
        retrain=_retrain(reader.table("retrain")),
        monitor=_monitor(reader.table("monitor"), label_delay),
        output=output,
        privacy=_privacy(reader.table("privacy")),
    )
    reader.done()
    return model


def _gate(reader: Reader, loss: str, slices: tuple[str, ...]) -> GatePolicy:
    default = GatePolicy(loss=loss)
    policy = GatePolicy(
        loss=loss,
        slices=slices,
        alpha=reader.number("alpha", default.alpha),
        margin=_margin(reader, "margin", default.margin),
        require=cast(
            "Literal['superior', 'non_inferior']",
            reader.choice("require", ("superior", "non_inferior"), default.require),
        ),
        min_rows=reader.whole("min_rows", default.min_rows),
        floor=reader.optional_number("floor"),
    )
    reader.done()
    return policy


def _margin(reader: Reader, key: str, default: Margin) -> Margin:
    value = reader.raw(key, None)
    return default if value is None else reader.parsed(key, Margin.parse, value)


def _delivery(reader: Reader) -> RolloutPolicy:
    default = RolloutPolicy()
    stages = reader.texts("stages")
    margin = _margin(reader, "harm_margin", Margin(kind="relative", value=default.harm_margin))
    if margin.kind != "relative":
        raise SettingsError(f"{reader.name('harm_margin')} is a share of the champion's loss.", accepted="such as '1%'")
    policy = RolloutPolicy(
        stages=tuple(reader.parsed("stages", StageStep.parse, s) for s in stages) or default.stages,
        alpha=_share(reader, "alpha", default.alpha),
        harm_margin=margin.value,
        min_pairs=reader.whole("min_pairs", default.min_pairs),
        min_canary_requests=reader.whole("min_canary_requests", default.min_canary_requests),
        min_dwell=reader.length("min_dwell", default.min_dwell),
        max_wait=reader.length("max_wait", default.max_wait),
        bake=reader.length("bake", default.bake),
    )
    reader.done()
    return policy


def _share(reader: Reader, key: str, default: float) -> float:
    value = reader.number(key, default)
    if not 0 < value < 1:
        raise SettingsError(f"{reader.name(key)} is no share.", given=value, accepted="above 0 and below 1")
    return value


def _retrain(reader: Reader) -> RetrainPolicy:
    default = RetrainPolicy()
    known = default.on | {"impossible_values", "input_drift", "prediction_drift"}
    on = frozenset(reader.texts("on", tuple(sorted(default.on))))
    if not on <= known:
        raise SettingsError(
            f"{reader.name('on')} names an unknown check.",
            given=", ".join(sorted(on - known)),
            accepted=", ".join(sorted(known)),
        )
    policy = RetrainPolicy(
        on=on,
        max_age=reader.length("max_age", default.max_age),
        cooldown=reader.length("cooldown", default.cooldown),
        max_cooldown=reader.length("max_cooldown", default.max_cooldown),
        retry=reader.length("retry", default.retry),
    )
    reader.done()
    return policy


def _monitor(reader: Reader, label_delay: timedelta) -> MonitorPolicy:
    default = MonitorPolicy()
    policy = MonitorPolicy(
        alpha=reader.number("alpha", default.alpha),
        violation_cap=reader.number("violation_cap", default.violation_cap),
        drift_info=reader.number("drift_info", default.drift_info),
        drift_warn=reader.number("drift_warn", default.drift_warn),
        drift_window=reader.length("drift_window", default.drift_window),
        drift_window_max=reader.length("drift_window_max", default.drift_window_max),
        bias_tolerance=reader.number("bias_tolerance", default.bias_tolerance),
        quality_tolerance=reader.number("quality_tolerance", default.quality_tolerance),
        false_alarm_days=reader.number("false_alarm_days", default.false_alarm_days),
        matures_after=reader.length("matures_after", label_delay),
        min_day_rows=reader.whole("min_day_rows", default.min_day_rows),
    )
    reader.done()
    return policy


def _output(reader: Reader) -> OutputGuard:
    ends = reader.numbers("range")
    if ends is not None and len(ends) != 2:
        raise SettingsError(f"{reader.name('range')} needs two ends.", given=list(ends), accepted="[lowest, highest]")
    action = reader.choice("on_violation", ("clip", "flag", "fallback", "refuse"), "flag" if ends is None else "clip")
    reader.done()
    lower, upper = ends if ends is not None else (-math.inf, math.inf)
    try:
        return OutputGuard(
            lower=None if math.isinf(lower) else lower,
            upper=None if math.isinf(upper) else upper,
            on_violation=cast("GuardAction", action),
        )
    except UsageError as error:
        raise SettingsError(f"{reader.name('range')}: {error.what}", given=list(ends or ())) from error


def _privacy(reader: Reader) -> PrivacySettings:
    keep = reader.texts("keep", ()) if reader.has("keep") else None
    privacy = PrivacySettings(
        keep=keep,
        pseudonymise=reader.texts("pseudonymise"),
        entity=cast(
            "Literal['pseudonym', 'drop', 'raw']",
            reader.choice("entity", ("pseudonym", "drop", "raw"), "pseudonym"),
        ),
    )
    both = sorted(set(privacy.pseudonymise) & set(keep or ()))
    if both:
        raise SettingsError(f"{reader.path} names {both[0]!r} in keep and in pseudonymise.", accepted="one of the two")
    reader.done()
    return privacy
