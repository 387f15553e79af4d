"""From the parsed file to settings: the project, its server, its models."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import cast, get_args

from kairos.app.place import SETTINGS_FILE
from kairos.app.settings.card import read_card
from kairos.app.settings.control import read_control
from kairos.app.settings.data_checks import read_data_checks
from kairos.app.settings.delivery import read_delivery
from kairos.app.settings.gate import read_gate, read_loss
from kairos.app.settings.leaks import read_leaks
from kairos.app.settings.monitor import read_monitor
from kairos.app.settings.output import read_output
from kairos.app.settings.privacy import read_privacy
from kairos.app.settings.retrain import read_retrain
from kairos.app.settings.values import CaptureMode, ModelSettings, Pickles, Settings
from kairos.app.toml import Reader
from kairos.delivery.control import ControlPolicy
from kairos.errors import SettingsError, UsageError, did_you_mean
from kairos.gates.loss_names import is_of_order
from kairos.models.baselines.names import BASELINES, BaselineName
from kairos.serving.connections.limits import USUAL, Limits
from kairos.values import MODEL_NAMES, Window, is_model_name

__all__ = ["load_settings", "read_settings"]


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
    told_delay = project.optional_length("label_delay")
    control = read_control(top.table("control"), ControlPolicy())
    models = {name: _model(name, reader, told_delay, control) for name, reader in top.tables("model").items()}
    replay, server, tracking = top.table("replay"), top.table("server"), top.table("tracking")
    signing = top.table("signing")
    sent = replay.optional_text("window")
    settings = Settings(
        name=project.text("name"),
        pipeline=project.text("pipeline", "pipeline.py"),
        every=project.length("every", timedelta(days=1)),
        glance=project.length("glance", timedelta(seconds=1)),
        history=project.length("history", timedelta(days=365)),
        label_delay=told_delay or timedelta(0),
        window=None if window is None else project.parsed("window", Window.parse, window),
        seed=project.whole("seed", 0),
        models=models,
        data=read_data_checks(top.tables("data")),
        replay_rows=replay.optional_text("rows"),
        replay_window=None if sent is None else replay.parsed("window", Window.parse, sent),
        host=server.text("host", "127.0.0.1"),
        port=server.whole("port", 8000),
        grpc_port=server.optional_whole("grpc_port"),
        tls_cert=server.optional_text("tls_cert"),
        tls_key=server.optional_text("tls_key"),
        limits=_limits(server.table("limits")),
        watchdog=server.length("watchdog", timedelta(seconds=10)),
        capture=cast("CaptureMode", server.choice("capture", get_args(CaptureMode), "fast")),
        tracking=tracking.optional_text("mlflow"),
        signing_keys=signing.texts("keys"),
    )
    for reader in (replay, server, tracking, signing, project, top):
        reader.done()
    if min(settings.every, settings.glance, settings.history) <= timedelta(0):
        raise SettingsError("kairos.toml: project.every, glance and history have to be longer than nothing.")
    return settings


def _limits(reader: Reader) -> Limits:
    def seconds(key: str, default_s: float) -> float:
        return reader.length(key, timedelta(seconds=default_s)).total_seconds()

    try:
        found = Limits(
            head_s=seconds("head", USUAL.head_s),
            body_s=seconds("body", USUAL.body_s),
            answer_s=seconds("answer", USUAL.answer_s),
            idle_s=seconds("idle", USUAL.idle_s),
            connections=reader.whole("connections", USUAL.connections),
        )
    except UsageError as error:
        raise SettingsError(f"{SETTINGS_FILE}: {error.what}", given=error.given, accepted=error.accepted) from error
    reader.done()
    return found


def _model(name: str, reader: Reader, label_delay: timedelta | None, control: ControlPolicy) -> ModelSettings:
    if not is_model_name(name):  # before a ledger entry is written that nobody can read
        raise SettingsError("kairos.toml: a model cannot be called so.", given=repr(name), accepted=MODEL_NAMES)
    loss = read_loss(reader)
    slices = reader.texts("slices")
    output = read_output(reader.table("output"))
    targets = reader.text_or_texts("target")
    model = ModelSettings(
        name=name,
        step=reader.text("step", name),
        holdout=reader.text("holdout"),
        target=targets[0] if targets else None,
        targets=targets if len(targets) > 1 else (),
        time=reader.optional_text("time"),
        entity=reader.optional_text("entity"),
        rank_within=(within := _rank_within(name, reader, loss, targets)),
        item=_item(name, reader, within),
        drop=reader.texts("drop"),
        allow_pickle=_pickles(reader),
        gate=read_gate(reader.table("gate"), loss, slices),
        delivery=read_delivery(reader.table("delivery")),
        control=read_control(reader.table("control"), control),
        retrain=read_retrain(reader.table("retrain")),
        monitor=read_monitor(reader.table("monitor"), label_delay),
        output=output,
        privacy=read_privacy(reader.table("privacy")),
        leaks=read_leaks(reader.table("leaks")),
        card=read_card(reader.table("card")),
        tune=_tune(reader.table("tune")),
        baselines=_baselines(reader),
    )
    reader.done()
    return model


def _rank_within(name: str, reader: Reader, loss: str, targets: tuple[str, ...]) -> str | None:
    """The column of lists, which a loss of an order needs and no other takes."""
    found = reader.optional_text("rank_within")
    if found is None and is_of_order(loss):
        raise SettingsError(
            f"kairos.toml: the loss of model.{name} judges the order of lists, and what is one list is not said.",
            given=f"loss = {loss!r}",
            hint='Write rank_within = "COLUMN", in which the rows of one list are alike.',
        )
    if found is not None and (not is_of_order(loss) or len(targets) > 1):
        raise SettingsError(
            f"kairos.toml: model.{name}.rank_within needs a loss of an order, and one target.",
            given=f"loss = {loss!r}" if len(targets) <= 1 else ", ".join(targets),
            accepted="ndcg:PLACES or pairwise_error",
        )
    return found


def _item(name: str, reader: Reader, rank_within: str | None) -> str | None:
    """The column of things, of which there are several in a list and nowhere else."""
    found = reader.optional_text("item")
    if found is not None and (rank_within is None or found == rank_within):
        raise SettingsError(
            f"kairos.toml: model.{name}.item says which row of a list is meant, and "
            f"{'the model ranks no lists' if rank_within is None else 'it is the column of the lists itself'}.",
            given=f"item = {found!r}",
            hint='Write rank_within = "COLUMN" as well, in which the rows of one list are alike.'
            if rank_within is None
            else "Name the column that differs within a list.",
        )
    return found


def _tune(reader: Reader) -> tuple[str, ...]:
    """``[model.NAME.tune]``; the ranges are read when a search begins, which knows the params."""
    space = reader.texts("space")
    reader.done()
    return space


def _baselines(reader: Reader) -> tuple[BaselineName, ...]:
    found = reader.texts("baselines", BASELINES)
    for name in found:
        if name not in BASELINES:
            raise SettingsError(
                f"{reader.name('baselines')} names a baseline that is not known.",
                given=name,
                accepted=f"some of {', '.join(BASELINES)}, or [] for none",
                hint=did_you_mean(name, BASELINES),
            )
    return tuple(name for name in BASELINES if name in found)


def _pickles(reader: Reader) -> Pickles:
    found = reader.raw("allow_pickle", False)
    if found in (True, False, "signed"):
        return cast("Pickles", found)
    raise SettingsError(
        f"{reader.name('allow_pickle')} is not understood.", given=repr(found), accepted='true, false or "signed"'
    )
