"""``rebuild``."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json, table
from kairos.cli.run_screen import RunScreen

if TYPE_CHECKING:
    from kairos.app.rebuilding import Rebuilt

__all__ = ["in_environment", "rebuild"]

_ANSWERS = {"identical": "identical", "close": "equal within tolerance", "diverged": "diverged"}
_SHOWN = 12


def rebuild(args: Namespace) -> int:
    """Makes a run again; 1 if something else comes out."""
    if args.env:
        return in_environment(args, args.run, ["rebuild", args.run])
    from kairos.app.rebuilding import rebuild as make_again

    with open_project(args) as project:
        with RunScreen(why=False, quiet=args.json) as screen:
            found = make_again(project, args.run, tolerance=args.tolerance, on_event=screen.note)
        if args.json:
            show_json(found.plain())
        else:
            _tell(found, args.tolerance)
    return 1 if found.answer == "diverged" else 0


def in_environment(args: Namespace, name: str, words: Sequence[str]) -> int:
    """Runs a command of Kairos in an environment like that of a run, with this call's tolerance; its exit code.

    Args:
        args: Of this command: where the project is, ``tolerance`` and ``json``.
        name: The run, by its id or ``MODEL@N``.
        words: The command and what it is about.
    """
    from kairos.app.environments import make_environment
    from kairos.pipeline.captured import is_own_folder

    with open_project(args) as project:
        made = make_environment(project, name)
        root = project.root
    for missing, reason in made.missing.items():
        print(f"note: {missing} was not recreated: {reason}", file=sys.stderr)
    tolerance = [] if args.tolerance is None else ["--tolerance", str(args.tolerance)]
    all_words = ["-C", str(root), *words, *tolerance, *(["--json"] if args.json else [])]
    sys.stdout.flush()
    # What is installed here in editable mode from the project is not there; these folders lead to its code of then.
    own = [folder for folder in sys.path if is_own_folder(root, folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(made.modules), *own])}
    return subprocess.run([made.python, "-P", "-m", "kairos.cli", *all_words], env=environment, check=False).returncode


def _tell(found: Rebuilt, tolerance: float) -> None:
    say(f"code of {found.run} is in {found.folder}")
    if found.taken:
        say(f"data were taken as captured: {', '.join(found.taken)}")
    if found.distributions:
        say(f"{len(found.distributions)} distributions are not those of then:")
        rows = [(name, then or "absent", now or "absent") for name, (then, now) in found.distributions.items()]
        table(("", "then", "now"), rows[:_SHOWN])
        if len(rows) > _SHOWN:
            say(f"and {len(rows) - _SHOWN} more; --json names all.")
    table(
        ("step", "comes out", ""),
        [(name, _ANSWERS.get(like.how, like.how), like.what) for name, like in found.steps.items()],
    )
    if found.diverged is not None:
        say(
            f"diverged first at step {found.diverged.step!r}: {found.diverged.what}",
            *(f"  {why}" for why in found.diverged.why),
        )
    elif found.answer == "close":
        say(f"equal within tolerance ({tolerance:g} of each value)")
    else:
        say("identical")
