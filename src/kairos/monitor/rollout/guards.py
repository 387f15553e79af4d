"""From counters of the server to what a decision takes: one guard for each kind of bad event. See ``serving.tally``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from kairos.delivery.rollout import EventRule, GuardRule, ValueRule
from kairos.delivery.rollout.evidence import Guard, Valued
from kairos.store.counts import LOWEST, PARTS, Comparison, Process, range_names

__all__ = ["Counts", "asked", "guards", "limits_of", "unusable", "values"]

Counts = Mapping[float, Mapping[str, int]]
"""Counters by share, as ``kairos.store.counts.merged`` gives them."""

_ALWAYS = {"errors": "errors", "impossible": "impossible values"}
_SLOW = {"slow_p95": (0.05, "95 %"), "slow_p99": (0.01, "99 %")}

_EARLY_DEATH = timedelta(minutes=5)
_MOST_DEATHS = 3
"""So many servers that die this soon after their start with a version in them are no coincidence."""


def guards(
    counts: Counts, limits: Mapping[str, int], rules: Iterable[GuardRule] = (), events: Iterable[EventRule] = ()
) -> tuple[Guard, ...]:
    """What is known of each kind of bad event, the same kinds in the same order at every look of one trial.

    Args:
        counts: Of the trial.
        limits: From when on a prediction is slow, in microseconds by kind; fixed before the trial.
        rules: What the owner limits herself.
        events: What may happen to users.
    """
    found = [
        Guard(name=kind, what=what, pairs=_pairs(counts, kind), asked=asked(counts, kind), own=_own(counts, kind))
        for kind, what in _ALWAYS.items()
    ]
    slow = [("timeouts", 0.0, "timeouts")] if "timeouts" in limits else []
    for kind, (reference, quantile) in _SLOW.items():
        if kind in limits:
            what = f"answers slower than the champion's {quantile} quantile before, {_time(limits[kind])}"
            slow.append((kind, reference, what))
    for kind, reference, what in slow:
        found.append(
            Guard(
                name=kind,
                what=what,
                by=("shares",),
                asked=asked(counts, kind),
                own=_sums(counts, f"path.{kind}", "path"),
                aside=_sums(counts, f"aside.{kind}", "aside"),
                reference=reference,
            )
        )
    found += [_event(counts, event) for event in events]
    return (*found, *(_stated(counts, rule) for rule in rules))


def asked(counts: Counts, kind: str | None = None) -> dict[str, tuple[int, int]]:
    """Requests, or bad events, of the version that was asked first: ``(challenger's, champion's)`` by share as text."""
    return _arms(counts, "asked" if kind is None else f"asked.{kind}")


def _arms(counts: Counts, name: str) -> dict[str, tuple[int, int]]:
    return {
        str(share): (counters.get(f"{name}.test", 0), counters.get(f"{name}.base", 0))
        for share, counters in sorted(counts.items())
        if 0 < share < 1
    }


def values(counts: Counts, limits: Mapping[str, int], rules: Iterable[ValueRule]) -> tuple[Valued, ...]:
    """What requests were worth, of each kind that the owner names."""
    return tuple(
        Valued(
            name=rule.name,
            reach=_reach(limits, rule),
            events=_arms(counts, f"{rule.kind}.events"),
            totals={share: _parts(pair) for share, pair in _arms(counts, f"{rule.kind}.total").items()},
            sizes={share: _parts(pair) for share, pair in _arms(counts, f"{rule.kind}.size").items()},
            squares={share: _parts(pair, 2) for share, pair in _arms(counts, f"{rule.kind}.squares").items()},
            clipped=sum(counters.get(f"{rule.kind}.clipped", 0) for counters in counts.values()),
        )
        for rule in rules
    )


def limits_of(processes: Sequence[Process], comparison: Comparison) -> dict[str, int]:
    """The limits that the servers compared with; where they differ, the most lenient."""
    found: dict[str, int] = {}
    for process in processes:
        for sheet in process.sheets:
            if sheet.comparison == comparison:
                for name, limit in sheet.limits.items():
                    lenient = min if name.endswith(LOWEST) else max
                    found[name] = lenient(limit, found.get(name, limit))
    return found


def unusable(processes: Sequence[Process], comparison: Comparison, counts: Counts) -> str | None:
    """Why the version under test cannot be used at all, or ``None``: what needs no statistics."""
    name = f"{comparison.model}@{comparison.test}"
    for process in processes:
        for failed in () if process.is_gone else process.failed_loads:
            if (failed.model, failed.version) == (comparison.model, comparison.test):
                return f"{name} cannot be loaded: {failed.reason}"
    for kind, what in (("not_finite", "gave NaN or infinity"), ("schema", "does not fit requests")):
        broken = sum(counters.get(f"hard.{kind}", 0) for counters in counts.values())
        if broken:
            return f"{name} {what}, on {broken} {'request' if broken == 1 else 'requests'} that the other version took"
    deaths = sum(_died_early(process, comparison) for process in processes)
    if deaths >= _MOST_DEATHS:
        return f"{deaths} servers died within {_EARLY_DEATH.seconds // 60} minutes of starting with {name}"
    return None


def _died_early(process: Process, comparison: Comparison) -> bool:
    return (
        process.is_gone
        and not process.has_ended
        and process.started_at >= comparison.since
        and process.written_at - process.started_at < _EARLY_DEATH
        and any(sheet.comparison == comparison for sheet in process.sheets)
    )


def _event(counts: Counts, event: EventRule) -> Guard:
    """Events of users by who was asked on their behalf: an entity's first, so never more than requests."""
    shares, requests = asked(counts, event.kind), asked(counts)
    own = sum(mine for mine, _ in shares.values()), sum(mine for mine, _ in requests.values())
    return Guard(
        name=event.kind,
        what=f"events {event.name!r}",
        by=("shares",),
        asked=shares,
        own=own,
        reference=event.usual,
    )


def _stated(counts: Counts, rule: GuardRule) -> Guard:
    """A guard with a cap: errors and impossible values of all its predictions, slowness of those on a request's way."""
    is_slow = rule.kind not in _ALWAYS
    own = _sums(counts, f"path.{rule.kind}", "path") if is_slow else _own(counts, rule.kind)
    return Guard(
        name=rule.text,
        what=f"answers that break '{rule.text}'",
        by=("cap",),
        own=own,
        aside=_sums(counts, f"aside.{rule.kind}", "aside") if is_slow else (0, 0),
        cap=rule.cap,
    )


def _pairs(counts: Counts, kind: str) -> tuple[int, int]:
    return _sums(counts, f"pairs.{kind}.test", f"pairs.{kind}.base")


def _own(counts: Counts, kind: str) -> tuple[int, int]:
    return _sums(counts, f"own.{kind}", "predicted")


def _sums(counts: Counts, *names: str) -> tuple[int, int]:
    first, second = (sum(counters.get(name, 0) for counters in counts.values()) for name in names)
    return first, second


def _reach(limits: Mapping[str, int], rule: ValueRule) -> float | None:
    """Length of the range that the servers kept values in; before any server has told, that of the rule."""
    ends = [limits.get(name) for name in range_names(rule.kind)]
    if ends[0] is None or ends[1] is None:
        return rule.reach
    return (ends[1] - ends[0]) / PARTS


def _parts(pair: tuple[int, int], power: int = 1) -> tuple[float, float]:
    """Sums in the unit of the values; dividing whole numbers rounds once, so the order of counting cannot matter."""
    return pair[0] / PARTS**power, pair[1] / PARTS**power


def _time(limit_us: int) -> str:
    return f"{limit_us / 1000:.3g} ms"
