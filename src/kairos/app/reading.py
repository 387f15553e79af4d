"""Readings: once a block, what the champion lost beside models that learn from what was known when the block began.

Nothing is registered. A reading is a fact, and all that is decided from it later is decided from that fact. See
docs/design/0007.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from kairos.app.finishing import model_options
from kairos.app.losses import known_rows, lists_in, losses_on, moments
from kairos.app.packages import open_version
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.training import pipeline_source, recent_window, run_steps
from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.retrain.readings import Reading
from kairos.delivery.retrain.reasons import waiting_cost
from kairos.delivery.retrain.slope import risk_slope
from kairos.delivery.retrain.windows import TrainingWindow, choose_window, windows_to_try
from kairos.delivery.state import ModelState, VersionState
from kairos.errors import KairosError
from kairos.ledger import Entry
from kairos.models.learn import Learn
from kairos.models.measure import LOSSES, MeasureModel, read_losses, sums_by_day
from kairos.models.package import Package
from kairos.pipeline.graph import Graph, Node
from kairos.pipeline.project import load_module
from kairos.store.tables import read_table
from kairos.values import Json, Window

__all__ = ["READING", "learning", "read", "readings_of", "with_readings"]

READING = "reading.taken"

_LONGEST = 4
"""Blocks that one reading is about, at most: several, where one has too few rows or the loop did not run."""

_USUAL = 4
"""Readings, the last ones, that say what a fresh model loses."""


def read(project: Project, model: ModelSettings, state: ModelState) -> Entry | None:
    """Takes a reading if a block of rows is complete and has none.

    A model that cannot be measured (no time, a step that looks at the rows held out, a training that fails) has no
    readings; findings and age then decide alone.

    Returns:
        The fact, or ``None`` if none is due or none could be taken.
    """
    champion = state.champion
    if champion is None or model.time is None:
        return None
    package = open_version(project, champion.package, model)
    told = _facts(project, model)
    block = _due(project, model, package, told)
    if block is None:
        return None
    try:
        node = Graph.from_module(load_module(pipeline_source(project), keep=False)).node(model.step)
        if model.holdout in node.inputs.values():
            return None
        taken = _take(project, model, node, block, champion, package, told)
    except KairosError as error:
        taken = {"window": str(block), "failure": str(error)}
    if taken is None:
        return None
    return project.tell(READING, subject=model.name, body={**taken, "version": champion.ref.number})


def readings_of(entries: list[Entry], *, version: int | None = None) -> tuple[Reading, ...]:
    """What the facts tell, of one version or of all; blocks that could not be measured are left out."""
    mine = [entry.body for entry in entries if "failure" not in entry.body]
    return tuple(Reading.from_plain(body) for body in mine if version in (None, body["version"]))


def learning(project: Project, model: ModelSettings) -> dict[str, Learn]:
    """From how long ago a training should learn, by the last readings; empty: from all that the pipeline gives."""
    chosen = choose_window(readings_of(_facts(project, model)))
    learn = _learn(chosen)
    return {} if learn == Learn() else {model.name: learn}


def with_readings(project: Project, model: ModelSettings, state: ModelState, facts: RetrainFacts) -> RetrainFacts:
    """The facts with what readings tell: what waiting has cost, how models age, what is new to learn from."""
    champion = state.champion
    told = readings_of(_facts(project, model))
    if champion is None or not told:
        return facts
    package = open_version(project, champion.package, model)
    mine = readings_of(_facts(project, model), version=champion.ref.number)
    rows = sum(one.n for one in told[-_USUAL:])
    known = replace(
        facts,
        readings=mine,
        usual_loss=sum(sum(one.fresh) for one in told[-_USUAL:]) / rows if rows else None,
        slope=risk_slope(told),
        new_rows=sum(sum(one.compared_rows) for one in mine) if mine else None,
        train_rows=package.spec.train_rows,
    )
    return replace(known, tried_regret=_tried(project, model, state, known))


def _tried(project: Project, model: ModelSettings, state: ModelState, facts: RetrainFacts) -> float | None:
    """What waiting had cost when the last version was trained, if that was proven bad and the champion is the same."""
    told = project.ledger.read(kinds=["retrain.decided"], subject=model.name)
    trainings = [entry for entry in told if entry.body.get("action") not in ("investigate", "wait")]
    if not trainings or not state.failures_in_a_row:
        return None
    return waiting_cost(model.retrain, RetrainFacts.from_plain(trainings[-1].body["facts"])).regret


def _facts(project: Project, model: ModelSettings) -> list[Entry]:
    return list(project.ledger.read(kinds=[READING], subject=model.name))


def _due(project: Project, model: ModelSettings, package: Package, told: list[Entry]) -> Window | None:
    """The blocks that are complete and were not read: from where the last one ended, or the champion's knowledge ends.

    One, unless it had too few rows or nobody looked for a while.
    """
    end = recent_window(project).end
    if told:
        start = Window.parse(str(told[-1].body["window"])).end
    else:
        start = _hour_after(package.spec.train_until) or end - model.retrain.block
    block = model.retrain.block
    start = max(start, end - _LONGEST * block)
    whole = (end - start) // block
    return Window(start, start + whole * block) if whole else None


def _hour_after(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def _take(
    project: Project,
    model: ModelSettings,
    node: Node,
    block: Window,
    champion: VersionState,
    package: Package,
    told: list[Entry],
) -> dict[str, Json] | None:
    known_until = block.start - project.settings.label_delay
    window = Window(known_until - project.settings.history, block.end)
    measured = dict(_measured(project, model, block, known_until, window))
    if not measured:
        return None
    first = next(iter(measured.values()))
    rows = tuple(int(count) for count in first["rows"])
    if sum(rows) < model.retrain.min_block_rows:
        return None  # the next block comes to it
    data = _data(project, model, node, window, package.spec.target)
    until = package.spec.train_until
    own = _champion_sums(data, model, package, block, first["days"])
    chosen = choose_window(readings_of(told)).name
    reading = Reading(
        window=block,
        rows=rows,
        champion=own,
        tried={name: tuple(each["losses"]) for name, each in measured.items()},
        chosen=chosen if chosen in measured else next(iter(measured)),
        age_days=0.0 if until is None else max((known_until - until).total_seconds() / 86400, 0.0),
    )
    body: dict[str, Json] = reading.plain()
    return body


def _measured(
    project: Project, model: ModelSettings, block: Window, known_until: datetime, window: Window
) -> Iterator[tuple[str, dict[str, list[float]]]]:
    """Losses of a model for each training window; where only all of the history cannot be learnt from, it is told.

    Raises:
        KairosError: not even all of the history can be learnt from.
    """
    for candidate in windows_to_try(project.settings.history.total_seconds() / 86400, weighted=True):
        measure = MeasureModel(
            step=model.step,
            options=model_options(model),
            learn=replace(_learn(candidate), artifact=model.holdout),
            block=block,
            known_until=known_until,
            clip=model.output.on_violation == "clip",
        )
        result = run_steps(project, window, [model.step, model.holdout], finish_model=measure)
        if result.failure is not None:
            if candidate == TrainingWindow():
                raise KairosError(f"A fresh model could not be measured. {result.failure.message}")
            continue  # too few rows, or an estimator that takes no weights
        files = project.store.listing(result.models[model.step])
        yield candidate.name, read_losses(project.store.get_bytes(files[LOSSES]))


def _champion_sums(
    rows: pl.DataFrame, model: ModelSettings, package: Package, block: Window, days: list[float]
) -> tuple[float, ...]:
    """The champion's losses on each of the last days of which it has seen no row."""
    assert model.time is not None
    rows = known_rows(rows, package)
    at = moments(model.time, rows.schema[model.time])
    rows = rows.filter(at >= block.start, at < block.end)
    seen = np.datetime64("0001-01-01", "us")
    if package.spec.train_until is not None:
        seen = np.datetime64(package.spec.train_until.replace(tzinfo=None), "us")
    times = rows.select(at).to_series().dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    if (lists := lists_in(rows, package)) is not None:  # a list counts as one, at the time of its first row
        times = times[lists.firsts]
    losses = losses_on(rows, package, model)
    found = sums_by_day(times, losses, block)
    known = sums_by_day(times[times <= seen], losses[times <= seen], block)["days"]
    first = max(known, default=-1) + 1
    if found["days"] != days:
        return ()  # rows without an answer of the champion: nothing can be set side by side
    return tuple(loss for day, loss in zip(found["days"], found["losses"], strict=True) if day >= first)


def _data(project: Project, model: ModelSettings, node: Node, window: Window, target: str) -> pl.DataFrame:
    """Training table and rows held out, one below the other, with the columns that both have."""
    result = run_steps(project, window, [*node.inputs.values(), model.holdout])
    held = read_table(project.store, result.artifact(model.holdout).digest)
    for name in node.inputs.values():
        artifact = result.artifact(name)
        if artifact.kind.startswith("table/"):
            table = read_table(project.store, artifact.digest)
            if {target, model.time} <= set(held.columns) & set(table.columns):
                shared = [column for column in held.columns if column in table.columns]
                return pl.concat([table.select(shared), held.select(shared)], how="vertical_relaxed")
    return held


def _learn(window: TrainingWindow) -> Learn:
    return Learn(days=window.days, half_life_days=window.half_life_days)
