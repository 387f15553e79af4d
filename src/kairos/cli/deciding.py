"""``decide --replay``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json
from kairos.errors import UsageError

if TYPE_CHECKING:
    from kairos.app.recomputing import Recomputed

__all__ = ["decide"]

_OUTCOMES = ("identical", "differs", "unknown")


def decide(args: Namespace) -> int:
    """Makes past decisions again; 1 if one comes out otherwise than it was written down."""
    from kairos.app.recomputing import recompute, recompute_all

    if args.replay != "all" and not (args.replay.isascii() and args.replay.isdigit()):
        raise UsageError("A decision is named by its ledger entry.", given=args.replay, accepted="a number, or all")
    with open_project(args) as project:
        ledger = project.ledger
        found = list(recompute_all(ledger)) if args.replay == "all" else [recompute(ledger, int(args.replay))]
        if args.json:
            show_json(found)
            return _code(found)
        for one in found:
            if args.replay != "all" or one.outcome == "differs":
                say(f"{one.seq} {one.kind} {one.subject}: {one.outcome}", *(f"  {line}" for line in one.differences))
        if args.replay == "all":
            same, differ, unknown = (sum(one.outcome == name for one in found) for name in _OUTCOMES)
            say(
                f"{len(found)} decisions: {same} come out identical to the byte, {differ} differ.",
                f"{unknown} are a person's own word, or were written without what they were made from.",
            )
    return _code(found)


def _code(found: Sequence[Recomputed]) -> int:
    return 1 if any(one.outcome == "differs" for one in found) else 0
