"""Two packages on the same rows held out, by the gate's own estimators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

import polars as pl

from kairos.app.differing import Judged, Side
from kairos.app.gathering import gate_rows
from kairos.app.losses import fresh_rows
from kairos.app.own_code import load_metrics
from kairos.app.packages import holdout_table, open_stored
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.errors import DataRefused
from kairos.gates.compare import Comparer
from kairos.gates.policy import GatePolicy
from kairos.gates.rows import GateRows
from kairos.models.package import Package
from kairos.stats.bootstrap import Statistic

__all__ = ["judge_answers", "judge_on_rows"]


def judge_on_rows(
    project: Project, model: ModelSettings, before: Side, after: Side, on: Literal["first", "second"]
) -> Iterator[Judged]:
    """Judges what the gate would look at: its metrics, its estimators, its reckoning with rows that depend.

    ``alpha`` of the gate is the chance that the interval misses the true difference, on either side: at 0.05 it holds
    it with chance 95 %. Each metric is judged by itself.

    Raises:
        KairosError: the two cannot be asked about the same rows, or have seen all of them.
    """
    digests = (before.package(model), after.package(model))
    assert digests[0] is not None
    assert digests[1] is not None
    if digests[0] == digests[1]:
        raise DataRefused("their packages are the same, to the byte")
    packages = [open_stored(project.store, each, allow_pickle=model.allow_pickle) for each in (digests[0], digests[1])]
    host, guest = (after, before) if on == "second" else (before, after)
    rows, total = _rows(project, model, host, guest, packages)
    policy = replace(model.gate, slices=(), protected=(), groups=())
    digest = host.holdout(model)
    assert digest is not None
    gated = gate_rows(rows, model, policy, challenger=packages[1], champion=packages[0], digest=digest)
    which = f"{len(rows)} of {total} rows" if len(rows) < total else f"{total} rows"
    functions = load_metrics(project.root, policy.own)
    yield from judge_answers(
        model.name, gated, policy, functions, on=f"{which} of {model.holdout} of {host.record.run}"
    )


def judge_answers(
    model: str, rows: GateRows, policy: GatePolicy, functions: Mapping[str, Statistic], *, on: str
) -> Iterator[Judged]:
    """Compares what two packages said of the same rows, by each metric of the gate.

    Args:
        model: Its name.
        rows: The champion's answers are those of what was before.
        policy: Its ``alpha`` is shared by both sides of the interval.
        functions: The project's own metrics.
        on: Which rows, in words.
    """
    both = replace(policy, alpha=policy.alpha / 2)
    judge = Comparer(rows=rows, policy=both, functions=functions)
    assert rows.champion is not None
    for rule in policy.rules:
        metric = policy.known(rule.metric)
        found = judge(metric, rows.champion, rows.challenger)
        is_lower = metric.better == "lower"
        low, high = (-found.upper, -found.lower) if is_lower else (found.lower, found.upper)
        yield Judged(
            metric=f"{model}.{metric.name}",
            over="rows",
            before=found.champion,
            after=found.challenger,
            difference=-found.difference if is_lower else found.difference,
            lower=low,
            upper=high,
            level=1 - policy.alpha,
            better=metric.better,
            n=found.n,
            on=on,
            method=f"{found.method}, {found.dependence}",
        )


def _rows(
    project: Project, model: ModelSettings, host: Side, guest: Side, packages: list[Package]
) -> tuple[pl.DataFrame, int]:
    """The host's rows that neither has learnt from, and how many it held out."""
    if host.holdout(model) is None:
        raise DataRefused(f"{host.name} has no {model.holdout}")
    table = holdout_table(project, model, host.body)
    lacks = [name for package in packages for name in package.spec.signature.names if name not in table.columns]
    if lacks:
        raise DataRefused(f"{model.holdout} of {host.name} lacks the column {lacks[0]!r}, which one of them takes")
    if packages[0].spec.target != packages[1].spec.target:
        raise DataRefused("they predict different columns", given=" and ".join(p.spec.target for p in packages))
    rows = fresh_rows(table, model, packages)
    by_time = model.time in table.columns and all(package.spec.train_until is not None for package in packages)
    if not by_time and host.holdout(model) != guest.holdout(model):
        rows = _shared(project, model, rows, host, guest)
    if rows.is_empty():
        until = max((p.spec.train_until for p in packages if p.spec.train_until is not None), default=None)
        raise DataRefused(
            f"one of them was trained on all rows of {model.holdout} of {host.name}", given=f"until {until}"
        )
    return rows, len(table)


def _shared(project: Project, model: ModelSettings, rows: pl.DataFrame, host: Side, guest: Side) -> pl.DataFrame:
    """Where no time tells what a model has seen: rows that both have held out."""
    if guest.holdout(model) is None:
        raise DataRefused(f"{guest.name} has no {model.holdout}, so what it was trained on is not known")
    other = holdout_table(project, model, guest.body)
    if rows.schema != other.schema:
        raise DataRefused("their holdouts have other columns, and no time tells which rows a model was trained on")
    found = rows.join(other, on=rows.columns, how="semi", nulls_equal=True, maintain_order="left")
    if found.is_empty():
        raise DataRefused("their holdouts have no rows in common, and no time tells which rows a model was trained on")
    return found
