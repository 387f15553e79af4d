"""``why``."""

from __future__ import annotations

from argparse import Namespace

from kairos.cli.opening import open_project
from kairos.cli.output import moment, say, show_json, table
from kairos.values import parse_moment, plain

__all__ = ["why"]


def why(args: Namespace) -> int:
    """Prints what changed first when a model got worse, and what else changed."""
    from kairos.app.causes import find_why
    from kairos.monitor.causes.words import cause_lines

    with open_project(args) as project:
        at = None if args.at is None else parse_moment(args.at)
        found = find_why(project, project.settings.model(args.model), at=at, seq=args.finding)
        if args.json:
            show_json({**plain(found), "first": plain(found.causes.first)})
            return 0
        if found.finding is not None:
            say(f"{found.finding.level} of entry {found.seq}: {found.finding.sentence}")
        say(found.sentence, *(found.trouble or ()))
        if found.causes.causes:
            say("")
            table(("share", "95 %", "since", "what"), cause_lines(found.causes))
            days = "1 day" if found.causes.days == 1 else f"{found.causes.days} days"
            if found.causes.rows:
                say("", f"{found.causes.rows} rows of {days} up to {moment(found.causes.as_of)}")
    return 0
