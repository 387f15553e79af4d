"""``data leaks``."""

from __future__ import annotations

from argparse import Namespace

from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json
from kairos.values import plain

__all__ = ["leaks"]


def leaks(args: Namespace) -> int:
    """Looks for leakage; 1 if anything is found that the project has not accepted."""
    from kairos.app.leaks import look_for_leaks

    with open_project(args) as project:
        found = look_for_leaks(project, args.model, run=args.run)
    if args.json:
        show_json({"is_clean": not found.findings, **plain(found)})
        return 1 if found.findings else 0
    say(f"{found.model}: {found.train} beside {found.holdout}, of run {found.run}")
    for finding in found.findings:
        say(f"  {finding.sure:9} {finding.name}", f"            {finding.what}", f"            {finding.advice}")
    if found.findings:
        name = found.findings[0].name
        say(f'If one is no trouble, say so in kairos.toml: [model.{found.model}.leaks] accept = ["{name}"]')
    else:
        say("Nothing was found. A column written down after the fact that differs from the target cannot be seen.")
    if found.accepted:
        say(f"accepted: {', '.join(finding.name for finding in found.accepted)}")
    if found.needless:
        say(f"accepted, but not found: {', '.join(found.needless)}")
    return 1 if found.findings else 0
