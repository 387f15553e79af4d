"""``import``."""

from __future__ import annotations

import sys
from argparse import Namespace

from kairos.cli.opening import open_project, recorded
from kairos.cli.output import say, show_json

__all__ = ["sacred"]


def sacred(args: Namespace) -> int:
    """Imports runs of Sacred; 1 if one of them could not be."""
    from kairos.app.importing import import_sacred

    with open_project(args) as project, recorded(project):
        done = []
        for one in import_sacred(project, args.places):
            done.append(one)
            if args.json:
                continue
            if one.run is None:
                print(f"error: {one.where} is not imported: {'; '.join(one.problems)}", file=sys.stderr)
                continue
            state = "imported" if one.is_new else "known"
            say(f"{one.run} {state}: {one.experiment} {one.id}, {one.status}, from {one.where}")
            for problem in one.problems:
                say(f"  {problem}")
    if args.json:
        show_json(done)
    return 0 if all(one.run is not None for one in done) else 1
