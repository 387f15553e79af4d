"""What a study asks, worked out before its first trial: params with their ranges, and rows that the search may see."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from kairos.app.agreeing import check_settings
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.training import pipeline_source
from kairos.app.tuning.question import DATA_OF, ByStep, Inner, Question
from kairos.app.tuning.rows import held_out_again, judged_rows, latest_seen, order_of
from kairos.app.tuning.trying import Ran, run_on
from kairos.errors import DataRefused, NotFound, StepFailed, UsageError, did_you_mean
from kairos.experiments.range_of import Param, declared_range, how_to_say, parse_range, read_param
from kairos.experiments.space import Range, Space
from kairos.experiments.study import Plan, check_plan
from kairos.pipeline.code import Reached
from kairos.pipeline.declare import REQUIRED, StepSpec
from kairos.pipeline.graph import Graph
from kairos.pipeline.plan import select
from kairos.pipeline.preparing import prepare
from kairos.pipeline.result import RunResult, StepEvent
from kairos.values import Window

__all__ = ["model_called", "open_question", "read_space"]


def model_called(project: Project, name: str) -> ModelSettings:
    """The model of that name.

    Raises:
        NotFound: there is none.
    """
    models = project.settings.models
    if name not in models:
        raise NotFound(
            f"kairos.toml has no model {name!r}.", accepted=", ".join(models) or "none", hint=did_you_mean(name, models)
        )
    return models[name]


def open_question(
    project: Project,
    model: ModelSettings,
    *,
    window: Callable[[Plan, Mapping[str, Reached]], Window],
    base: ByStep,
    space: Callable[[Graph], Space],
    plan: Callable[..., Plan],
    on_event: Callable[[StepEvent], None],
) -> tuple[Question, Ran]:
    """Settles what is searched, trains the model with its current params, and finds the rows for the search.

    Args:
        project: Whose.
        model: Which.
        window: Gives that of the runs that are compared at the end, from the plan and what each step reaches.
        base: Params that the whole study has other than by default.
        space: Gives the ranges, from the pipeline's graph.
        plan: Gives the plan, from ``space`` and ``current``.
        on_event: Told of the steps that are made for this.

    Returns:
        The question, and the run with the current params.

    Raises:
        UsageError: a range is not accepted; nothing ran.
        StepFailed: the model cannot be made with its current params.
        DataRefused: there are no rows for the search.
    """
    prepared = prepare(
        pipeline_source(project),
        cache=project.cache,
        params=base,
        targets=[model.step, model.holdout],
        force=(),
        check=lambda graph: check_settings(project, graph),
    )
    graph = prepared.graph
    asked = space(graph)
    current = {
        name: prepared.settings[step].params[param] for name in asked.ranges for step, _, param in [name.partition(".")]
    }
    planned = plan(space=asked, current=current)
    check_plan(planned)
    whole = window(planned, prepared.reached)
    ran = run_on(project, model, window=whole, params=base, checked=True, on_event=on_event)
    _refuse_failed(ran.result, "The model cannot be made with its current params")
    final = judged_rows(project, model, graph, ran.result)
    inner = _inner(project, model, graph, ran.result, base=base, seed=planned.seed)
    rests_on = {step.step: step.code or "" for step in ran.result.steps}
    rests_on |= {
        f"{DATA_OF}{step.step}": hashlib.sha256(output.digest.encode()).hexdigest()  # a fact keeps what it names
        for step in ran.result.steps
        for output in step.outputs
        if graph.node(step.step).spec.kind == "source"
    }
    question = Question(
        model=model,
        graph=graph,
        plan=planned,
        base=base,
        window=whole,
        inner=inner,
        final=final,
        rests_on=rests_on,
    )
    return question, ran


def read_space(graph: Graph, *, model: ModelSettings, spaces: Sequence[str]) -> Space:
    """The ranges of the params that are searched.

    What somebody names is searched, and nothing else. Who names nothing gets those params of the model's own step that
    say their range; a switch of a step before it is nobody's to turn unasked.

    Raises:
        UsageError: a name is not known, a range is not accepted, or there is nothing to search.
    """
    steps = {node.name: node.spec for node in select(graph, [model.step, model.holdout])}
    ranges: dict[str, Range] = {}
    for text in spaces:
        name, equals, told = text.partition("=")
        param = _param(steps, name.strip())
        if param.name in ranges:
            raise UsageError(f"{param.name} has two ranges.", accepted="one range for each param")
        found = parse_range(param, told.strip()) if equals else declared_range(param)
        if found is None:
            raise UsageError(f"{param.name} does not say its range.", hint=f"Type: {how_to_say(param)}")
        ranges[param.name] = found
    if not spaces:
        spec = steps[model.step]
        own = [read_param(spec, name) for name in spec.params]
        ranges = {param.name: found for param in own if (found := declared_range(param)) is not None}
    if not ranges:
        raise _nothing(steps, model)
    return Space(ranges)


def _param(steps: Mapping[str, StepSpec], name: str) -> Param:
    step, dot, param = name.partition(".")
    known = [f"{spec.name}.{each}" for spec in steps.values() for each in spec.params]
    if dot and step in steps and param == "seed" and steps[step].takes_seed:
        raise UsageError(
            f"{name} is luck and no param: whichever seed is best was lucky on these rows.",
            accepted=", ".join(known),
        )
    if name not in known:
        raise UsageError(
            f"There is no param {name!r} before {' and '.join(list(steps)[-1:])}.",
            accepted=", ".join(known) or "none: no step of the model has a keyword-only param",
            hint=did_you_mean(name, known) or "Type: --space STEP.PARAM=LOW..HIGH",
        )
    found = read_param(steps[step], param)
    if found.default is REQUIRED:
        return replace(found, default=None)
    return found


def _nothing(steps: Mapping[str, StepSpec], model: ModelSettings) -> UsageError:
    hints = [how_to_say(read_param(spec, name)) for spec in reversed([*steps.values()]) for name in spec.params]
    return UsageError(
        f"No param of step {model.step!r} says its range, and none is guessed.",
        accepted="Annotated[float, Between(LOW, HIGH)], Literal[...], Enum or bool in the code, or a typed range",
        hint=f"Type: {hints[0]}" if hints else "Give the step a keyword-only param.",
        could_be=hints,
    )


def _refuse_failed(result: RunResult, what: str) -> None:
    if result.failure is not None:
        raise StepFailed(
            f"{what}: {result.failure.message}",
            step=result.failure.step,
            type=result.failure.type,
            traceback=result.failure.traceback,
        )


def _inner(project: Project, model: ModelSettings, graph: Graph, final: RunResult, *, base: ByStep, seed: int) -> Inner:
    """An earlier window if there can be one, else a further split."""
    order = order_of(project, model, graph, final)
    why = "rows are not held out by their time"
    if order == "time":
        cut = judged_rows(project, model, graph, final).first
        assert cut is not None  # or they were not held out by it
        found = _earlier(project, model, graph, final, cut, base)
        if isinstance(found, Inner):
            return found
        why = found
    elif latest_seen(project, model, graph, final) is not None:
        raise DataRefused(
            f"Rows are judged only if they are later than all that {model.step!r} learns from.",
            given=f"{model.holdout}, which begins before the last of these",
            hint=f"Hold out the latest rows; or, if order does not matter, take `time` out of [model.{model.name}].",
        )
    split = [model.holdout, *graph.node(model.step).inputs.values()]
    ran = run_on(project, model, window=final.window, params=base, targets=split)
    _refuse_failed(ran.result, "The rows cannot be split with the current params")
    given = held_out_again(project, model, graph, ran.result, order=order, seed=seed)
    outputs = {output.name: output for _, known in given.values() for output in known.outputs}
    steps = [replace(s, outputs=[outputs.get(o.name, o) for o in s.outputs]) for s in ran.result.steps]
    rows = judged_rows(project, model, graph, replace(ran.result, steps=steps))
    return Inner(how="rows", window=final.window, rows=rows, order=order, why=why)


def _earlier(
    project: Project, model: ModelSettings, graph: Graph, final: RunResult, cut: datetime, base: ByStep
) -> Inner | str:
    """The window that ends where the final holdout begins; or why the pipeline does not keep to one."""
    sources = [graph.node(step.step).spec for step in final.steps if graph.node(step.step).spec.kind == "source"]
    if not any(spec.takes_window or spec.reads is not None for spec in sources):
        return "no source takes a window"
    if not final.window.start < cut <= final.window.end:
        return f"the holdout begins at {cut:%Y-%m-%d %H:%M}, outside the window"
    window = Window(final.window.start, cut)
    split = [model.holdout, *graph.node(model.step).inputs.values()]
    try:
        ran = run_on(project, model, window=window, params=base, targets=split)
        if ran.result.failure is not None:
            return f"the pipeline does not run on {window}: {ran.result.failure.message}"
        latest = latest_seen(project, model, graph, ran.result)
        if latest is None or latest >= cut:
            return f"a source does not keep to its window: asked for {window} it gave a row of {latest}"
        if order_of(project, model, graph, ran.result) != "time":
            return f"the pipeline does not hold out the latest rows of {window}"
        rows = judged_rows(project, model, graph, ran.result)
    except DataRefused as error:
        return f"the pipeline does not split {window}: {error.what}"
    if not rows.count:
        return f"the pipeline holds nothing out of {window}"
    return Inner(how="window", window=window, rows=rows, cut=cut)
