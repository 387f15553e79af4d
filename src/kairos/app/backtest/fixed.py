"""What other policies would have lost on the same rows: never retrain, or retrain on a beat and always deploy."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kairos.app.losses import guarded
from kairos.app.packages import open_version
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.timed import TimedRows
from kairos.app.training import pipeline_source
from kairos.gates.losses import loss_named
from kairos.models.package import Package
from kairos.models.score import score_table
from kairos.models.training import fit, training_data
from kairos.pipeline.project import load_module
from kairos.store.tables import read_table
from kairos.values import Digest, VersionRef, Window

__all__ = ["Backtest", "always_deploy", "main", "never_retrain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """A policy's losses on the rows of a window."""

    at: Sequence[datetime]
    losses: NDArray[np.float64]
    """By the model's own loss, shape (n,), after the output guard; lower is better."""
    deployments: int
    violations: int
    """Model outputs that the guard had to stop."""

    @property
    def mean(self) -> float:
        """Of the losses."""
        return float(self.losses.mean())

    def until(self, last: datetime) -> Backtest:
        """The same on the rows up to that moment."""
        is_known = np.array([at <= last for at in self.at], dtype=bool)
        return replace(self, at=[at for at in self.at if at <= last], losses=self.losses[is_known])


def never_retrain(package: Package, rows: pl.DataFrame, model: ModelSettings, window: Window) -> Backtest:
    """One model, for ever."""
    sent = _within(rows, model, window)
    raw = score_table(package, sent)
    answers = guarded(raw, model)
    losses = loss_named(model.gate.loss)(sent[package.spec.target].to_numpy(), answers)
    return Backtest(at=_moments(sent, model), losses=losses, deployments=1, violations=int((raw != answers).sum()))


def always_deploy(
    project: Project,
    rows: pl.DataFrame,
    model: ModelSettings,
    window: Window,
    *,
    every: timedelta = timedelta(days=7),
) -> Backtest:
    """A new model on a fixed beat, trained on the project's ``history``, deployed whatever it is worth.

    It holds nothing out, because it judges nothing; otherwise it learns as the project does: the same step makes the
    estimator, from rows whose truth is known by then.
    """
    step = vars(load_module(pipeline_source(project), keep=False))[model.step]
    losses: list[NDArray[np.float64]] = []
    violations = 0
    parts = list(window.split(every))
    target = model.target or step.__kairos__.target
    for part in parts:
        known_until = part.start - project.settings.label_delay
        known = _within(rows, model, Window(part.start - project.settings.history, known_until))
        sent = _within(rows, model, part)
        if sent.is_empty():
            continue
        keys = [key for key in (model.time, model.entity) if key is not None]
        drop = [name for name in (*step.__kairos__.drop, *model.drop) if name not in keys]
        estimator: Any = step(known)
        data = training_data(known, estimator, step=model.step, target=target, keys=keys, drop=drop)
        fitted = fit(estimator, data, seed=step.__kairos__.seed)
        raw = np.asarray(fitted.predict(sent.select(list(data.columns))), dtype=np.float64)
        answers = guarded(raw, model)
        violations += int((raw != answers).sum())
        losses.append(loss_named(model.gate.loss)(sent[target].to_numpy(), answers))
    sent = _within(rows, model, window)
    return Backtest(
        at=_moments(sent, model), losses=np.concatenate(losses), deployments=len(parts), violations=violations
    )


def _within(rows: pl.DataFrame, model: ModelSettings, window: Window) -> pl.DataFrame:
    assert model.time is not None  # a model without a time cannot be replayed
    return TimedRows.of(rows, model.time).within(window).rows


def _moments(rows: pl.DataFrame, model: ModelSettings) -> list[datetime]:
    assert model.time is not None
    return TimedRows.of(rows, model.time).at.to_list()


def main(root: str, home: str, rows: str, first: str, window: str) -> None:
    """Works out both policies and writes them, pickled, to stdout: the program that a replay starts beside itself."""
    ref = VersionRef.parse(first)
    with Project(Path(root), home=Path(home)) as project, threadpool_limits(1):
        model = project.settings.model(ref.model)
        table = read_table(project.store, Digest(rows))
        version = project.state().model(ref.model).version(ref.number)
        package = open_version(project, version.package, model)
        sent = Window.parse(window)
        found = {
            "never retrain": never_retrain(package, table, model, sent),
            "retrain weekly": always_deploy(project, table, model, sent, every=timedelta(days=7)),
        }
    sys.stdout.buffer.write(pickle.dumps(found))
