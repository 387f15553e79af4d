"""What ``explain`` tells of an answer beside its chain, if it is asked to."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import TYPE_CHECKING, TypedDict

from kairos.cli.output import say, table
from kairos.cli.run_screen import RunScreen

if TYPE_CHECKING:
    from kairos.app.contributing import Why
    from kairos.app.project import Project
    from kairos.app.reanswering import AnsweredAgain

__all__ = ["asked_more", "exit_code", "tell_more"]


class More(TypedDict, total=False):
    """What was asked for, by the option's name."""

    why: Why
    rebuild: AnsweredAgain


def asked_more(args: Namespace, project: Project) -> More:
    """Looks for what was asked for."""
    found = More()
    if args.why:
        from kairos.app.contributing import why_answer

        found["why"] = why_answer(project, args.prediction)
    if args.rebuild:
        from kairos.app.reanswering import answer_again

        with RunScreen(why=False, quiet=args.json) as screen:
            tolerance = 1e-9 if args.tolerance is None else args.tolerance
            found["rebuild"] = answer_again(project, args.prediction, tolerance=tolerance, on_event=screen.note)
    return found


def tell_more(found: More) -> None:
    """Prints it for a person."""
    if "why" in found:
        _tell_why(found["why"])
    if "rebuild" in found:
        _tell_again(found["rebuild"])


def exit_code(found: More) -> int:
    """1 if something else comes out of making the model again."""
    return 1 if "rebuild" in found and found["rebuild"].outcome == "differs" else 0


def _tell_again(again: AnsweredAgain) -> None:
    said = {
        "identical": "gives the same answer, to the last bit",
        "close": f"gives the same answer within {again.tolerance:g}",
        "differs": "gives another answer",
        "unknown": "cannot be compared: not all inputs were kept, and its package is another one",
    }
    say("", f"{again.version}, made again from {again.run}, {said[again.outcome]}.")
    for name, value in (
        ("recorded", again.recorded),
        ("package of then, now", again.kept),
        ("package made again", again.rebuilt),
    ):
        if value is not None:
            say(f"  {name:21} {value!r}")
    if again.is_same_package:
        say(f"  both packages are {again.package}, byte for byte")
    else:
        say(f"  package of then {again.package}", f"  made again      {again.package_rebuilt}")
    say(*(f"  {name}: {reason}" for name, reason in again.lost.items()))
    say(*(f"  why: {line}" for line in again.why))


def _tell_why(why: Why) -> None:
    say("")
    if why.refused is not None:
        say(f"What the inputs contributed cannot be told: {why.refused}.")
        say(*(f"  {name}: {reason}" for name, reason in why.lost.items()))
        return
    said = "the answer" if why.of == "answer" else why.of
    say(f"The typical row of training gets {why.base:.6g}. What the inputs add to it makes {said}, {why.answer:.6g}:")
    table(
        ("input", "value", "typical", "adds", "in training"),
        [
            (one.name, _short(one.value), _short(one.typical), _amount(one.contribution, one.error), one.standing)
            for one in why.inputs
        ],
    )
    say(_HOW[why.method or "orders"].format(asked=why.asked))


_HOW = {
    "subsets": "Exact Shapley values, over all subsets of the inputs that differ ({asked} rows were asked about).",
    "trees": "Exact Shapley values, by walking the trees.",
    "orders": "Shapley values of sampled orders with their standard errors ({asked} rows were asked about).",
}


def _amount(contribution: float, error: float) -> str:
    return f"{contribution:+.4g}" + (f" ± {error:.2g}" if error > 1e-9 * abs(contribution) else "")


def _short(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 30 else text[:29] + "…"
