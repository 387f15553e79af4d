"""``models``, ``gate``, ``deploy``, ``rollback``, ``live``."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from kairos.app.explaining import live_at
from kairos.app.retrying import decide_again
from kairos.cli.opening import open_project, recorded
from kairos.cli.output import moment, say, show_json, table
from kairos.errors import NotFound, TransitionRefused, UsageError
from kairos.values import Verdict, VersionRef, parse_moment, plain

if TYPE_CHECKING:
    from kairos.app.project import Project
    from kairos.delivery.state import VersionState
    from kairos.models.signature import Column

__all__ = ["column_row", "deploy", "gate", "live", "models", "rollback"]

_LEVELS = 8
"""So many levels of a category are shown."""

_EXIT: dict[Verdict | None, int] = {"pass": 0, "fail": 3, "hold": 4, None: 4}


def models(args: Namespace) -> int:
    """Lists versions, the newest first; of one version, what it takes; after a verb, what that does with it."""
    if args.model in ("sign", "verify") and args.version:
        from kairos.cli.signing import sign, verify

        return (sign if args.model == "sign" else verify)(args)
    if args.model == "card" and args.version:
        from kairos.cli.carding import card

        return card(args)
    if args.version or args.key or args.output:
        raise UsageError(
            "Keys, files and two names are for signatures and cards.",
            accepted="kairos models sign MODEL@N, kairos models verify MODEL@N, kairos models card MODEL@N",
        )
    with open_project(args) as project:
        if args.model and "@" in args.model:
            return _show_version(args, project, VersionRef.parse(args.model))
        state = project.state()
        chosen = [state.model(args.model)] if args.model else [state.models[name] for name in sorted(state.models)]
        versions = [v for m in chosen for v in sorted(m.versions.values(), key=lambda v: -v.ref.number)]
        if args.json:
            show_json(versions)
        elif not versions:
            say("No version is registered yet. Type: kairos run")
        else:
            rows = [
                (v.ref, v.stage, f"{v.share:.0%}" if v.share else "", v.verdict or "", _origin(v), v.run,
                 moment(v.registered_at))
                for v in versions
            ]  # fmt: skip
            table(("version", "stage", "share", "gate", "origin", "run", "registered"), rows)
    return 0


def _show_version(args: Namespace, project: Project, ref: VersionRef) -> int:
    """One version with the columns that it takes, as whoever sends requests may see them."""
    from kairos.app.packages import open_version
    from kairos.app.proving import form_told  # it loads Polars

    version = project.state().model(ref.model).version(ref.number)
    model = project.settings.model(ref.model)
    package = open_version(project, version.package, model)
    hidden = model.privacy.pseudonymise
    columns = [column.told(is_hidden=column.name in hidden) for column in package.spec.signature.columns]
    if args.json:
        form = {"answering": package.answering, "compilation": package.compilation}
        show_json({**plain(version), "columns": columns, "output": model.output, **plain(form)})
        return 0
    say(
        f"{ref} is {version.stage}, made by run {version.run} at {moment(version.registered_at)}: {_origin(version)}",
        f"Its form is {form_told(project, version, package)}",
        "",
    )
    table(("column", "kind", "may be null", "values in training"), [column_row(column) for column in columns])
    return 0


def column_row(column: Column) -> tuple[str, ...]:
    """A row of the table; of many levels the first ones, in their own order."""
    values = ", ".join(column.levels[:_LEVELS])
    if len(column.levels) > _LEVELS:
        values += f", … ({len(column.levels)} in all)"
    if column.lower is not None and column.upper is not None:
        values = f"{column.lower:.6g} to {column.upper:.6g}"
    if column.levels and column.rare_levels:
        values += ", and rare ones"
    null = "yes" if column.nullable else "" if column.required else "may be left out"
    return column.name, column.words, null, values


def _origin(version: VersionState) -> str:
    """Why it was made, and of which other version."""
    other = version.base if version.twin is None else version.twin
    if other is None:
        return version.origin
    how = version.origin if version.base is not None else f"{version.origin}, refit"
    return f"{how} of {VersionRef(version.ref.model, other)}"


def gate(args: Namespace) -> int:
    """Judges a version, or makes a decision of the past again; the exit code is the verdict."""
    from kairos.app.judging import judge  # loads numpy and polars, which `kairos live` does without
    from kairos.cli.verdicts import show_again, show_judged

    with open_project(args) as project:
        if args.replay is not None:
            return _EXIT[show_again(project, args)]
        judged = judge(project, _version(project, args.version), time_it=not (args.json or args.md))
        show_judged(judged, args)
    return _EXIT[judged.decision.verdict]


def deploy(args: Namespace) -> int:
    """Begins a rollout; refused by the gate, the exit code is the gate's."""
    from kairos.app.deploying import deploy as begin
    from kairos.delivery.rollout import StageStep

    with open_project(args) as project, recorded(project):
        ref = _version(project, args.version)
        if args.rehearse:
            return _rehearse(args, project, ref)
        step = StageStep.parse(args.to) if args.to else None
        try:
            entry = decide_again(lambda: begin(project, ref, to=step, override=args.override))
        except TransitionRefused as refusal:
            if "verdict" not in refusal.facts:
                raise
            refusal.exit_code = _EXIT[refusal.facts["verdict"]]  # type: ignore[misc]
            raise
        if args.json:
            show_json(entry)
        else:
            share = f" for {entry.body['share']:.0%} of requests" if entry.body["to"] == "canary" else ""
            say(f"{ref} is {entry.body['to']}{share}. Ledger entry {entry.seq}.")
            say("Next: kairos up" if entry.body["to"] == "live" else "The loop takes it further: kairos up")
    return 0


def _rehearse(args: Namespace, project: Project, ref: VersionRef) -> int:
    """Tries the way there and back; 3 if it is not safe."""
    from kairos.app.rehearsing import rehearse

    entry = rehearse(project, ref)
    if args.json:
        show_json(entry)
    else:
        say(f"{entry.body['verdict']}: {'; '.join(entry.body['reasons'])}. Ledger entry {entry.seq}.")
    return _EXIT[entry.body["verdict"]]


def rollback(args: Namespace) -> int:
    """Goes back."""
    from kairos.app.deploying import rollback as go_back

    with open_project(args) as project, recorded(project):
        entries = decide_again(lambda: go_back(project, args.model, reason=args.reason))
        if args.json:
            show_json(entries)
        else:
            say(*(f"{e.subject} is {e.body['to']}. Ledger entry {e.seq}." for e in entries))
    return 0


def live(args: Namespace) -> int:
    """Says what is or was live."""
    with open_project(args) as project:
        found = live_at(project, parse_moment(args.at) if args.at else None)
        if args.json:
            show_json(found)
            return 0
        if not found:
            say("Nothing was registered then." if args.at else "Nothing is registered yet. Type: kairos run")
        for one in found:
            if one.version is None or one.changed is None:
                say(f"{one.model}: nothing is live" + ("" if args.at else f". Type: kairos deploy {one.model}@N"))
                continue
            say(f"{one.version} since {moment(one.changed.at)}, by {one.changed.actor}")
            say(*(f"  {reason}" for reason in one.changed.reasons))
            if one.challenger is not None:
                share = f" with {one.share:.0%} of requests" if one.stage == "canary" else ""
                overdue = ", overdue: it waits for a person" if one.is_overdue else ""
                say(f"  {one.challenger} is on trial in {one.stage}{share}{overdue}. What for? Type: kairos status")
            for freeze in one.frozen_by:
                end = f" until {moment(freeze.until)}" if freeze.until else ""
                say(f"  frozen by {freeze.person}{end}: {freeze.reason}")
    return 0


def _version(project: Project, text: str) -> VersionRef:
    """``demand@3``, or ``demand`` for its newest version."""
    if "@" in text:
        return VersionRef.parse(text)
    newest = project.state().model(text).newest
    if newest is None:
        raise NotFound(f"No version of {text!r} is registered.", hint="Type: kairos run")
    return newest.ref
