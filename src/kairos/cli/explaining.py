"""``explain``."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kairos.cli.opening import open_project
from kairos.cli.output import moment, say, show_json
from kairos.cli.rebuilding import in_environment
from kairos.errors import UsageError
from kairos.store.label_rows import said_text
from kairos.values import plain

if TYPE_CHECKING:
    from kairos.app.explaining import Arm, Explanation, Moment

__all__ = ["explain"]


def explain(args: Namespace) -> int:
    """Prints the chain behind one answer; 1 if the model was made again and answers something else."""
    from kairos.app.explaining import explain as look_up
    from kairos.cli.answers import asked_more, exit_code, tell_more

    if not args.rebuild and (args.env or args.tolerance is not None):
        raise UsageError(
            "Nothing is made again.",
            given="--env" if args.env else "--tolerance",
            accepted="it together with --rebuild",
            hint=f"Type: kairos explain {args.prediction} --rebuild",
        )
    if args.env:
        return _elsewhere(args)
    with open_project(args) as project:
        found = look_up(project, args.prediction)
        more = asked_more(args, project)
        if args.json:
            show_json({**plain(found), "deployed": plain(found.deployed), **plain(more)})
            return exit_code(more)
        _tell_answer(found)
        _tell_origin(found)
        tell_more(more)
    return exit_code(more)


def _elsewhere(args: Namespace) -> int:
    """The same command in an environment like that of the run of the version that answered."""
    from kairos.app.explaining import answer_of

    with open_project(args) as project:
        answered = answer_of(project, args.prediction)
    words = ["explain", args.prediction, "--rebuild", *(["--why"] if args.why else [])]
    return in_environment(args, f"{answered.model}@{answered.version}", words)


def _tell_answer(found: Explanation) -> None:
    arm = found.arms[0]
    guard = f" ({arm.action}: the model said {arm.raw:g})" if arm.action and arm.raw is not None else ""
    say(f"prediction   {found.prediction} at {moment(found.at)}: {_said(arm)}{guard}")
    if found.label is not None:
        say(f"truth        {said_text(found.label)}")
    say(f"model        {found.version}, as {arm.role}")
    for other in found.arms[1:]:
        say(f"beside it    {other.version}, as {other.role}: {_said(other)}")


def _said(arm: Arm) -> str:
    """What left: a number, or several by name."""
    told = ", ".join(
        f"{name} {each:g}" if isinstance(each, float) else f"{name} {each}" for name, each in arm.told.items()
    )
    return told or _number(arm.output)


def _tell_origin(found: Explanation) -> None:
    say(f"package      {found.package}", f"form         {found.form}")
    if found.base is not None:
        made = found.recalibration
        how = f"level {made['level']:+.4g}, slope {made['slope']:.4g}"
        how += " between log-odds" if made["scale"] == "log_odds" else ""
        say(f"recalibrated {found.base}: {how}, from {made['rows']} labelled rows of {made['window']}")
    say(f"run          {found.run} at {moment(found.run_at)}, data {found.window}")
    code = found.code
    dirty = f", changed by {code['dirty_digest']}" if code["dirty_digest"] else ", nothing changed since"
    say(f"commit       {code['commit']}{dirty}" if code["commit"] else "commit       none: not under version control")
    say(*_environment(found))
    for name, step in found.steps.items():
        say(f"step         {name}: fingerprint {step['fingerprint']}", f"             code {step['code']}")
        say(*(f"             param {key} = {json.dumps(value)}" for key, value in step["params"].items()))
        say(*(f"             input {key} {digest}" for key, digest in step["inputs"].items()))
    gate, deployed = found.gate, found.deployed
    say("gate         none" if gate is None else f"gate         {gate.what} ({_who(gate)})")
    if deployed is not None:
        why = "; ".join(deployed.reasons) + (f"; override: {deployed.override}" if deployed.override else "")
        say(f"deployed     to {deployed.what} ({_who(deployed)}): {why}")


def _environment(found: Explanation) -> Iterator[str]:
    used = found.environment
    if used is None:
        yield "environment  was not kept by this run"
    elif used.python is None:
        yield f"environment  lock {used.lock}, which is not in the store any more"
    else:
        named = f"Python {used.python}, {used.platform}, {used.distributions} distributions"
        yield f"environment  lock {used.lock}: {named}"
    if found.libraries:
        yield "libraries    " + ", ".join(f"{name} {version}" for name, version in found.libraries.items())


def _who(moment_of: Moment) -> str:
    return f"by {moment_of.actor}, {moment(moment_of.at)}, entry {moment_of.seq}"


def _number(value: float | None) -> str:
    return "no answer" if value is None else f"{value:g}"
