"""``init`` and ``demo``."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

from kairos.cli.output import say, show_json
from kairos.values import parse_moment, plain

if TYPE_CHECKING:
    from kairos.app.adopting import Adopted

__all__ = ["demo", "init"]


def init(args: Namespace) -> int:
    """Makes a project: of a repository that has its history with DVC, or from an example."""
    from kairos.app.adopting import adopt, has_history
    from kairos.app.starting import start_project

    if args.example is None and (args.folder / args.target).is_dir() and has_history(args.folder / args.target):
        return _adopted(adopt(args.folder / args.target), as_json=args.json)
    root = start_project(args.example or "bikes", args.folder / args.target)
    if args.json:
        show_json({"project": str(root)})
    else:
        say(f"{args.target} is a project now. Next:", f"  cd {args.target}", "  kairos run")
    return 0


def _adopted(found: Adopted, *, as_json: bool) -> int:
    if as_json:
        show_json({"project": str(found.root), **{k: v for k, v in plain(found).items() if k != "root"}})
        return 0
    kinds = {"in the layout of DVC 2": found.of_dvc_2, "imported": found.imported, "of stages": found.of_stages}
    told = ", ".join(f"{count:,} {words}" for words, count in kinds.items() if count)
    say(
        f"{found.root.name} is a project now. Its data stays as `dvc` keeps it:",
        f"  {found.tracked:,} tracked{f', {told}' if told else ''}",
        f"  remotes: {', '.join(found.remotes) or 'none'}; the default one is {found.default_remote or 'not set'}",
        *(f"  left out: {line}" for line in found.unread),
        f"The first source in {found.pipeline} reads "
        + (f"{found.source}." if found.source else "nothing yet: say there where the rows come from."),
        "Next:",
        "  kairos data status",
        "  kairos run",
    )
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
