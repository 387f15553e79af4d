"""``show``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from kairos.cli.opening import open_project
from kairos.cli.output import moment, say, show_json, table
from kairos.cli.seeds import told_seeds
from kairos.experiments.baselines import is_baseline_metric
from kairos.experiments.spread import metrics_text

if TYPE_CHECKING:
    from kairos.app.showing import ShownRun, ShownStep
    from kairos.experiments.studies import ListedStudy

__all__ = ["show"]


def show(args: Namespace) -> int:
    """Prints all about one run."""
    from kairos.app.showing import show_run
    from kairos.experiments.studies import find_study

    with open_project(args) as project:
        study = find_study(project.ledger, project.run_index, args.run) if args.run.startswith("s") else None
        if study is not None:
            _show_study(study, as_json=args.json)
            return 0
        run = show_run(project, args.run)
        if args.json:
            show_json(run)
            return 0
    say(*_head(run), "")
    rows = [(s.step, s.status, _time(s), _pairs(s.params), _short(s.inputs), _short(s.outputs)) for s in run.steps]
    table(("step", "status", "time", "params", "inputs", "outputs"), rows)
    for step in run.steps:
        if step.why and step.status != "reused":
            say(f"{step.step} ran because {'; '.join(step.why)}")
    for model, seeds in run.seeds.items():
        told = [{**one.logged.metrics, **one.metrics} for one in seeds]
        own = [name for name in seeds[0].metrics if not is_baseline_metric(name)]
        names = [*own, *sorted({name for one in seeds for name in one.logged.metrics})]
        say("")
        table(
            ("seeds of", "seed", *names, "package"),
            [
                [model, one.seed, *(f"{each[name]:.4g}" if name in each else "" for name in names), one.package[:8]]
                for one, each in zip(seeds, told, strict=True)
            ],
        )
    for failed in run.seeds_failed:
        say(f"seed {failed['nth']} {told_seeds(failed['seeds'])}: {failed['message']}")
    if run.failure is not None:
        say("", f"failure: {run.failure['message']}")
    return 0


def _show_study(study: ListedStudy, *, as_json: bool) -> None:
    if as_json:
        show_json(study)
        return
    say(f"study {study.study} of {study.model} {study.status} by {study.actor}, window {study.window}", study.sentence)
    if study.params:
        say(f"params of its best trial: {_pairs(study.params)}")
    say(f"its trials: kairos runs --where 'study = {study.study}' --columns run,trial,state,metrics")


def _head(run: ShownRun) -> Iterator[str]:
    by = f" by {run.actor}" if run.actor else f" by pid {run.pid} on {run.host}"
    window = f", window {run.window}" if run.window else ""  # one that was imported has none
    yield f"run {run.run} {run.status}{by}{window}"
    if run.status == "running":
        ended = "still running"
    elif run.status == "dead":
        ended = f"its process was killed; last alive {moment(run.ended_at or run.started_at)}"
    else:
        ended = f"ended {moment(run.ended_at or run.started_at)}"
    reused = sum(step.status == "reused" for step in run.steps)
    yield f"started {moment(run.started_at)}, {ended}; {reused} of {len(run.steps)} steps reused"
    if run.code.get("commit"):
        changed = ", with changes" if run.code.get("dirty_digest") else ""
        yield f"code: commit {run.code['commit'][:12]} on {run.code.get('branch') or 'no branch'}{changed}"
    if run.kept:
        yield f"kept: files {run.kept['files']}, environment {run.kept['environment']}. Again: kairos rebuild {run.run}"
    if run.libraries:
        yield f"libraries: {_pairs(run.libraries, ' ')}"
    if run.metrics:
        own = {name: value for name, value in run.metrics.items() if not run.baselines or not is_baseline_metric(name)}
        yield f"metrics: {metrics_text(own)}"
    for model, found in run.baselines.items():
        yield f"{model}: mean {found.loss.replace('_', ' ')} {found.own_sentence} on {found.rows:,} rows held out"
        yield from (f"  {sentence}" for sentence in found.sentences())
    if run.versions:
        yield f"registered: {', '.join(run.versions)}"


def _time(step: ShownStep) -> str:
    tries = f", {step.tries} tries" if step.tries and step.tries > 1 else ""
    return "" if step.elapsed_s is None else f"{step.elapsed_s:.1f} s{tries}"


def _pairs(values: Mapping[str, object], sign: str = "=") -> str:
    return ", ".join(f"{name}{sign}{value}" for name, value in values.items())


def _short(digests: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {digest[:8]}" for name, digest in digests.items())
