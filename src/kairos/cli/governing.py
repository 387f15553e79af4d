"""``approve``, ``freeze``, ``unfreeze``."""

from __future__ import annotations

from argparse import Namespace

from kairos.app.retrying import decide_again
from kairos.cli.opening import open_project
from kairos.cli.output import moment, say, show_json
from kairos.values import VersionRef, parse_moment

__all__ = ["approve", "freeze", "unfreeze"]


def approve(args: Namespace) -> int:
    """Writes down what a person says about a version."""
    from kairos.app.approving import approve as say_yes
    from kairos.app.approving import refuse as say_no

    with open_project(args) as project:
        ref = VersionRef.parse(args.version)
        tell = say_no if args.refuse else say_yes
        entry = decide_again(lambda: tell(project, ref, reason=args.reason))
        if args.json:
            show_json(entry)
        elif args.refuse:
            say(f"{entry.actor} refused {ref}: it goes no further, and ends its trial. Ledger entry {entry.seq}.")
        else:
            against = f" in place of {entry.body['against']}" if entry.body["against"] else ""
            say(f"{entry.actor} approved {ref}{against}. Ledger entry {entry.seq}.")
    return 0


def freeze(args: Namespace) -> int:
    """Stops a model from going forward."""
    from kairos.app.approving import freeze as begin

    with open_project(args) as project:
        until = parse_moment(args.until) if args.until else None
        entry = begin(project, args.model, reason=args.reason, until=until)
        if args.json:
            show_json(entry)
        else:
            end = f"until {moment(until)} UTC" if until else f"until somebody types: kairos unfreeze {args.model}"
            say(f"{args.model} does not go forward {end}. It can be rolled back. Ledger entry {entry.seq}.")
    return 0


def unfreeze(args: Namespace) -> int:
    """Lets it go forward again."""
    from kairos.app.approving import unfreeze as end

    with open_project(args) as project:
        entry = decide_again(lambda: end(project, args.model, reason=args.reason))
        if args.json:
            show_json(entry)
        else:
            say(*(f"The freeze by {one['person']} has ended: {one['reason']}" for one in entry.body["ended"]))
            say(f"{args.model} goes forward again, unless the settings freeze it. Ledger entry {entry.seq}.")
    return 0
