"""``policy compare``."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json, table

if TYPE_CHECKING:
    from kairos.app.comparing import Comparison, Part

__all__ = ["compare"]


def compare(args: Namespace) -> int:
    """Says which of two settings would have lost less on the project's past."""
    from kairos.app.comparing import compare_policies

    with open_project(args) as project:
        found = compare_policies(project, args.first, args.second)
    if args.json:
        show_json(found)
        return 0
    say(*_sentences(found), "")
    table(
        ("policy", found.loss_name, "changes"),
        [(one.name, f"{one.loss:.4g}", one.changes) for one in found.policies],
    )
    if found.parts:
        first, second, *_ = found.policies
        say("", f"By output, {first.name} less {second.name}; the intervals hold together with chance 95 %.")
        table(
            ("output", first.name, second.name, "difference", "between"),
            [
                (part.name, *(f"{one:.4g}" for one in part.losses), f"{part.difference:.3g}", _between(part))
                for part in found.parts
            ],
        )
    return 0


def _between(part: Part) -> str:
    return f"{part.low:.3g} and {part.high:.3g}"


def _sentences(found: Comparison) -> tuple[str, str]:
    first, second, *_ = found.policies
    if found.low <= 0 <= found.high:
        which = f"Neither of {first.name} and {second.name} is known to lose less for {found.model!r}"
    else:
        better, worse = (first, second) if found.difference < 0 else (second, first)
        which = f"{better.name} would have lost less for {found.model!r} than {worse.name}"
    unit = "list" if found.ranks else "row"
    amount = (
        f"{first.name} less {second.name}: {found.difference:.3g} a {unit}, between {found.low:.3g} and "
        f"{found.high:.3g} with chance 95 %, on {found.rows} {unit}s of {found.window}."
    )
    return which + ".", amount
