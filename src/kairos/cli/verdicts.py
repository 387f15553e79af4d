"""A gate's verdict, printed: a screen, in full, as Markdown, or as JSON."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from kairos.app.judging import Judged, judged_before
from kairos.cli.output import say, show_json
from kairos.errors import UsageError
from kairos.gates.case import GateCase
from kairos.gates.markdown import markdown, plain_text
from kairos.gates.screen import screen
from kairos.gates.words import two_sentences
from kairos.values import Verdict

if TYPE_CHECKING:
    from kairos.app.project import Project

__all__ = ["show_again", "show_judged"]


def show_judged(judged: Judged, args: Namespace) -> None:
    """Prints what was just decided, and what to type next."""
    _show(judged.case, args, seq=judged.entry.seq)
    if judged.decision.verdict == "pass" and not (args.json or args.md):
        say("", f"Next: kairos deploy {judged.ref}")


def show_again(project: Project, args: Namespace) -> Verdict:
    """Makes the decision of a ledger entry again and prints it; returns its verdict."""
    entry, again = judged_before(project, args.replay)
    if again.evidence is None:  # an older format, which has no tables
        if args.html is not None:
            raise UsageError("This decision compares nothing that could be drawn.", given=f"--html {args.html}")
        if args.json:
            show_json({"version": entry.subject, "is_same": again.is_same, **_plain(again.decision)})
        else:
            say(f"{entry.subject}: {again.decision.sentence}", *(f"  {reason}" for reason in again.decision.reasons))
    else:
        case = GateCase(
            version=entry.subject,
            against=entry.body["against"],
            policy=again.policy,
            evidence=again.evidence,
            decision=again.decision,
        )
        _show(case, args, seq=entry.seq, is_same=again.is_same)
    if not (args.json or args.md):
        same = "the same as" if again.is_same else "NOT the same as"
        say("", f"Made again from entry {entry.seq} alone: {same} it was.")
    return again.decision.verdict


def _show(case: GateCase, args: Namespace, *, seq: int, **more: object) -> None:
    if args.html is not None:
        _write_page(case, args.html, entry=seq)
    if args.json:
        show_json(
            {
                "version": case.version,
                "against": case.against,
                **_plain(case.decision),
                "in_words": two_sentences(case),
                "policy": case.policy,
                "evidence": case.evidence.plain(),
                "entry": seq,
                **more,
            }
        )
    elif args.md:
        print(markdown(case), end="")
    else:
        say(screen(case))
        if args.explain:
            say("", plain_text(case))
    if args.html is not None and not (args.json or args.md):
        say("", f"{args.html} is written.")


def _write_page(case: GateCase, file: Path, *, entry: int) -> None:
    from kairos.store.files import write_atomically
    from kairos.web.gate import render_gate

    if file.is_dir():
        raise UsageError("A page is one file.", given=f"the folder {file}", accepted="--html FILE")
    write_atomically(file.absolute(), render_gate(case, entry=entry).encode())


def _plain(decision: object) -> dict[str, object]:
    fields = ("verdict", "sentence", "reasons", "needed_rows", "ready_on")
    return {name: getattr(decision, name) for name in fields}
