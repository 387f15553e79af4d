"""From data to a registered version: run the pipeline, write the facts, keep the experiment record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kairos.app.agreeing import check_settings
from kairos.app.finishing import finisher
from kairos.app.inspecting import DataCheck, Inspector, log_checks
from kairos.app.noting import Notes
from kairos.app.project import Project
from kairos.app.registering import made_of, measured_or_told, recorded
from kairos.app.settings import ModelSettings
from kairos.app.using import uses_store
from kairos.pipeline.contract import contract_digest
from kairos.pipeline.graph import Graph
from kairos.pipeline.planning import Planned, plan_run
from kairos.pipeline.ports import ModelFinisher
from kairos.pipeline.progress import Progress
from kairos.pipeline.project import PipelineSource
from kairos.pipeline.run import RunResult, RunStopped, StepEvent, run, set_up, work
from kairos.values import Json, VersionRef, Window, plain

if TYPE_CHECKING:
    from kairos.app.seeding import OtherSeeds
    from kairos.experiments.baselines import Beating
    from kairos.models.learn import Learn

__all__ = [
    "Trained",
    "contracts_of",
    "default_window",
    "pipeline_source",
    "plan",
    "run_steps",
    "train",
]

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
    """Mean losses on the holdout, in the loss's unit, such as ``demand.absolute_error``; beside each one the best
    baseline's, ``demand.absolute_error.baseline``, and ``demand.absolute_error.baseline.NAME`` of each; without what
    ``seeds`` tells."""
    baselines: Mapping[str, Beating] = field(default_factory=dict)
    """By model: by how much it beats each of them."""
    data_checks: tuple[DataCheck, ...] = ()
    """Of the artifacts that ``[data.ARTIFACT]`` asks something of."""
    seeds: OtherSeeds | None = None
    """What came of the other seeds; ``None``: there were none."""


@uses_store
def train(
    project: Project,
    *,
    window: Window,
    params: Params | None = None,
    force: Collection[str] = (),
    since: Collection[str] = (),
    targets: Sequence[str] | None = None,
    origin: str = "manual",
    reasons: Sequence[str] = (),
    learn: Mapping[str, Learn] | None = None,
    twin: VersionRef | None = None,
    seeds: int = 1,
    on_event: Callable[[StepEvent], None] = lambda event: None,
) -> Trained:
    """Runs the pipeline over a window and registers each model that came out new.

    The run is a fact in the ledger whether it succeeded or not; a failed run is no exception here. A run whose models
    could not be measured on their holdouts is a fact as well, and an error: nothing is registered then.

    Args:
        project: Whose pipeline.
        window: The stretch of time that sources are asked for.
        params: Values of keyword-only params, by step.
        force: Steps that run even if nothing changed.
        since: Steps of which the same holds with all that comes after them.
        targets: Steps or artifacts that are wanted, with what they need; ``None``: all, or those of the ``twin``.
        origin: Why: ``manual``, or the loop's gravest reason, such as ``regret`` or ``age``.
        reasons: The same in sentences.
        learn: By model, how its training table is changed; part of the run's fact.
        twin: The version of which this run makes the refit; only its model is trained then.
        seeds: With so many its models are made and measured. The first is each step's own, and of that alone versions
            are registered. Another one that fails, or is stopped, is told in the result, and ends nothing else.
        on_event: Told of every step as it starts and ends.

    Raises:
        PipelineError: the pipeline cannot run as it is written; nothing ran.
        SettingsError: the settings of a model name a step or a holdout that the pipeline lacks; nothing ran.
        UsageError: several seeds are asked for, and no model is measured; nothing ran.
        KairosError: the run is recorded, but a model could not be measured on its holdout.
        RunStopped: somebody pressed Ctrl-C; the run is recorded as failed, and what it finished is kept.
    """
    contracts: dict[str, Json] = {}

    def check(graph: Graph) -> None:
        check_settings(project, graph)
        contracts.update(contracts_of(graph, project.settings.models.values()))

    inspector, notes = Inspector(project, window), Notes(project)
    result: RunResult | None = None
    with Progress(project.home / "runs", window=window, started_at=project.clock.now()) as progress:

        def both(event: StepEvent) -> None:
            progress.note(event)
            on_event(event)

        try:
            setup = set_up(
                pipeline_source(project),
                store=project.store,
                cache=project.cache,
                engine=notes.engine,
                window=window,
                params=params or {},
                clock=project.clock,
                finish_model=finisher(project, learn),
                targets=targets if twin is None else _needed_for(project.settings.model(twin.model)),
                force=force,
                since=since,
                check=check,
            )
            notes.begin(setup, progress)
            if seeds > 1:
                from kairos.app.seeding import check_seeds, run_seeds  # loads what one seed does without

                check_seeds(project, setup, seeds)
            result = work(setup, inspect=inspector, on_event=both, should_stop=project.stopping.is_set)
            body = result.plain() | ({"learn": plain(learn)} if learn else {}) | {"contracts": contracts}
            if inspector.made:
                body["data_checks"] = [each.plain() for each in inspector.made]
            if seeds == 1:
                progress.made(result)
            made = made_of(project, result)
            found = measured_or_told(project, result, body, made, notes)
            measured = {model: each.metrics for model, each in found.items()}
            beatings = {model: each.beating for model, each in found.items() if each.beating is not None}
            others = None
            if seeds > 1 and result.ok and made:
                others = run_seeds(project, setup, result, made, measured, count=seeds, notes=notes, on_event=both)
                body |= others.facts()
                progress.made(result)
            metrics = {name: value for told in measured.values() for name, value in told.items()}
            body["metrics"] = metrics | ({} if others is None else others.metrics())
            body |= {"baselines": plain(beatings)} if beatings else {}
            forms = {model: each.forms for model, each in found.items() if each.forms is not None}
            body |= {"forms": plain(forms)} if forms else {}
            told = {"origin": origin, "reasons": list(reasons)} | ({} if twin is None else {"twin": str(twin)})
            versions, unchanged = recorded(project, result, body, made, told, notes)
            return Trained(
                result=result,
                metrics=metrics,
                baselines=beatings,
                versions=versions,
                unchanged=unchanged,
                data_checks=tuple(inspector.made),
                seeds=others,
            )
        except RunStopped as stop:
            result = stop.result
            progress.made(result)
            notes.hear_out()
            body = notes.put_in(result.plain(), result) | {"metrics": {}}
            project.tell("run.failed", subject=result.id, body=body)
            raise
        finally:
            notes.close()
            if result is not None:
                progress.end(result)


def plan(
    project: Project,
    *,
    window: Window,
    params: Params | None = None,
    force: Collection[str] = (),
    since: Collection[str] = (),
    targets: Sequence[str] | None = None,
) -> list[Planned]:
    """What ``train`` would run with the same arguments, and why; nothing runs and nothing is written down.

    Raises:
        KairosError: as ``train``, before anything runs.
    """
    return plan_run(
        pipeline_source(project),
        store=project.store,
        cache=project.cache,
        window=window,
        params=params or {},
        clock=project.clock,
        finish_model=finisher(project),
        targets=targets,
        force=force,
        since=since,
        check=lambda graph: check_settings(project, graph),
    )


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


def run_steps(
    project: Project,
    window: Window,
    targets: Sequence[str],
    *,
    finish_model: ModelFinisher | None = None,
    on_event: Callable[[StepEvent], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
    on_checks: Callable[[Sequence[DataCheck]], None] = log_checks,
) -> RunResult:
    """Runs steps of a project's pipeline and what they need; nothing is registered or written down.

    The data are checked as in a training: what a check refuses, nobody learns from.

    Args:
        project: Whose.
        window: What is looked at.
        targets: Names of steps.
        finish_model: What is made of a model; ``None``: a package, as a training makes it.
        on_event: Told of each step.
        should_stop: Asked between steps.
        on_checks: Told of the checks of data that were made; by default those that warn are logged.
    """
    inspector = Inspector(project, window)
    result = run(
        pipeline_source(project),
        store=project.store,
        cache=project.cache,
        engine=project.engine,
        window=window,
        params={},
        clock=project.clock,
        finish_model=finisher(project) if finish_model is None else finish_model,
        targets=list(targets),
        inspect=inspector,
        on_event=on_event,
        should_stop=should_stop,
    )
    on_checks(inspector.made)
    return result


def contracts_of(graph: Graph, models: Iterable[ModelSettings]) -> dict[str, str]:
    """The contract of each model's data, by the model's name."""
    return {
        model.name: contract_digest(
            graph,
            model.step,
            {"target": model.targets or model.target, "time": model.time, "entity": model.entity, "drop": model.drop},
        )
        for model in models
    }


def _needed_for(model: ModelSettings) -> list[str]:
    return [model.step, model.holdout]
