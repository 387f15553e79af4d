"""Leakage between what a model learnt from and what it is judged on, from the artifacts of its last run."""

from __future__ import annotations

from dataclasses import dataclass

from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.training import pipeline_source
from kairos.errors import DataRefused, NotFound, UsageError
from kairos.experiments.finding import find_run
from kairos.experiments.ports import RunRecord
from kairos.experiments.runs import latest_runs
from kairos.pipeline.graph import Graph
from kairos.pipeline.leaks import LeakFinding, find_leaks
from kairos.pipeline.project import load_module
from kairos.store.tables import read_table

__all__ = ["LeakReport", "look_for_leaks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakReport:
    """What was found, and what the project has accepted."""

    model: str
    run: str
    train: str
    """Name of the artifact that the model learns from."""
    holdout: str
    findings: tuple[LeakFinding, ...]
    """Those that are not accepted."""
    accepted: tuple[LeakFinding, ...] = ()
    needless: tuple[str, ...] = ()
    """Names that are accepted, and found nothing this time."""


def look_for_leaks(project: Project, name: str | None = None, *, run: str | None = None) -> LeakReport:
    """Looks at the tables of a model's last run, finished or not, that made both.

    Args:
        project: Whose.
        name: The model; ``None``: the only one.
        run: Another run than the last.

    Raises:
        NotFound: there is no such model or run, or no run has made both tables.
        UsageError: there are several models, and none is named.
        DataRefused: no input of the model's step is a table with the target, or a column is missing.
    """
    model = _model(project, name)
    node = Graph.from_module(load_module(pipeline_source(project), keep=False)).node(model.step)
    target = model.target or node.spec.target
    targets = model.targets or node.spec.targets or (() if target is None else (target,))
    needed = {model.holdout, *node.inputs.values()}
    known = latest_runs(project.ledger) if run is None else iter([find_run(project.run_index, run)])
    chosen = next((one for one in known if needed <= one.outputs.keys()), None)
    if chosen is None or target is None:
        raise NotFound(
            f"No run has made {' and '.join([*node.inputs.values(), model.holdout])}.",
            given=run,
            hint="Type: kairos run",
        )
    found, train = _found(project, model, chosen, dict(node.inputs), targets, node.spec.drop)
    names = {finding.name for finding in found}
    return LeakReport(
        model=model.name,
        run=chosen.run,
        train=train,
        holdout=model.holdout,
        findings=tuple(finding for finding in found if finding.name not in model.leaks.accept),
        accepted=tuple(finding for finding in found if finding.name in model.leaks.accept),
        needless=tuple(name for name in model.leaks.accept if name not in names),
    )


def _found(
    project: Project,
    model: ModelSettings,
    run: RunRecord,
    inputs: dict[str, str],
    targets: tuple[str, ...],
    drop: tuple[str, ...],
) -> tuple[list[LeakFinding], str]:
    target = targets[0]
    tables = {parameter: read_table(project.store, run.outputs[name]) for parameter, name in inputs.items()}
    with_target = [parameter for parameter, table in tables.items() if target in table.columns]
    if not with_target:
        raise DataRefused(f"No input of the step {model.step!r} has the target {target!r}.", given=", ".join(inputs))
    parameter = "train" if "train" in with_target else with_target[0]
    table = tables[parameter]
    outside = {target, *targets, model.time, model.entity, model.rank_within, model.item, *model.drop, *drop}
    found = find_leaks(
        table,
        read_table(project.store, run.outputs[model.holdout]),
        target=target,
        features=[column for column in table.columns if column not in outside],
        time=model.time,
        apart=model.leaks.apart,
    )
    return found, inputs[parameter]


def _model(project: Project, name: str | None) -> ModelSettings:
    models = project.settings.models
    if name is None and len(models) != 1:
        raise UsageError(
            "It has to be said which model is meant.",
            accepted=", ".join(sorted(models)) or "none is set up",
            hint="Type: kairos data leaks MODEL",
        )
    return project.settings.model(next(iter(models)) if name is None else name)
