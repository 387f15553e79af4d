"""``run``, ``runs``, ``diff``."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kairos.cli.opening import open_project, recorded
from kairos.cli.output import fail, moment, say, show_json, table
from kairos.cli.run_screen import RunScreen, plan_lines
from kairos.errors import StepFailed, UsageError
from kairos.values import Json, VersionRef, Window, plain

if TYPE_CHECKING:
    from datetime import datetime

    from kairos.app.project import Project
    from kairos.app.training import Trained
    from kairos.experiments.ports import RunRecord
    from kairos.pipeline.progress import Told
    from kairos.pipeline.result import RunResult, StepEvent

__all__ = ["diff", "run", "runs"]


def run(args: Namespace) -> int:
    """Runs the pipeline; a failed step shows the user's own traceback."""
    from kairos.app.training import default_window, plan, train

    with open_project(args) as project:
        window = Window.parse(args.window) if args.window else default_window(project)
        wanted: dict[str, Any] = {
            "window": window,
            "params": _params(args.params),
            "force": args.force,
            "since": args.since,
            "targets": args.until,
        }
        if args.plan:
            planned = plan(project, **wanted)
            if args.json:
                show_json(planned)
            else:
                say(f"plan of {project.settings.name} on {window}", *plan_lines(planned))
            return 0
        with recorded(project, unless_reused=True) as record:
            if not args.json:
                say(f"run of {project.settings.name} on {window}")
            with RunScreen(why=args.why, quiet=args.json) as screen:

                def note(event: StepEvent) -> None:
                    if event.what != "reused":
                        record.open()
                    screen.note(event)

                trained = train(project, **wanted, on_event=note)
            _tell(trained, as_json=args.json)
    return 0 if trained.result.ok else 1


def _tell(trained: Trained, *, as_json: bool) -> None:
    result = trained.result
    if as_json:
        body = result.plain()
        told = {"metrics": trained.metrics, "versions": trained.versions, "unchanged": trained.unchanged}
        show_json({**body, **told, "data_checks": trained.data_checks})
        _report_json(result)
        return
    _report(result)
    for check in trained.data_checks:
        if check.warning is not None:
            say(f"  {check.warning}")
    for name, value in trained.metrics.items():
        model, _, rest = name.partition(".")
        loss, _, kind = rest.partition(".")
        whose = "the simple baseline's " if kind else ""
        say(f"  {model}: {whose}mean {loss.replace('_', ' ')} on the holdout is {value:.4g}")
    for ref in trained.versions:
        say(f"{ref} is registered. Next: kairos gate {ref.model}")
    for ref in trained.unchanged:
        say(f"{ref} came out the same, to the byte; nothing new is registered.")


def runs(args: Namespace) -> int:
    """Lists runs, the latest first: above all those that run now, and in their place those whose process was killed."""
    from kairos.experiments.runs import runs as read
    from kairos.pipeline.progress import read_unended

    with open_project(args) as project:
        recorded = read(project.ledger)
        known = {one.run for one in recorded}
        told = [_Listed.of_file(one) for one in read_unended(project.home / "runs") if one.name not in known]
        over = [one for one in told if one.status == "dead"] + [_Listed.of_fact(one) for one in recorded]
    over.sort(key=lambda one: one.at, reverse=True)
    listed = [one for one in reversed(told) if one.status == "running"] + over[: args.count]
    if args.json:
        show_json([one.plain for one in listed])
    elif not listed:
        say("No run is recorded yet. Type: kairos run")
    else:
        table(("run", "status", "at", "window", "by", "metrics"), [one.row for one in listed])
    return 0


@dataclass(frozen=True, slots=True)
class _Listed:
    """A run as it is listed, whether the ledger or its own file tells of it."""

    status: str
    at: datetime
    plain: Json
    row: tuple[str, ...]

    @classmethod
    def of_file(cls, one: Told) -> _Listed:
        row = (one.name, one.state, moment(one.beat_at), one.window, f"pid {one.pid}", _at(one))
        return cls(one.state, one.beat_at, {"run": one.name, "status": one.state, **plain(one)}, row)

    @classmethod
    def of_fact(cls, one: RunRecord) -> _Listed:
        row = (one.run, one.status, moment(one.ended_at), one.window, one.actor, _metrics(one))
        return cls(one.status, one.ended_at, plain(one), row)


def _at(told: Told) -> str:
    if told.has_result:
        return "before it was recorded"
    if told.at:
        return f"at {', '.join(told.at)}"
    return "between two steps" if told.steps else "before its first step"


def diff(args: Namespace) -> int:
    """Says what differs between two runs."""
    from kairos.experiments.compare import compare

    with open_project(args) as project:
        first, second = (_find(project, name) for name in (args.first, args.second))
        difference = compare(first, second)
        if args.json:
            show_json(difference)
            return 0
        changes = [(part, change) for part in _PARTS for change in getattr(difference, part)]
        if not changes:
            say(f"{first.run} and {second.run} do not differ in params, data, code or metrics.")
            return 0
        rows = [(part, c.name, _short(c.before), _short(c.after)) for part, c in changes]
        table(("", "name", first.run, second.run), rows)
    return 0


_PARTS = ("params", "inputs", "code", "metrics")


def _find(project: Project, name: str) -> RunRecord:
    from kairos.experiments.runs import find_run

    if "@" in name:
        ref = VersionRef.parse(name)
        name = project.state().model(ref.model).version(ref.number).run
    return find_run(project.ledger, name)


def _params(given: list[str]) -> dict[str, dict[str, Json]]:
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


def _report_json(result: RunResult) -> None:
    """Beside the facts on stdout: what went wrong, as every error is told to a machine."""
    if result.failure is not None:
        failures = (result.failure, *result.also_failed)
        fail(StepFailed(" ".join(failure.message for failure in failures)), as_json=True)


def _metrics(record: RunRecord) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in record.metrics.items() if not name.endswith(".baseline"))


def _short(value: object) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
