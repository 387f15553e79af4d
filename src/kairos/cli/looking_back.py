"""``ledger``, ``report``, ``replay``."""

from __future__ import annotations

from argparse import Namespace
from collections import deque
from dataclasses import replace
from pathlib import Path

from kairos.cli.opening import open_project
from kairos.cli.output import moment, say, show_json
from kairos.errors import UsageError
from kairos.values import Window

__all__ = ["log", "replay", "report", "verify"]


def log(args: Namespace) -> int:
    """Prints facts, the latest last."""
    from kairos.app.telling import decision_line

    with open_project(args) as project:
        kinds = [args.kind] if args.kind else None
        entries = deque(project.ledger.read(kinds=kinds, subject=args.about), maxlen=args.count)
        if args.json:
            show_json(list(entries))
        elif not entries:
            say("The ledger has no such facts.")
        for entry in () if args.json else entries:
            line = decision_line(entry)
            head = f"{entry.seq:5}  {moment(entry.at)}  {entry.kind:18} {entry.subject:12} {entry.actor:10}"
            say(f"{head} {line.sentence}")
    return 0


def verify(args: Namespace) -> int:
    """Recomputes every hash."""
    with open_project(args) as project:
        found = project.ledger.verify()
        if args.json:
            show_json(found)
        elif found.is_intact:
            say(f"The ledger is intact: {found.entries} entries, head {found.head}")
        else:
            say(
                f"Entry {found.broken_seq} does not fit: {found.problem}",
                f"{found.entries} entries before it are intact.",
            )
    return 0 if found.is_intact else 1


def report(args: Namespace) -> int:
    """Writes a page about the predictions that the log holds."""
    from kairos.app.reporting import story_of
    from kairos.store.files import write_atomically
    from kairos.web.report import render_report

    with open_project(args) as project:
        output: Path = project.root / "report.html" if args.output is None else args.output
        if output.is_dir():
            raise UsageError("A report is one file.", given=f"the folder {output}", accepted="-o FILE")
        story = story_of(project)
        write_atomically(output.absolute(), render_report(story).encode())
        if args.json:
            show_json({"report": str(output), "policies": story.policies})
        else:
            say(f"{output} is written.")
    return 0


def replay(args: Namespace) -> int:
    """Sends the past as traffic, in a home of its own."""
    from kairos.app.replay import replay_project
    from kairos.cli.progress import Screen
    from kairos.store.files import write_atomically
    from kairos.web.report import render_report

    with open_project(args) as project:
        root = project.root
        home = _home(root / ".kairos" / "replays") if args.into is None else args.into.absolute()
    window = Window.parse(args.window) if args.window else None
    if args.report is not None and args.report.is_dir():
        raise UsageError("A report is one file.", given=f"the folder {args.report}", accepted="--report FILE")
    with Screen(quiet=args.json) as screen:
        story = replay_project(root, home, screen, window=window)
        if args.report is not None:
            screen.stage("the report")
            story = replace(story, places={**story.places, "report": args.report.name})
            write_atomically(args.report.absolute(), render_report(story).encode())
    if args.json:
        show_json(story)
    else:
        screen.figures(story)
    return 0


def _home(replays: Path) -> Path:
    """The next folder that is free."""
    numbers = [int(folder.name) for folder in replays.glob("*") if folder.name.isdigit()]
    return replays / str(max(numbers, default=0) + 1)
