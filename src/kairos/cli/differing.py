"""``diff``."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json, table
from kairos.values import plain

if TYPE_CHECKING:
    from kairos.app.differing import Judged

__all__ = ["diff"]

_PARTS = ("params", "inputs", "code", "metrics")


def diff(args: Namespace) -> int:
    """Says what differs between two runs, and whether metrics do by more than chance makes them."""
    from kairos.app.differing import differ

    with open_project(args) as project:
        found = differ(project, args.first, args.second, on=args.on)
    if args.json:
        judged = [{**plain(one), "verdict": one.verdict} for one in found.judged]
        show_json({**plain(found.difference), "judged": judged, "not_judged": plain(found.not_judged)})
        return 0
    first, second = found.difference.before, found.difference.after
    changes = [(part, change) for part in _PARTS for change in getattr(found.difference, part)]
    if first == second and args.first != args.second:
        say(f"{args.first} and {args.second} were made by one run, {first}.")
    elif not changes:
        say(f"{first} and {second} do not differ in params, data, code or metrics.")
    else:
        rows = [(part, c.name, _short(c.before), _short(c.after)) for part, c in changes]
        table(("", "name", first, second), rows)
    if changes and (found.judged or found.not_judged):
        say("")
        say(*(judged_line(one) for one in found.judged))
        say(*(f"{one.model}: not compared over {one.over}: {one.reason}." for one in found.not_judged))
    return 0


def judged_line(one: Judged) -> str:
    """What is to be thought of a difference, in a sentence."""
    what = f"{one.metric} {one.before:.4g} -> {one.after:.4g}"
    if one.over == "seeds":
        where = f"over {one.n} {'seeds that both have' if one.method == 'paired t' else 'seeds or more'}, on {one.on}"
    else:
        dependence = one.method.partition(", ")[2]
        tied = "" if dependence == "independent" else f", which depend by {dependence}"
        where = f"{one.on} that neither was trained on{tied}"
    interval = f"interval {one.lower:.3g} to {one.upper:.3g}, {100 * one.level:.4g} %"
    if one.over == "seeds" and one.lower == one.upper:
        return f"{what}: no seed changes the difference, {one.difference:.3g} ({where})."
    if one.verdict == "unknown":
        return f"{what}: too little to tell ({where})."
    if one.verdict == "no difference":
        return f"{what}: no difference that chance would not make ({interval}; {where})."
    return f"{what}: {one.verdict}, by more than chance would make ({interval}; {where})."


def _short(value: object) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
