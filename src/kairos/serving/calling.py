"""A version is asked for rows of a request: in one call, given up when it hangs, alone when others' rows break it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kairos.clock import Clock, ReplayClock
from kairos.errors import KairosError
from kairos.serving.cutoff import TimedOut
from kairos.serving.deployment import LoadedVersion, Role
from kairos.serving.guard import Said
from kairos.serving.outcomes import Outcomes, Request
from kairos.serving.rows import told_rows

__all__ = ["predict"]


def predict(
    version: LoadedVersion, role: Role, request: Request, rows: Sequence[int], clock: Clock, *, answers: bool
) -> tuple[Outcomes, ...]:
    """Lets one version predict rows of a request, in one call; if it fails, each client's rows are tried alone.

    So nobody's request fails because of what somebody else sent at the same moment.

    Args:
        version: Predicts.
        role: The one it has in this.
        request: Holds the rows.
        rows: Positions in it, ascending, at least one.
        clock: Tells how long it takes.
        answers: Whether what it gives is for the user.
    """
    outcomes = _predict(version, role, request, rows, clock, answers=answers)
    if outcomes.error in (None, TimedOut.__name__) or len(request.spans) == 1:
        return (outcomes,)
    parts = [part for span in request.spans if (part := [row for row in rows if row in span])]
    if len(parts) == 1:
        return (outcomes,)
    return tuple(_predict(version, role, request, part, clock, answers=answers) for part in parts)


def _predict(
    version: LoadedVersion, role: Role, request: Request, rows: Sequence[int], clock: Clock, *, answers: bool
) -> Outcomes:
    start_s = clock.elapsed_s()
    raws: Sequence[Said | None]
    error: str | None = None
    try:
        raws = _call(version, role, request, rows, clock)
    except Exception as failure:  # a model may raise anything; the user's answer then comes from another version
        if not isinstance(failure, KairosError):
            version.faults.tell(f"{version.ref} failed on a request", failure, at_s=start_s)
        raws, error = [None] * len(rows), type(failure).__name__
    latency_us = round((clock.elapsed_s() - start_s) * 1e6)
    return Outcomes.of(version, role, rows, raws, error=error, latency_us=latency_us, answers=answers)


def _call(version: LoadedVersion, role: Role, request: Request, rows: Sequence[int], clock: Clock) -> Sequence[Said]:
    """What the version gives. If it may hang and another one can answer, it is given up after its timeout."""
    columns, timeout = _columns(version, request, rows), version.policy.timeout
    is_alone = role == "champion" and request.route.previous is None
    if timeout is None or is_alone or version.is_bounded or isinstance(clock, ReplayClock):
        return version.predict(columns, len(rows))
    within_s = timeout.total_seconds()
    return version.cutoff.call(
        lambda: version.predict(columns, len(rows)), within_s=within_s, name=f"kairos-{version.ref}"
    )


def _columns(version: LoadedVersion, request: Request, rows: Sequence[int]) -> Mapping[str, np.ndarray[Any, Any]]:
    if version is request.route.champion or version.signature == request.route.champion.signature:
        if len(rows) == len(request.ids):
            return request.columns
        chosen = np.array(rows, dtype=np.intp)
        return {name: values[chosen] for name, values in request.columns.items()}
    known = set(version.signature.names)
    told = told_rows(request.columns, request.route.champion.signature)
    return version.signature.parse_rows([{k: v for k, v in told[i].items() if k in known} for i in rows])
