"""Finding one run by its id, or by the beginning of it, without reading the others."""

from __future__ import annotations

from kairos.errors import NotFound, UsageError, did_you_mean
from kairos.experiments.index import RunIndex
from kairos.experiments.ports import RunRecord
from kairos.experiments.runs import run_called

__all__ = ["find_run"]

_NEAR = 1000
"""Runs, the last ones, among which the nearest id is looked for."""


def find_run(index: RunIndex, name: str) -> RunRecord:
    """The run with this id, or the only one whose id begins so.

    Raises:
        NotFound: no run is called so; the nearest id is suggested.
        UsageError: several ids begin so.
    """
    exact = run_called(index.ledger, name)
    if exact is not None:
        return exact
    found = index.begins_with(name) if name else []
    if len(found) > 1:
        raise UsageError(f"Several runs begin with {name!r}.", accepted=", ".join(found), hint="Type one more digit.")
    only = run_called(index.ledger, found[0]) if found else None
    if only is None:
        known = index.last_ids(_NEAR)
        raise NotFound(
            f"There is no run {name!r}.",
            accepted=", ".join(reversed(known[:5])) or None,
            hint=did_you_mean(name, known) or "Type: kairos runs",
        )
    return only
