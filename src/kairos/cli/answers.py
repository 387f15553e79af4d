"""What ``explain`` tells of an answer beside its chain, if it is asked to."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import TYPE_CHECKING

from kairos.cli.output import say, table

if TYPE_CHECKING:
    from kairos.app.contributing import Why
    from kairos.app.project import Project

__all__ = ["asked_more", "tell_more"]


def asked_more(args: Namespace, project: Project) -> dict[str, Why]:
    """What was asked for, by the option's name."""
    if not args.why:
        return {}
    from kairos.app.contributing import why_answer

    return {"why": why_answer(project, args.prediction)}


def tell_more(found: dict[str, Why]) -> None:
    """Prints it for a person."""
    if "why" in found:
        _tell_why(found["why"])


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
