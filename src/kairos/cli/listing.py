"""``runs``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kairos.cli.opening import open_project
from kairos.cli.output import moment, say, show_json, table
from kairos.experiments.spread import metrics_text
from kairos.values import plain

if TYPE_CHECKING:
    from kairos.app.project import Project
    from kairos.experiments.listing import ListedRun
    from kairos.experiments.studies import ListedStudy
    from kairos.pipeline.progress import Told

__all__ = ["runs"]

_HEAD = ("run", "status", "at", "window", "by", "metrics")


def runs(args: Namespace) -> int:
    """Lists runs, the latest first: above all those that run now, and in their place those whose process was killed.

    With ``--sort`` these two come last, as a run that lacks what is sorted by does.
    """
    from kairos.experiments.filter import parse_where
    from kairos.experiments.listing import list_runs
    from kairos.experiments.runs import run_called
    from kairos.experiments.studies import list_studies
    from kairos.experiments.unended import unended_is_so
    from kairos.pipeline.progress import read_unended

    columns = [name.strip() for given in args.columns for name in given.split(",") if name.strip()]
    if args.sort and not columns and not args.json:
        columns = [*_HEAD[:-1], args.sort] if args.sort not in _HEAD[:-1] else []
    with open_project(args) as project:
        where = parse_where(args.where) if args.where else None
        is_asked = bool(args.where or args.sort or columns)
        told = read_unended(project.home / "runs")
        told = [one for one in told if run_called(project.ledger, one.name) is None]  # recorded, and killed then
        found = list_runs(
            project.run_index,
            where=where,
            sort=args.sort,
            descending=args.desc,
            count=args.count,
            columns=[name for name in columns if name not in ("at", "metrics")],
            trials=args.trials or is_asked,
        )
        listed = {one.run for one in found}  # some may have been recorded meanwhile
        told = [one for one in told if one.name not in listed and (where is None or unended_is_so(where, one))]
        studies = [] if args.trials or is_asked else list_studies(project.ledger, project.run_index)
        _tell_slow(project)
        if args.json:
            show_json(
                _plain_columns(found, told, columns, args) if columns else _plain(project, found, told, studies, args)
            )
            return 0
    if columns:
        cells = [(one, [_cell(one, name) for name in columns]) for one in found]
        unended = [(one, [_unended_cell(one, name) for name in columns]) for one in told]
        table(columns, [row for _, row in _merged(cells, unended, args)])
    elif found or told or studies:
        rows = _merged([(one, _row(one)) for one in found], _unended(told), args, [(s, _study(s)) for s in studies])
        table(_HEAD, [row for _, row in rows])
    if not found and not told and not studies:
        say("No run is so." if args.where else "No run is recorded yet. Type: kairos run")
    return 0


def _tell_slow(project: Project) -> None:
    if project.run_index.took is not None:
        count, took_s = project.run_index.took
        print(f"note: {count:,} runs were indexed, once, in {took_s:.1f} s", file=sys.stderr)


def _merged(
    found: list[tuple[ListedRun, Any]],
    told: list[tuple[Told, Any]],
    args: Namespace,
    studies: Sequence[tuple[ListedStudy, Any]] = (),
) -> list[tuple[Any, Any]]:
    """Runs of the ledger with those that it does not know: running ones first, the dead in their place; or all last.

    Studies are in their place as well.
    """
    if args.sort:
        return [*found, *reversed(told)][: args.count]
    running = [pair for pair in reversed(told) if pair[0].state == "running"]
    over: list[tuple[datetime, tuple[Any, Any]]] = [(one.ended_at, (one, row)) for one, row in found]
    over += [(one.beat_at, (one, row)) for one, row in told if one.state == "dead"]
    over += [(one.at, (one, row)) for one, row in studies]
    if len(over) > len(found):  # those of the ledger are in order already
        over.sort(key=lambda pair: pair[0], reverse=not args.desc)
    return [*running, *(pair for _, pair in over[: args.count])]


def _unended(told: Iterable[Told]) -> list[tuple[Told, tuple[str, ...]]]:
    return [(one, tuple(_unended_cell(one, name) for name in _HEAD)) for one in told]


def _unended_cell(one: Told, name: str) -> str:
    from kairos.experiments.unended import told_of_unended

    shown = {"at": one.beat_at, "by": f"pid {one.pid}", "metrics": _at(one), **told_of_unended(one)}
    value = shown.get(name, "")
    return moment(value) if isinstance(value, datetime) else str(value)


def _at(told: Told) -> str:
    if told.has_result:
        return "before it was recorded"
    if told.at:
        return f"at {', '.join(told.at)}"
    return "between two steps" if told.steps else "before its first step"


def _row(one: ListedRun) -> tuple[str, ...]:
    metrics = metrics_text(one.metrics, baselines=False)
    return (one.run, one.status, moment(one.ended_at), one.window, one.actor, metrics)


def _study(one: ListedStudy) -> tuple[str, ...]:
    return (one.study, one.status, moment(one.at), one.window, one.actor, one.sentence)


def _cell(one: ListedRun, name: str) -> str:
    if name == "at":
        return moment(one.ended_at)
    if name == "metrics":
        return metrics_text(one.metrics, baselines=False)
    if name not in one.columns:
        return ""
    value = one.columns[name]
    if isinstance(value, datetime):
        return moment(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _plain_columns(found: list[ListedRun], told: list[Told], columns: list[str], args: Namespace) -> list[Any]:
    from kairos.experiments.unended import told_of_unended

    full = [(one, {**one.columns, "at": one.ended_at, "metrics": dict(one.metrics)}) for one in found]
    unended = [(one, {**told_of_unended(one), "at": one.beat_at}) for one in told]
    return [{name: plain(known.get(name)) for name in columns} for _, known in _merged(full, unended, args)]


def _plain(
    project: Project, found: list[ListedRun], told: list[Told], studies: list[ListedStudy], args: Namespace
) -> list[Any]:
    """All that is recorded of each, from its fact."""
    from kairos.experiments.runs import run_called

    full = [(one, plain(run_called(project.ledger, one.run))) for one in found]
    unended = [(one, {"run": one.name, "status": one.state, **plain(one)}) for one in told]
    searched = [(one, {"run": one.study, **plain(one)}) for one in studies]
    return [shown for _, shown in _merged(full, unended, args, searched)]
