"""``init`` and ``demo``."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace

from kairos.cli.output import say, show_json
from kairos.values import parse_moment, plain

__all__ = ["demo", "init"]


def init(args: Namespace) -> int:
    """Makes a project."""
    from kairos.app.starting import start_project

    root = start_project(args.example, args.folder / args.target)
    if args.json:
        show_json({"project": str(root)})
    else:
        say(f"{args.target} is a project now. Next:", f"  cd {args.target}", "  kairos run")
    return 0


def demo(args: Namespace) -> int:
    """Runs the main job on real data and writes its report."""
    from kairos.app.demo import run_demo
    from kairos.cli.progress import Screen
    from kairos.store.files import write_atomically
    from kairos.web.report import render_loop_picture, render_report

    until = parse_moment(args.until) if args.until else None
    target = args.folder / args.target
    with Screen() as screen:
        story = run_demo(target, screen, seed=args.seed, until=until)
        story = replace(story, places={**story.places, "report": "report.html"})
        screen.stage("the report")
        write_atomically((target / "report.html").absolute(), render_report(story).encode())
        write_atomically((target / "loop.svg").absolute(), render_loop_picture(story).encode())
    shown = {name: str(args.target / place) for name, place in story.places.items()}
    screen.figures(replace(story, places=shown))
    if args.json:
        args.json.absolute().parent.mkdir(parents=True, exist_ok=True)
        write_atomically(args.json.absolute(), json.dumps(plain(story), indent=2, ensure_ascii=False).encode())
    return 0
