"""What a package's baselines answer on the rows held out, and by how much the model beats them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.app.losses import guarded, lists_in, moments, simple_answers, truth_on
from kairos.app.packages import holdout_table, read_stored
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.errors import KairosError
from kairos.experiments.baselines import Beaten, Beating
from kairos.gates.compare import Comparer
from kairos.gates.metrics import metric_named
from kairos.gates.rows import GateRows
from kairos.models.baselines.fitted import Baselines, last_answers
from kairos.models.baselines.last_value import History, codes_of
from kairos.models.frames import read_column
from kairos.models.goals import truth_of
from kairos.models.package import Package
from kairos.values import Digest, Json

__all__ = ["Answered", "answers_of_baselines", "beating"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What baselines say of some rows, the best on the training rows first."""

    answers: Mapping[str, Floats]
    left_out: Mapping[str, str]
    """Those that do not apply, and why."""


def answers_of_baselines(
    project: Project, model: ModelSettings, package: Package, run: Json, rows: pl.DataFrame
) -> Answered:
    """What each baseline says of rows held out, after the output guard, as the model's own answers are.

    A package of before baselines has the constant alone.

    Args:
        project: Whose store.
        model: Its settings.
        package: Opened.
        run: Body of the fact of the run that made it.
        rows: Of its holdout, with a known truth.
    """
    found = package.baselines() or Baselines(chosen="constant", inner={"constant": np.inf})
    answers: dict[str, Floats] = {}
    left_out: dict[str, str] = {str(name): why for name, why in found.left_out.items()}
    for name in found.names:
        if name == "constant":
            answers[name] = simple_answers(rows, package)
        elif name == "linear" and found.linear is not None:
            needed = {each: read_column(rows, each).values for each in found.linear.terms.names}
            answers[name] = _as_served(package, model, found.linear.answers(needed, len(rows)))
            if (lists := lists_in(rows, package)) is not None:
                answers[name] = lists.padded(answers[name], 0.0)
        elif name == "last_value":
            try:
                answers[name] = _as_served(package, model, _last(project, model, package, run, rows, found))
            except KairosError as error:  # its truths are gone from the store, or another table than they were
                left_out[name] = error.what.rstrip(".")
    return Answered(answers=answers, left_out=left_out)


def beating(
    model: ModelSettings, package: Package, rows: pl.DataFrame, own: Floats, said: Answered, digest: Digest
) -> Beating:
    """Compares the model with each baseline, by the gate's own estimators.

    The gate's ``alpha`` is shared by both sides of an interval. Each baseline is judged by itself.

    Args:
        model: Its settings.
        package: The model.
        rows: Held out, with a known truth.
        own: What the model says of them.
        said: What the baselines say.
        digest: Name of the table of the rows.
    """
    policy, loss, truth = model.gate, model.gate.loss, truth_on(rows, package)
    if (lists := lists_in(rows, package)) is not None:  # a list counts as one, told by its first row
        rows = rows[lists.firsts]
    times = None
    if model.time is not None and model.time in rows.columns:
        found = rows.select(moments(model.time, rows.schema[model.time])).to_series()
        times = found.dt.replace_time_zone(None).to_numpy()
    entities = None if model.entity is None else rows[model.entity].to_numpy()
    held = GateRows(truth=truth, challenger=own, times=times, entities=entities, digest=digest)
    both = replace(policy, alpha=policy.alpha / 2, slices=(), protected=(), groups=())
    judge = Comparer(rows=held, policy=both)
    results = {name: judge(metric_named(loss), answers, own) for name, answers in said.answers.items()}
    first = next(iter(results.values()), None) or judge(metric_named(loss), own, own)
    return Beating(
        loss=loss,
        rows=len(rows),
        own=first.challenger,
        lower=first.own_lower,
        upper=first.own_upper,
        level=1 - policy.alpha,
        dependence=first.dependence,
        chosen=next(iter(results), None),
        compared=tuple(
            Beaten(name=name, loss=each.champion, difference=each.difference, lower=each.lower, upper=each.upper)
            for name, each in results.items()
        ),
        left_out=said.left_out,
    )


def _as_served(package: Package, model: ModelSettings, answers: Floats) -> Floats:
    outputs = package.spec.signature.outputs
    return answers if outputs and outputs[0].kind == "class" else guarded(answers, model)


def _last(
    project: Project, model: ModelSettings, package: Package, run: Json, rows: pl.DataFrame, found: Baselines
) -> Floats:
    """From the truths of the training table and of the whole holdout, as far as they were known at each row's time."""
    assert found.last_value is not None
    assert model.time is not None
    spec = package.spec
    names = list(dict.fromkeys([*spec.goals, model.time, *([] if model.entity is None else [model.entity])]))
    tables = [holdout_table(project, model, run)]
    digest = _training(run, model)
    if digest is not None:
        tables.insert(0, read_stored(project.store, digest))
    known = [
        table.select(names).drop_nulls([*spec.goals, model.time])
        for table in tables
        if set(names) <= set(table.columns)
    ]
    outputs = spec.signature.outputs
    codes = [np.zeros(len(table), dtype=np.int64) for table in (*known, rows)]
    if model.entity is not None:
        codes = codes_of(*(table[model.entity].to_list() for table in (*known, rows)))
    history = History(
        at_s=np.concatenate([_seconds(table, model.time) for table in known]),
        entity=np.concatenate(codes[:-1]),
        truth=np.concatenate([truth_of(table, spec.goals, outputs).astype(np.float64) for table in known]),
    )
    constant = spec.baselines if outputs else (np.nan if spec.baseline is None else spec.baseline,)
    at_s = _seconds(rows, model.time)
    return last_answers(found.last_value, history, at_s, codes[-1], constant=constant, outputs=outputs)


def _training(run: Json, model: ModelSettings) -> Digest | None:
    """The table that the model learnt from: the input named ``train``, or else the first that is a table."""
    step = next((step for step in run["steps"] if step["step"] == model.step), None)
    if step is None:
        return None
    tables = {o["name"]: o["digest"] for each in run["steps"] for o in each["outputs"] if o["kind"].startswith("table")}
    taken = {name: Digest(digest) for name, digest in step["inputs"].items() if name in tables}
    named = next((digest for name, digest in taken.items() if name.rpartition(".")[2] == "train"), None)
    return named or next((digest for name, digest in taken.items() if name != model.holdout), None)


def _seconds(table: pl.DataFrame, time: str) -> NDArray[np.int64]:
    found: Any = table.select(moments(time, table.schema[time]).dt.epoch("s")).to_series().to_numpy()
    return np.asarray(found, dtype=np.int64)
