"""Runs that no ledger tells of, since they run now or were killed, asked as those of the ledger are."""

from __future__ import annotations

from typing import Any

from kairos.experiments.filter import Both, Condition, Either, Is, Not
from kairos.pipeline.progress import Told
from kairos.values import parse_moment

__all__ = ["told_of_unended", "unended_is_so"]


def told_of_unended(told: Told) -> dict[str, Any]:
    """What is known of it, under the names of the fields of ``list_runs``; it has no metric, param or tag yet."""
    known = {"run": told.name, "status": told.state, "started": told.started_at, "window": told.window}
    return known if told.state == "running" else {**known, "ended": told.beat_at}


def unended_is_so(condition: Condition, told: Told) -> bool:
    """Whether a condition, which ``list_runs`` has taken, is true of such a run.

    A run that lacks a value answers no comparison of it.
    """
    return _is_so(condition, told_of_unended(told))


def _is_so(condition: Condition, known: dict[str, Any]) -> bool:
    match condition:
        case Is():
            return condition.name in known and _compares(condition, known[condition.name])
        case Not():
            return not _is_so(condition.part, known)
        case Both():
            return all(_is_so(part, known) for part in condition.parts)
        case Either():
            return any(_is_so(part, known) for part in condition.parts)


def _compares(asked: Is, value: Any) -> bool:
    if asked.operator == "~":
        return asked.value in value
    wanted: Any = asked.value if isinstance(value, str) else parse_moment(asked.value)
    match asked.operator:
        case "=":
            return bool(value == wanted)
        case "!=":
            return bool(value != wanted)
        case "<":
            return bool(value < wanted)
        case "<=":
            return bool(value <= wanted)
        case ">":
            return bool(value > wanted)
        case ">=":
            return bool(value >= wanted)
