"""Causes in words: two sentences for a person, and a table for whoever wants to know more."""

from __future__ import annotations

from kairos.monitor.causes.cause import Cause, Causes
from kairos.values import Interval

__all__ = ["cause_lines", "cause_sentences"]


def cause_sentences(causes: Causes) -> str:
    """What got worse and when; and what changed first, with its part in it."""
    return f"{_rise(causes)} {_first(causes)}"


def cause_lines(causes: Causes) -> list[tuple[str, str, str, str]]:
    """Share, interval, since and what, one line for each cause, for a table."""
    return [
        (*_share(cause.share), cause.since.strftime("%Y-%m-%d"), f"{cause.kind}: {cause.what}{_aside(cause)}")
        for cause in causes.causes
    ]


def _rise(causes: Causes) -> str:
    if causes.since is None or causes.before is None or causes.after is None:
        if not causes.rows:
            return f"{causes.model}: there is no answer yet that the {causes.named} can be told of."
        days = "1 day" if causes.days == 1 else f"{causes.days} days"
        return f"{causes.model}: no rise of the {causes.named} is to be seen in {days}."
    before = "on its holdout" if causes.reference == "holdout" else "before"
    return (
        f"{causes.model}: the {causes.named} rose to {causes.after:.4g} on {causes.since:%Y-%m-%d} "
        f"({before}: {causes.before:.4g})."
    )


def _first(causes: Causes) -> str:
    first = causes.first
    if first is None:
        return "Nothing that changed explains it." if causes.since else "What else changed is not known to do harm."
    if first.share is None:
        return f"What changed: {first.what}, on {first.since:%Y-%m-%d}; whether it does harm is not known."
    part = (
        f"{_percent(first.share.estimate)} of the rise ({_percent(first.share.lower)} to {_percent(first.share.upper)})"
    )
    others = f", with {first.together - 1} more that came at once" if first.together > 1 else ""
    return f"What changed first: {first.what}, on {first.since:%Y-%m-%d}; it accounts for {part}{others}."


def _share(share: Interval | None) -> tuple[str, str]:
    if share is None:
        return "", ""
    return _percent(share.estimate), f"{_percent(share.lower)} to {_percent(share.upper)}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if abs(share) < 10 else "far more"


def _aside(cause: Cause) -> str:
    if not cause.is_timely:
        return " [not at the time of the rise]"
    return f" [one of {cause.together} that came at once]" if cause.together > 1 else ""
