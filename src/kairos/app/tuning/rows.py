"""Which rows a run judges on, whether it kept to those that it may see, and how training rows are split once more."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kairos.app.losses import moments
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.tuning.question import Rows
from kairos.errors import DataRefused
from kairos.models.frames import column_names, frame_kind, read_moments
from kairos.pipeline.artifacts import Artifact, decode, encode
from kairos.pipeline.cache import Known
from kairos.pipeline.fingerprint import Fingerprint
from kairos.pipeline.graph import Graph
from kairos.pipeline.result import RunResult
from kairos.store.tables import read_table

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Order", "goals_of", "held_out_again", "judged_rows", "latest_seen", "order_of"]

Order = Literal["time", "entity", "chance"]
_TABLES = ("table/polars", "table/pandas")


def goals_of(model: ModelSettings, graph: Graph) -> tuple[str, ...]:
    """Names of the target columns."""
    spec = graph.node(model.step).spec
    named = model.targets or spec.targets or tuple(each for each in (model.target or spec.target,) if each)
    return tuple(named)


def judged_rows(project: Project, model: ModelSettings, graph: Graph, result: RunResult) -> Rows:
    """The rows that a run held out.

    Two runs judge alike only where these are equal: the same truths, at the same times, in the same order.
    """
    table = read_table(project.store, result.artifact(model.holdout).digest)
    goals = goals_of(model, graph)
    lacking = [name for name in goals if name not in table.columns]
    if lacking:
        raise DataRefused(f"The holdout {model.holdout!r} lacks the target {lacking[0]!r}.")
    beside = [name for name in (model.time, model.rank_within) if name is not None and name in table.columns]
    names = [*goals, *beside]
    written = BytesIO()
    table.select(names).rechunk().write_ipc(written, compression="uncompressed")
    first = _edge(table, model.time, latest=False)
    return Rows(digest=hashlib.sha256(written.getvalue()).hexdigest(), count=len(table), first=first)


def latest_seen(project: Project, model: ModelSettings, graph: Graph, result: RunResult) -> datetime | None:
    """The latest time in any table that the model step is given, or that is held out; ``None``: none has times."""
    names = {*graph.node(model.step).inputs.values(), model.holdout}
    outputs = [output for step in result.steps for output in step.outputs if output.name in names]
    tables = [read_table(project.store, output.digest) for output in outputs if output.kind in _TABLES]
    found = [edge for table in tables if (edge := _edge(table, model.time, latest=True)) is not None]
    return max(found, default=None)


def latest_trained(project: Project, model: ModelSettings, graph: Graph, result: RunResult) -> datetime | None:
    """The latest time in a table that the model step is given, without that which is held out."""
    names = {*graph.node(model.step).inputs.values()} - {model.holdout}
    outputs = [output for step in result.steps for output in step.outputs if output.name in names]
    tables = [read_table(project.store, output.digest) for output in outputs if output.kind in _TABLES]
    found = [edge for table in tables if (edge := _edge(table, model.time, latest=True)) is not None]
    return max(found, default=None)


def order_of(project: Project, model: ModelSettings, graph: Graph, result: RunResult) -> Order:
    """By what a run's own split holds rows out."""
    table = read_table(project.store, result.artifact(model.holdout).digest)
    first, last = _edge(table, model.time, latest=False), latest_trained(project, model, graph, result)
    if first is not None and last is not None and first > last:
        return "time"
    return "entity" if _together(model, table.columns) is not None else "chance"


def held_out_again(
    project: Project, model: ModelSettings, graph: Graph, result: RunResult, *, order: Order, seed: int
) -> dict[str, tuple[Fingerprint, Known]]:
    """The results of the steps that split, with the rows held out gone, and some of the others held out in their place.

    Args:
        project: Whose store.
        model: Whose rows.
        graph: Of the pipeline.
        result: A run up to these steps.
        order: Which rows are held out.
        seed: Of chance.

    Raises:
        DataRefused: no one table can be found that the model learns from, or too little is left of it.
    """
    train, holdout = _train(project, model, graph, result), result.artifact(model.holdout)
    with tempfile.TemporaryDirectory(prefix="kairos-tune-") as folder:
        table = decode(project.store, train, workdir=Path(folder))
    count = len(table)
    wanted = round(count * _rows(project, holdout) / (count + _rows(project, holdout)))
    out = _chosen(table, model, max(wanted, 1), order, seed)
    if not out.any() or out.all():
        raise DataRefused(f"{count} rows of {train.name} are too few to hold some out once more.")
    new = {
        train.name: encode(project.store, _only(table, ~out), name=train.name),
        holdout.name: encode(project.store, _only(table, out), name=holdout.name),
    }
    given = {}
    for step in result.steps:
        outputs = tuple(new.get(output.name, output) for output in step.outputs)
        if outputs != tuple(step.outputs):
            made = Fingerprint(step=step.step, options={"tune": order, "of": step.fingerprint, "seed": seed})
            given[step.step] = (made, Known(outputs, None))
    return given


def _train(project: Project, model: ModelSettings, graph: Graph, result: RunResult) -> Artifact:
    """What the rows held out were split from: beside them, or else what the model step is given."""
    goals = goals_of(model, graph)
    beside = graph.node(model.holdout.partition(".")[0]).outputs
    inputs = graph.node(model.step).inputs
    for names in (beside, [inputs["train"]] if "train" in inputs else [], list(inputs.values())):
        known = {output.name: output for step in result.steps for output in step.outputs}
        found = [known[name] for name in names if name != model.holdout and name in known]
        tables = [each for each in found if each.kind in _TABLES]
        fit = [each for each in tables if set(goals) <= set(read_table(project.store, each.digest).columns)]
        if len(fit) == 1:
            return fit[0]
    raise DataRefused(
        f"It cannot be told which rows {model.step!r} learns from, so no others can be held out for the search.",
        given=", ".join(inputs.values()),
        accepted="one table with the target, which the step of the holdout or the model's own input gives",
    )


def _rows(project: Project, artifact: Artifact) -> int:
    return len(read_table(project.store, artifact.digest))


def _chosen(
    table: Any, model: ModelSettings, wanted: int, order: Order, seed: int
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows are held out, shape (n,)."""
    count = len(table)
    rng = np.random.default_rng(seed)
    if order == "time" and model.time is not None:
        at = read_moments(table, model.time)
        edge = np.sort(at)[max(count - wanted, 0)]
        return np.asarray(at >= edge)
    together = _together(model, column_names(table))
    if order == "entity" and together is not None:
        names, places = np.unique(np.asarray(table[together]).astype(str), return_inverse=True)
        sizes = np.bincount(places)[shuffled := rng.permutation(len(names))]
        taken = shuffled[: int(np.searchsorted(np.cumsum(sizes), wanted)) + 1]
        return np.isin(places, taken)
    out = np.zeros(count, dtype=np.bool_)
    out[rng.permutation(count)[:wanted]] = True
    return out


def _together(model: ModelSettings, columns: Sequence[str]) -> str | None:
    """The column whose equal values are not torn apart: rows of one list, or of one entity."""
    return next((name for name in (model.rank_within, model.entity) if name is not None and name in columns), None)


def _only(table: Any, kept: np.ndarray[Any, np.dtype[np.bool_]]) -> Any:
    if frame_kind(table) == "polars":
        return table.filter(kept)
    return table[kept].reset_index(drop=True)


def _edge(table: pl.DataFrame, time: str | None, *, latest: bool) -> datetime | None:
    if time is None or time not in table.columns or table.is_empty():
        return None
    at = table.select(moments(time, table.schema[time])).to_series()
    found = at.max() if latest else at.min()
    return found.astimezone(UTC) if isinstance(found, datetime) else None
