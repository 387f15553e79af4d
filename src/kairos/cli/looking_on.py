"""``status``."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from kairos.cli.opening import open_project
from kairos.cli.output import moment, say, show_json
from kairos.values import plain

if TYPE_CHECKING:
    from kairos.app.learning import Learning
    from kairos.app.outlook import Waiting

__all__ = ["status"]


def status(args: Namespace) -> int:
    """Says what is live, what is on trial, what it waits for and until when, and what stops the learning."""
    from kairos.app.outlook import outlook

    with open_project(args) as project:
        project.roll()
        models = [m for m in project.settings.models.values() if m.name in project.state().models]
        found = [outlook(project, model) for model in models]
        if args.json:
            show_json([{**plain(one), "due": one.due} for one in found])
            return 0
        if not found:
            say("Nothing is registered yet. Type: kairos run")
        for one in found:
            since = "" if one.since is None else f", live since {moment(one.since)}"
            say(f"{one.champion}{since}" if one.champion else f"{one.model}: nothing is live")
            say(*(f"  frozen: {sentence}" for sentence in one.freezes))
            say(*(f"  freeze to come: {sentence}" for sentence in one.freezes_ahead))
            say(*(f"  look: {sentence}" for sentence in one.trouble or ()))
            if one.learning is not None and one.trouble is None:
                _tell_learning(one.learning)
            for each in (one.trial, one.bake):
                if each is not None:
                    _tell(each)
            if one.newest is not None:
                judged = one.newest.verdict or f"not judged. Type: kairos gate {one.newest.version}"
                say(f"  {one.newest.version} is {one.newest.stage.replace('_', ' ')}, gate: {judged}")
                say(*(f"    {sentence}" for sentence in one.newest.words or ()))
            if one.champion and one.trial is None and one.bake is None:
                say("  nothing is on trial")
    return 0


def _tell_learning(one: Learning) -> None:
    say(f"  a new version is asked for: {'; '.join(one.reasons)}")
    say("    the loop's next turn decides about it" if one.waits is None else f"    waits: {one.waits}")
    if one.due is not None:
        say(f"    due: {moment(one.due)} UTC")


def _tell(each: Waiting) -> None:
    share = f" with {each.share:.0%} of requests" if each.stage == "canary" else ""
    where = "live, beside the version before it" if each.stage == "live" else f"on trial in {each.stage}{share}"
    overdue = ", overdue" if each.is_overdue else ""
    say(f"  {each.version} is {where} since {moment(each.since)}{overdue}")
    say(*(f"    {sentence}" for sentence in each.words))
    say(*(f"    worth: {line}" for line in each.worth))
    say(*(f"    waits: {sentence}" for sentence in each.obstacles))
    if each.is_overdue:
        say(f"    Type: kairos deploy {each.version} --to STAGE --override REASON")
        say(f"    or:   kairos rollback {each.version.model}")
    if each.due is not None:
        say(f"    due: {moment(each.due)} UTC")
