"""Which settings would have lost less on a project's past: the loop's decisions under each, on the replay's rows."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from kairos.app.backtest.hindsight import best_schedule, never, weekly
from kairos.app.backtest.learning import goals_of
from kairos.app.backtest.loop import Rules, loop
from kairos.app.backtest.past import Change, Past, lived
from kairos.app.backtest.tables import TablePast
from kairos.app.losses import moments
from kairos.app.place import SETTINGS_FILE
from kairos.app.project import Project
from kairos.app.replay import model_of, rows_artifact, window_of
from kairos.app.settings import ModelSettings, read_settings
from kairos.app.timed import TimedRows
from kairos.app.training import pipeline_source, run_steps
from kairos.errors import KairosError, SettingsError, UsageError, did_you_mean
from kairos.pipeline.graph import Graph, Node
from kairos.pipeline.project import load_module
from kairos.stats.arrays import Floats
from kairos.store.tables import read_table
from kairos.values import Window

__all__ = ["Comparison", "Fared", "Part", "compare_policies"]

_TABLES = ("retrain", "gate", "delivery")
_DAY = timedelta(days=1)
_BLOCK_WEEKS = 4
_LEAST_WEEKS = 8
_DRAWS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fared:
    """How one policy fared."""

    name: str
    loss: float
    """Mean over all rows."""
    changes: int
    """Versions that went live after the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The two policies that were asked about, judged by one of several outputs alone."""

    name: str
    """Of the target, or of the quantile."""
    losses: tuple[float, float]
    """Means over all rows, in the order of the policies."""
    difference: float
    low: float
    high: float
    """The differences of all parts are between their two with chance 95 %, all of them together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two policies beside each other, and beside what needs no deciding."""

    model: str
    loss_name: str
    window: Window
    rows: int
    """That were judged; of a model that ranks they are lists."""
    policies: tuple[Fared, ...]
    """The two that were asked about come first."""
    difference: float
    """Mean loss of the first less that of the second."""
    low: float
    high: float
    """The difference is between the two with chance 95 %, by drawing blocks of four weeks."""
    parts: tuple[Part, ...] = ()
    """Of a model of several targets or quantiles."""
    ranks: bool = False
    """Whether it ranks, so that what is counted are lists."""


def compare_policies(project: Project, first: Path, second: Path) -> Comparison:
    """Lets the loop decide on the project's past under two settings.

    Args:
        project: Whose pipeline, replay rows and settings; its ledger is left alone.
        first: A file with tables such as ``[model.NAME.retrain]``, laid over the project's settings.
        second: Another.

    Raises:
        UsageError: the settings lack what a replay needs, or its window is too short to compare anything.
        SettingsError: a file is not TOML, or has a table or a key that is not accepted; nothing ran.
    """
    sent, model = window_of(project, None), model_of(project)
    _check_length(sent.days)
    rules = [_rules(project, model.name, file) for file in (first, second)]
    past = _past(project, model, sent)
    _check_length(past.end - past.start)
    schedules: dict[str, list[Change]] = {
        str(file): loop(past, rule) for file, rule in zip((first, second), rules, strict=True)
    }
    schedules |= {"never": never(past), "every week": weekly(past), "best in hindsight": best_schedule(past)}
    losses = {name: lived(past, schedule) for name, schedule in schedules.items()}
    fared = [_fared(name, losses[name], len(schedules[name]) - 1) for name in schedules]
    fared.append(_fared("no model", past.simple(), 0))
    one, other = losses[str(first)], losses[str(second)]
    low, high = _interval(past, one - other)
    return Comparison(
        model=model.name,
        loss_name=model.gate.loss,
        window=sent,
        rows=one.size,
        policies=tuple(fared),
        difference=float((one - other).mean()),
        low=low,
        high=high,
        parts=_parts(past, schedules[str(first)], schedules[str(second)]),
        ranks=model.rank_within is not None,
    )


def _parts(past: TablePast, first: Sequence[Change], second: Sequence[Change]) -> tuple[Part, ...]:
    """Each output by itself; their intervals share the chance of error."""
    found = []
    for name in past.parts:
        one, other = (lived(past, schedule, partial(past.part_losses, name)) for schedule in (first, second))
        low, high = _interval(past, one - other, parts=len(past.parts))
        found.append(
            Part(
                name=name,
                losses=(float(one.mean()), float(other.mean())),
                difference=float((one - other).mean()),
                low=low,
                high=high,
            )
        )
    return tuple(found)


def _check_length(days: float) -> None:
    if days < 7 * _LEAST_WEEKS:
        raise UsageError(
            "The rows of the replay are too few days to compare policies.",
            given=f"{days:.0f} days",
            accepted=f"{7 * _LEAST_WEEKS} days or more, in [replay] window",
        )


def _fared(name: str, losses: Floats, changes: int) -> Fared:
    return Fared(name=name, loss=float(losses.mean()), changes=changes)


def _rules(project: Project, name: str, file: Path) -> Rules:
    """The model's settings with a file's tables laid over them."""
    try:
        over = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError("A policy's file cannot be read.", given=f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML.", given=str(error)) from error
    models = over.get("model", {})
    found = models.get(name, {}) if isinstance(models, dict) else {}
    wrong = [
        *(key for key in over if key != "model"),
        *(f"model.{key}" for key in models if key != name),
        *(f"model.{name}.{key}" for key in found if key not in _TABLES or not isinstance(found[key], dict)),
    ]
    accepted = [f"model.{name}.{table}" for table in _TABLES]
    if wrong or not found:
        raise SettingsError(
            f"{file} says nothing that can be compared." if not wrong else f"{file} says what cannot be compared.",
            given=", ".join(wrong) or "no table",
            accepted=", ".join(f"[{table}]" for table in accepted),
            hint=did_you_mean(wrong[0], accepted) if wrong else None,
        )
    own = tomllib.loads((project.root / SETTINGS_FILE).read_text(encoding="utf-8"))
    try:
        model = read_settings(_laid(own, over)).model(name)
    except SettingsError as error:
        raise SettingsError(f"{file}: {error.what}", given=error.given, accepted=error.accepted) from error
    return Rules(retrain=model.retrain, gate=model.gate, delivery=model.delivery)


def _laid(own: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are joined key by key; any other value takes the place of what was there."""
    joined = dict(own)
    for key, value in over.items():
        before = joined.get(key)
        joined[key] = _laid(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return joined


def _past(project: Project, model: ModelSettings, sent: Window) -> TablePast:
    settings = project.settings
    rows = rows_artifact(project)
    tables = _tables(project, Window(sent.start - settings.history, sent.end), [rows])
    graph = Graph.from_module(load_module(pipeline_source(project), keep=False))
    step = graph.node(model.step).spec.function
    history, delay = settings.history / _DAY, settings.label_delay / _DAY
    held_out = _tables(project, Window(sent.end - settings.history, sent.end), [model.holdout])[0]
    return TablePast.of(
        tables[0],
        model,
        step,
        sent,
        history=history,
        delay=delay,
        holdout=min(_span_days(held_out, model), history / 2),
        beside=_beside(project, model, graph.node(model.step), Window(sent.start - settings.history, sent.end)),
    )


def _beside(project: Project, model: ModelSettings, node: Node, window: Window) -> dict[str, TimedRows]:
    """The tables that the step takes beside the one that it learns from, which the replay's rows stand for.

    Raises:
        UsageError: one of them says nothing of when its rows are from, or is the holdout: it would tell of the future.
    """
    if len(node.inputs) < 2:
        return {}
    assert model.time is not None  # looked for by ``model_of``
    targets = set(goals_of(model, node.spec))
    tables = dict(zip(node.inputs, _tables(project, window, list(node.inputs.values())), strict=True))
    learnt = next((name for name, table in tables.items() if targets <= set(table.columns)), None)
    others = {name: table for name, table in tables.items() if name != learnt}
    for name, table in others.items():
        if node.inputs[name] == model.holdout or model.time not in table.columns:
            why = "are held out" if node.inputs[name] == model.holdout else f"have no column {model.time!r}"
            raise UsageError(
                f"Policies cannot be compared: the step {model.step!r} takes {name!r} as well, whose rows {why}, so "
                "what was known of it at an earlier time cannot be told.",
                given=", ".join(node.inputs),
                accepted=f"one table, or tables that all have the time column {model.time!r}",
            )
    return {name: TimedRows.of(table, model.time) for name, table in others.items()}


def _tables(project: Project, window: Window, names: Sequence[str]) -> list[pl.DataFrame]:
    result = run_steps(project, window, names)
    if result.failure is not None:
        raise KairosError("The rows to compare on could not be made.", given=result.failure.message)
    made = [result.artifact(name) for name in names]
    for one in made:
        if not one.kind.startswith("table/"):
            raise UsageError(f"Policies cannot be compared: {one.name!r} is no table.", given=one.kind)
    return [read_table(project.store, one.digest) for one in made]


def _span_days(held_out: pl.DataFrame, model: ModelSettings) -> float:
    assert model.time is not None  # looked for by ``model_of``
    at = held_out.select(moments(model.time, held_out.schema[model.time]).dt.epoch("s")).to_series()
    ends = at.drop_nulls().to_numpy()
    return float(np.ptp(ends) / 86_400) if ends.size else 0.0


def _interval(past: Past, difference: Floats, *, parts: int = 1) -> tuple[float, float]:
    """Of the mean, by drawing blocks of neighbouring weeks that may overlap; seed 0.

    Args:
        past: Says of which week each row is.
        difference: Of the losses of each row.
        parts: As many intervals are to hold together, so each misses with so much less chance (Bonferroni).
    """
    day = past.day[past.rows(past.start, np.inf)]
    week = ((day - past.start) // 7).astype(int)
    weeks = int(week.max()) + 1
    sums, rows = np.bincount(week, weights=difference, minlength=weeks), np.bincount(week, minlength=weeks)
    starts = np.random.default_rng(0).integers(
        0, weeks - _BLOCK_WEEKS + 1, size=(parts * _DRAWS, -(-weeks // _BLOCK_WEEKS))
    )
    drawn = (starts[..., None] + np.arange(_BLOCK_WEEKS)).reshape(parts * _DRAWS, -1)[:, :weeks]
    outside = 0.025 / parts
    low, high = np.quantile(sums[drawn].sum(axis=1) / rows[drawn].sum(axis=1), [outside, 1 - outside])
    return float(low), float(high)
