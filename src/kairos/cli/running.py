"""``run``."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from kairos.cli.opening import open_project, recorded
from kairos.cli.output import fail, say, show_json, stopped
from kairos.cli.run_screen import RunScreen, plan_lines
from kairos.errors import StepFailed, UsageError
from kairos.values import Json, Window

if TYPE_CHECKING:
    from kairos.app.training import Trained
    from kairos.pipeline.result import RunResult, StepEvent

__all__ = ["read_params", "run"]


def run(args: Namespace) -> int:
    """Runs the pipeline; a failed step shows the user's own traceback."""
    from kairos.app.training import default_window, plan, train

    with open_project(args) as project:
        window = Window.parse(args.window) if args.window else default_window(project)
        wanted: dict[str, Any] = {
            "window": window,
            "params": read_params(args.params),
            "force": args.force,
            "since": args.since,
            "targets": args.until,
        }
        if args.plan:
            planned = plan(project, **wanted)
            if args.json:
                show_json(planned)
            else:
                say(f"plan of {project.settings.name} on {window}", *plan_lines(planned, seeds=args.seeds))
            return 0
        with recorded(project, unless_reused=True) as record:
            if not args.json:
                say(f"run of {project.settings.name} on {window}")
            with RunScreen(why=args.why, quiet=args.json) as screen:

                def note(event: StepEvent) -> None:
                    if event.what != "reused":
                        record.open()
                    screen.note(event)

                trained = train(project, **wanted, seeds=args.seeds, on_event=note)
            _tell(trained, args.seeds, as_json=args.json)
    seeds = trained.seeds
    if seeds is not None and seeds.is_stopped:
        from kairos.cli.seeds import stopped_line  # loads what a run with one seed does without

        return stopped(stopped_line(seeds, args.seeds), as_json=args.json)
    return 0 if trained.result.ok and not (seeds and seeds.failures) else 1


def _tell(trained: Trained, count: int, *, as_json: bool) -> None:
    result = trained.result
    if as_json:
        body = result.plain()
        told: dict[str, Any] = {
            "metrics": trained.metrics,
            "versions": trained.versions,
            "unchanged": trained.unchanged,
        }
        if trained.seeds is not None:
            body |= trained.seeds.facts()
            told["metrics"] = {**trained.metrics, **trained.seeds.metrics()}
        show_json({**body, **told, "baselines": trained.baselines, "data_checks": trained.data_checks})
        _report_json(trained)
        return
    _report(result)
    for check in trained.data_checks:
        if check.warning is not None:
            say(f"  {check.warning}")
    if trained.metrics:
        from kairos.experiments.baselines import is_baseline_metric  # loads what a run without models does without

        for name, value in trained.metrics.items():
            if not is_baseline_metric(name):
                model, _, what = name.partition(".")
                say(f"  {model}: mean {what.replace('_', ' ')} on the holdout is {value:.4g}")
    for model, found in trained.baselines.items():
        say(*(f"  {model} {sentence}" for sentence in found.sentences()))
    if trained.seeds is not None:
        from kairos.cli.seeds import report_failures, spread_lines  # as above

        say(*(f"  {line}" for line in spread_lines({**trained.metrics, **trained.seeds.metrics()})))
        report_failures(trained.seeds, count)
    for ref in trained.versions:
        say(f"{ref} is registered. Next: kairos gate {ref.model}")
    for ref in trained.unchanged:
        say(f"{ref} came out the same, to the byte; nothing new is registered.")


def read_params(given: list[str]) -> dict[str, dict[str, Json]]:
    """``STEP.PARAM=VALUE``; a value that is JSON is read as such, anything else is text."""
    params: dict[str, dict[str, Json]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        step, dot, param = name.partition(".")
        if not equals or not dot or not step or not param:
            raise UsageError(
                "A param cannot be read.", given=text, accepted="STEP.PARAM=VALUE, as in demand.max_iter=300"
            )
        params.setdefault(step, {})[param] = _value(value)
    return params


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _report(result: RunResult) -> None:
    if result.failure is None:
        say(f"run {result.id} finished")
        return
    sys.stdout.flush()
    for failure in (result.failure, *result.also_failed):
        if failure.traceback:
            print(failure.traceback.rstrip(), file=sys.stderr)
        print(f"error: {failure.message}", file=sys.stderr)
    done = [step.step for step in result.steps if step.outputs]
    if done:
        print(f"  Kept: {', '.join(done)}. The next run goes on from there.", file=sys.stderr)


def _report_json(trained: Trained) -> None:
    """Beside the facts on stdout: what went wrong, as every error is told to a machine."""
    result, seeds = trained.result, trained.seeds
    if result.failure is not None:
        failures = (result.failure, *result.also_failed)
        fail(StepFailed(" ".join(failure.message for failure in failures)), as_json=True)
    elif seeds is not None and not seeds.is_stopped and seeds.failures:
        fail(StepFailed(" ".join(f"Seed {each.nth}: {each.message}" for each in seeds.failures)), as_json=True)
