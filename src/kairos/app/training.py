"""From data to a registered version: run the pipeline, write the facts, keep the experiment record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from kairos.app.losses import holdout_losses
from kairos.app.packages import open_stored
from kairos.app.project import Project
from kairos.app.retrying import decide_again
from kairos.app.settings import ModelSettings
from kairos.models.finish import FinishModel, ModelOptions
from kairos.pipeline.project import PipelineSource
from kairos.pipeline.run import RunResult, StepEvent, run
from kairos.values import Digest, Json, VersionRef, Window

__all__ = ["Trained", "default_window", "finisher", "pipeline_source", "train"]

Params = Mapping[str, Mapping[str, Json]]
"""Params by step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a run gave."""

    result: RunResult
    versions: tuple[VersionRef, ...] = ()
    """Registered by this run."""
    unchanged: tuple[VersionRef, ...] = ()
    """Versions whose package this run made again, to the byte; nothing new was registered for them."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Mean losses on the holdout, in the loss's unit, such as ``demand.absolute_error``; beside each one the simple
    baseline's, ``demand.absolute_error.baseline``."""


def train(
    project: Project,
    *,
    window: Window,
    params: Params | None = None,
    force: Collection[str] = (),
    origin: str = "manual",
    reasons: Sequence[str] = (),
    on_event: Callable[[StepEvent], None] = lambda event: None,
) -> Trained:
    """Runs the pipeline over a window and registers each model that came out new.

    The run is a fact in the ledger whether it succeeded or not; a failed run is no exception here.

    Args:
        project: Whose pipeline.
        window: The stretch of time that sources are asked for.
        params: Values of keyword-only params, by step.
        force: Steps that run even if nothing changed.
        origin: Why: ``manual``, ``finding`` or ``age``.
        reasons: The same in sentences.
        on_event: Told of every step as it starts and ends.

    Raises:
        PipelineError: the pipeline cannot run as it is written; nothing ran.
    """
    result = run(
        pipeline_source(project),
        store=project.store,
        cache=project.cache,
        engine=project.engine,
        window=window,
        params=params or {},
        clock=project.clock,
        finish_model=finisher(project),
        force=force,
        on_event=on_event,
    )
    body = result.plain()
    made = [(m, result.models[m.step]) for m in project.settings.models.values() if m.step in result.models]
    metrics: dict[str, float] = {}
    for model, package in made:
        metrics |= _metrics(project, model, package, body)
    kind = "run.finished" if result.ok else "run.failed"
    project.tell(kind, subject=result.id, body={**body, "metrics": metrics})
    trained = Trained(result=result, metrics=metrics)
    for model, package in made:
        ref, is_new = decide_again(partial(_registered, project, model.name, package, result.id, origin, reasons))
        if is_new:
            trained = replace(trained, versions=(*trained.versions, ref))
        else:
            trained = replace(trained, unchanged=(*trained.unchanged, ref))
    return trained


def default_window(project: Project) -> Window:
    """What a run looks at when it is not told: the setting, or the last ``history`` whose truth is known."""
    settings = project.settings
    return settings.window if settings.window is not None else recent_window(project)


def recent_window(project: Project) -> Window:
    """The last ``history``, up to the hour whose truth is known by now."""
    end = (project.clock.now() - project.settings.label_delay).replace(minute=0, second=0, microsecond=0)
    return Window(end - project.settings.history, end)


def pipeline_source(project: Project) -> PipelineSource:
    """Where the project's steps are."""
    return PipelineSource(root=project.root, file=project.settings.pipeline)


def finisher(project: Project) -> FinishModel:
    """Makes packages as the settings say."""
    options = {
        name: ModelOptions(
            step=m.step,
            target=m.target,
            time=m.time,
            entity=m.entity,
            loss=m.gate.loss,
            drop=m.drop,
            lower=m.output.lower,
            upper=m.output.upper,
            allow_pickle=m.allow_pickle,
        )
        for name, m in project.settings.models.items()
    }
    return FinishModel(settings=options)


def _metrics(project: Project, model: ModelSettings, package: Digest, run: Json) -> dict[str, float]:
    opened = open_stored(project.store, package, allow_pickle=model.allow_pickle)
    losses = holdout_losses(project, model, opened, run)
    name = f"{model.name}.{model.gate.loss}"
    return {name: float(losses.own.mean()), f"{name}.baseline": float(losses.baseline.mean())} if losses.rows else {}


def _registered(
    project: Project, model: str, package: Digest, run: str, origin: str, reasons: Sequence[str]
) -> tuple[VersionRef, bool]:
    """Registers the package under the next number, unless a version has these very bytes already."""
    state = project.state()
    versions = state.models[model].versions if model in state.models else {}
    same = [version.ref for version in versions.values() if version.package == package]
    if same:
        return same[-1], False
    ref = VersionRef(model, max(versions, default=0) + 1)
    body = {"package": package, "run": run, "origin": origin, "reasons": list(reasons)}
    project.tell("version.registered", subject=str(ref), body=body, expect=state.seq)
    return ref, True
