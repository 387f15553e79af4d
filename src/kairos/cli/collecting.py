"""``data gc``."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json
from kairos.values import duration_text, parse_duration, plain, size_text

if TYPE_CHECKING:
    from kairos.app.garbage import Collection
    from kairos.store.locks import Holder

__all__ = ["gc", "waiting"]

_SHOWN = 20
_REASONS = {
    "pointer": "named by pointers",
    "fact": "of versions and other facts",
    "run": "of runs that versions name, and of the newest",
    "step": "the newest results of steps",
    "git": "named by pointers in Git",
}


def gc(args: Namespace) -> int:
    """Removes what nobody needs; says what and why before."""
    from kairos.app.garbage import GRACE, collect

    grace = GRACE if args.grace is None else parse_duration(args.grace)
    with open_project(args) as project:
        found = collect(
            project,
            dry_run=args.dry_run,
            all_branches=args.all_branches,
            all_tags=args.all_tags,
            all_commits=args.all_commits,
            grace=grace,
            before=lambda plan: None if args.json else _tell(plan, args, duration_text(grace)),
            told=lambda held_by: waiting(held_by, as_json=args.json),
        )
    if args.json:
        show_json({**plain(found), "dry_run": args.dry_run})
    elif found.removed and args.dry_run:
        say("Nothing was removed. To remove it, leave out --dry-run.")
    elif found.removed:
        say(f"{_blobs(len(found.removed), 'was', 'were')} removed.")
    return 0


def waiting(held_by: tuple[Holder, ...], *, as_json: bool) -> None:
    """Says on stderr for whom is waited."""
    if not as_json:
        print("waiting for", ", ".join(map(str, held_by)) or "another process", file=sys.stderr, flush=True)


def _tell(plan: Collection, args: Namespace, grace: str) -> None:
    say(f"{_blobs(plan.kept, 'is', 'are')} needed:")
    say(*(f"  {plan.kept_by[kind]:,} {words}" for kind, words in _REASONS.items() if plan.kept_by.get(kind)))
    if plan.young:
        those = _blobs(plan.young, "is", "are")
        say(f"{those} needed by nobody and younger than {grace}: kept, as somebody may be making them.")
    if plan.unknown:
        say(f"Files of {len(plan.unknown):,} folders are not known, as their listings are not here:")
        say(*(f"  {who}" for who in plan.unknown[:_SHOWN]))
    if not plan.removed:
        say("Nothing is to be removed.")
        return
    say(f"{_blobs(len(plan.removed), 'is', 'are')} needed by nobody, {size_text(plan.size_bytes)}:")
    for one in plan.removed[:_SHOWN]:
        say(f"  {one.digest}  {size_text(one.size_bytes)}  {one.was or 'no fact and no pointer names it'}")
    if len(plan.removed) > _SHOWN:
        say(f"  and {len(plan.removed) - _SHOWN:,} more")


def _blobs(count: int, one: str, many: str) -> str:
    return f"{count:,} {f'blob {one}' if count == 1 else f'blobs {many}'}"
