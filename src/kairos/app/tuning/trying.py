"""One run of a study: with some params, on the rows that it may see. It registers nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

from kairos.app.finishing import finisher
from kairos.app.inspecting import Inspector
from kairos.app.measuring import measured_of
from kairos.app.noting import Notes
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.training import pipeline_source
from kairos.app.tuning.question import ByStep, Inner, Question, Rows
from kairos.app.tuning.rows import held_out_again, judged_rows, latest_seen
from kairos.errors import KairosError
from kairos.experiments.space import Params
from kairos.experiments.study import TrialState
from kairos.pipeline.graph import Graph
from kairos.pipeline.origins.secrets import without_secrets_in
from kairos.pipeline.reporting import PRUNED, Watch
from kairos.pipeline.result import RunResult, StepEvent
from kairos.pipeline.run import run
from kairos.pipeline.typed import typed
from kairos.values import Json, Window, plain

__all__ = ["TRIED", "Moved", "Ran", "run_on", "run_trial", "told_of"]

TRIED = "run.tried"
"""The kind of a fact about a run of a study."""


class Moved(KairosError):
    """Code changed while a search went on: what comes now would be of another study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A run and its fact's body."""

    result: RunResult
    body: Mapping[str, Json]
    codes: Mapping[str, str | None]
    """Step to the digest of its code."""


def run_on(
    project: Project,
    model: ModelSettings,
    *,
    window: Window,
    params: ByStep,
    watch: Watch | None = None,
    checked: bool = False,
    targets: list[str] | None = None,
    inner: Inner | None = None,
    graph: Graph | None = None,
    seed: int = 0,
    on_event: Callable[[StepEvent], None] = lambda event: None,
) -> Ran:
    """Runs what a model needs.

    Args:
        project: Whose.
        model: Which.
        window: What is looked at.
        params: By step.
        watch: What stops it when there is no hope.
        checked: Whether the data are checked as in a training.
        targets: Steps or artifacts; ``None``: the model and its holdout.
        inner: If its rows are split once more: how.
        graph: Of the pipeline, for that.
        seed: Of chance in that.
        on_event: Told of the steps.

    Raises:
        RunStopped: somebody stopped it.
    """
    with closing(Notes(project, watch)) as notes:
        go = partial(
            run,
            pipeline_source(project),
            store=project.store,
            cache=project.cache,
            engine=notes.engine,
            window=window,
            params=params,
            clock=project.clock,
            finish_model=finisher(project),
            inspect=Inspector(project, window) if checked else lambda outputs: None,
            on_event=on_event,
            should_stop=project.stopping.is_set,
        )
        before, given = None, {}
        if inner is not None and inner.how == "rows":
            assert graph is not None  # who splits knows it
            before = go(targets=[model.holdout, *graph.node(model.step).inputs.values()])
            if not before.ok:
                return Ran(
                    result=before, body=notes.put_in(before.plain(), before) | {"metrics": {}}, codes=_codes(before)
                )
            given = held_out_again(project, model, graph, before, order=inner.order, seed=seed)
        result = go(targets=targets or [model.step, model.holdout], given=given or None)
        body = notes.put_in(result.plain(), result) | {"metrics": {}}
        if before is not None:
            own = {step["step"] for step in body["steps"]}
            body["steps"] = [*(step for step in before.plain()["steps"] if step["step"] not in own), *body["steps"]]
        if reported := notes.engine.reported(result):
            body["reported"] = {step: [list(point) for point in curve] for step, curve in reported.items()}
        return Ran(result=result, body=body, codes=_codes(result) | ({} if before is None else _codes(before)))


def run_trial(
    project: Project, question: Question, number: int, searched: Params, watch: Watch | None
) -> dict[str, Json]:
    """Tries params on the rows that the search may see.

    Returns:
        The body of the trial's fact; whatever went wrong in it is told there.

    Raises:
        RunStopped: somebody stopped it.
        Moved: the code is not that of the study any more.
    """
    model, inner = question.model, question.inner
    try:
        ran = run_on(
            project,
            model,
            window=inner.window,
            params=question.params(searched),
            watch=watch,
            inner=inner,
            graph=question.graph,
            seed=question.plan.seed,
        )
    except KairosError as error:  # before the model: its rows cannot be split, its params are refused
        return {
            **_nothing(project, question),
            **_told(question, number, searched),
            "state": "failed",
            "why": str(error),
        }
    _refuse_other_code(question, ran.codes)
    body = {**ran.body, **_told(question, number, searched)}
    failure = ran.result.failure
    if failure is not None:
        curves = list(dict(body.get("reported", {})).values())
        is_pruned = failure.type == PRUNED and bool(curves)
        state: TrialState = "pruned" if is_pruned else "failed"
        return {**body, "state": state, "value": curves[-1][-1][1] if is_pruned else None, "why": failure.message}
    try:
        why = _not_alike(project, question, ran.result)
        alone = replace(model, baselines=())  # which are the same for all trials, and cost each of them time
        metrics = {} if why else measured_of(project, alone, ran.result.models[model.step], body).metrics
    except KairosError as error:
        why, metrics = str(without_secrets_in(error)), {}
    value = metrics.get(f"{model.name}.{model.gate.loss}")
    if value is not None and not math.isfinite(value):
        value, why = None, f"its mean {model.gate.loss} is {value}"
    if value is None:
        return {**body, "state": "failed", "why": why or f"no row of {model.holdout} can be judged"}
    return {**body, "metrics": plain(metrics), "state": "finished", "value": value}


def told_of(question: Question, name: str, searched: Params) -> dict[str, Json]:
    """What a fact of a study says beside its run."""
    return {
        "study": question.id,
        "trial": name,
        "searched": {param: typed(value) for param, value in searched.items()},
    }


def _told(question: Question, number: int, searched: Params) -> dict[str, Json]:
    return {**told_of(question, str(number), searched), "value": None}


def _nothing(project: Project, question: Question) -> dict[str, Json]:
    """The body of a run that could not begin."""
    return {
        "id": "",
        "started_at": project.clock.now().isoformat(),
        "window": str(question.inner.window),
        "steps": [],
        "models": {},
        "code": {},
        "libraries": {},
        "failure": None,
        "metrics": {},
    }


def _codes(result: RunResult) -> dict[str, str | None]:
    return {step.step: step.code for step in result.steps}


def _refuse_other_code(question: Question, codes: Mapping[str, str | None]) -> None:
    for step, code in codes.items():
        if code is not None and question.rests_on.get(step, code) != code:
            raise Moved(
                f"The code of step {step!r} was changed while the search went on.",
                hint="What was tried is kept. Type the same command again: it begins a study of the new code.",
            )


def _not_alike(project: Project, question: Question, result: RunResult) -> str | None:
    """Why a trial cannot be compared with the others."""
    model, inner = question.model, question.inner
    latest = latest_seen(project, model, question.graph, result)
    if inner.cut is not None and latest is not None and latest >= inner.cut:
        return (
            f"it saw a row of {latest:%Y-%m-%d %H:%M}, which is kept for the end (from {inner.cut:%Y-%m-%d %H:%M} on)"
        )
    rows: Rows = judged_rows(project, model, question.graph, result)
    if rows.digest != inner.rows.digest:
        return (
            f"it is judged on other rows than the current params ({rows.count} instead of {inner.rows.count}, or other "
            "truths): one of its params changes what is held out, and that cannot be searched"
        )
    return None
