"""What other policies would have lost on the same rows: never retrain, or retrain on a beat and always deploy."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kairos.app.backtest.learning import Learnt, goals_of, learn
from kairos.app.backtest.tables import spec_of
from kairos.app.losses import guarded, known_rows, lists_in, losses_on
from kairos.app.packages import open_version
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.timed import TimedRows
from kairos.app.training import pipeline_source
from kairos.gates.lists import in_lists
from kairos.gates.losses import loss_named
from kairos.models.package import Package
from kairos.models.ranked import list_keys
from kairos.models.score import score_table
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
    sent = known_rows(_within(rows, model, window), package)
    raw, lists = score_table(package, sent), lists_in(sent, package)
    outputs = package.spec.signature.outputs
    tells_chances = bool(outputs) and outputs[0].kind == "class"
    return Backtest(
        at=_moments(sent if lists is None else sent[lists.firsts], model),
        losses=losses_on(sent, package, model),
        deployments=1,
        violations=0 if tells_chances else _changed(raw, guarded(raw, model)),
    )


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
    spec = spec_of(step)
    goals = list(goals_of(model, spec))
    parts = list(window.split(every))
    found: list[_Part] = []
    for part in parts:
        known_until = part.start - project.settings.label_delay
        known = _within(rows, model, Window(part.start - project.settings.history, known_until)).drop_nulls(goals)
        sent = _within(rows, model, part).drop_nulls(goals)
        if not sent.is_empty():
            found.append(_judged(learn(step(known), known, model, spec), sent))
    return Backtest(
        at=[at for part in found for at in _moments(part.rows, model)],
        losses=np.concatenate([part.losses for part in found]),
        deployments=len(parts),
        violations=sum(part.violations for part in found),
    )


class _Part(NamedTuple):
    """What a model lost on the rows that it answered."""

    rows: pl.DataFrame
    """One for each loss: of a list its first."""
    losses: NDArray[np.float64]
    violations: int


def _judged(learnt: Learnt, sent: pl.DataFrame) -> _Part:
    raw, truth = learnt.raw(sent), learnt.truth(sent)
    served, loss = learnt.served(raw), loss_named(learnt.model.gate.loss)
    violations = _changed(raw, served)
    if learnt.model.rank_within is None:
        return _Part(sent, loss(truth, served), violations)
    truth, served, firsts = in_lists(list_keys(sent, learnt.model.rank_within), truth, served)
    return _Part(sent[firsts], loss(truth, served), violations)


def _changed(raw: NDArray[np.float64], served: NDArray[np.float64]) -> int:
    """Rows whose answer the guard had to change."""
    differs = raw != served
    return int((differs if differs.ndim == 1 else differs.any(axis=1)).sum())


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
