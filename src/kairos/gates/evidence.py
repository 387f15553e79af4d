"""What a gate's verdict is made from: numbers only, small enough for the ledger, complete enough to decide again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kairos.errors import SettingsError, ShapeMismatch, UsageError
from kairos.gates.policy import GatePolicy
from kairos.stats.paired import PairedMean, paired_mean, paired_zero_one
from kairos.values import Json, plain, unplain

__all__ = ["Baseline", "GateEvidence", "measure"]

Baseline = Literal["champion", "simple baseline"]

_MOST_LEVELS = 50
"""A slice column with more levels is a number or a name, not a part of the world; and the ledger would swell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateEvidence:
    """A version and what it is compared with, on the same rows."""

    baseline: Baseline
    """What the version is compared with."""
    overall: PairedMean
    """Rows, both mean losses and their difference; ``champion`` in it is the baseline, whichever it is."""
    slices: Mapping[str, PairedMean] = field(default_factory=dict)
    """The same on part of the rows, by ``COLUMN=LEVEL``."""
    rows_digest: str
    """Name of the table that the rows are from."""
    oldest: str | None = None
    """Moment of the first row; ``None`` if rows have no moments."""
    freshest: str | None = None
    """Moment of the last row."""
    unusable: str | None = None
    """Why the version cannot be used whatever it is compared with, or ``None``."""
    incomparable: str | None = None
    """Why the losses of what it is compared with say nothing, or ``None``."""

    def plain(self) -> Json:
        """The evidence as JSON holds it."""
        return plain(self)

    @classmethod
    def from_plain(cls, value: Json) -> GateEvidence:
        """Undoes ``plain``."""
        fields = unplain(value)
        slices = {name: PairedMean(**one) for name, one in fields["slices"].items()}
        return cls(**{**fields, "overall": PairedMean(**fields["overall"]), "slices": slices})


def measure(
    baseline_loss: NDArray[np.float64],
    challenger_loss: NDArray[np.float64],
    *,
    policy: GatePolicy,
    rows_digest: str,
    baseline: Baseline = "champion",
    times: NDArray[Any] | None = None,
    entities: NDArray[Any] | None = None,
    slices: Mapping[str, Sequence[object] | NDArray[Any]] | None = None,
) -> GateEvidence:
    """Compares losses row by row.

    With times, neighbours in time are taken as dependent and rows of one moment as one block; with entities, rows of
    one entity are one block; with both, the more cautious of the two is kept.

    Args:
        baseline_loss: Loss per row of what is compared with, shape (n,).
        challenger_loss: Loss per row of the version, shape (n,).
        policy: Whose ``loss``, ``alpha`` and ``slices``.
        rows_digest: Name of the table that the rows are from.
        baseline: What is compared with.
        times: Moment of each row, in any order, shape (n,).
        entities: Whom each row is about, shape (n,).
        slices: Level of each row, shape (n,), for each column that the policy names.

    Raises:
        ShapeMismatch: the arrays are not of one length.
        UsageError: a column that the policy names is missing.
        SettingsError: a column that the policy names has more than 50 levels.
    """
    n = len(baseline_loss)
    columns = {name: _levels(name, slices or {}) for name in policy.slices}
    for array in (challenger_loss, times, entities, *columns.values()):
        if array is not None and len(array) != n:
            raise ShapeMismatch("A gate's rows are not of one length.", given=f"{n} and {len(array)}")
    oldest, freshest = _span(times)
    bad, bad_baseline = (int((~np.isfinite(losses)).sum()) for losses in (challenger_loss, baseline_loss))
    if bad or bad_baseline:
        return GateEvidence(
            baseline=baseline,
            overall=paired_mean([], [], alpha=policy.alpha),
            rows_digest=rows_digest,
            oldest=oldest,
            freshest=freshest,
            unusable=f"{bad} of {n} of its losses are not numbers" if bad else None,
            incomparable=f"{bad_baseline} of {n} of the {baseline}'s losses are not numbers" if bad_baseline else None,
        )

    def compare(chosen: NDArray[np.bool_]) -> PairedMean:
        return _compare(
            baseline_loss[chosen],
            challenger_loss[chosen],
            policy,
            None if times is None else times[chosen],
            None if entities is None else entities[chosen],
        )

    return GateEvidence(
        baseline=baseline,
        overall=compare(np.ones(n, dtype=np.bool_)),
        slices={
            f"{name}={level}": compare(levels == level)
            for name, levels in columns.items()
            for level in np.unique(levels).tolist()
        },
        rows_digest=rows_digest,
        oldest=oldest,
        freshest=freshest,
    )


def _compare(
    baseline: NDArray[np.float64],
    challenger: NDArray[np.float64],
    policy: GatePolicy,
    times: NDArray[Any] | None,
    entities: NDArray[Any] | None,
) -> PairedMean:
    if times is None and entities is None:
        compare = paired_zero_one if policy.loss == "zero_one" else paired_mean
        return compare(baseline, challenger, alpha=policy.alpha)
    found = []
    if times is not None:
        order = np.argsort(times, kind="stable")
        moments = times[order]
        blocks = moments if (moments[1:] == moments[:-1]).any() else None
        found.append(paired_mean(baseline[order], challenger[order], alpha=policy.alpha, blocks=blocks, ordered=True))
    if entities is not None:
        found.append(paired_mean(baseline, challenger, alpha=policy.alpha, blocks=_texts(entities)))
    return max(found, key=lambda one: one.upper - one.lower if one.n else 0.0)


def _levels(name: str, slices: Mapping[str, Sequence[object] | NDArray[Any]]) -> NDArray[np.str_]:
    if name not in slices:
        raise UsageError(
            f"The gate's rows have no levels of the slice {name!r}.", given=", ".join(slices) or "no slices"
        )
    levels = _texts(slices[name])
    count = len(np.unique(levels))
    if count > _MOST_LEVELS:
        raise SettingsError(
            f"The column {name!r} cannot be a slice.",
            given=f"{count} levels",
            accepted=f"at most {_MOST_LEVELS}",
            hint="Name a column of few levels, or make one in the pipeline.",
        )
    return levels


def _texts(values: Sequence[object] | NDArray[Any]) -> NDArray[np.str_]:
    """Names as text, so that numbers, text and missing ones sort together."""
    return np.asarray([str(value) for value in values], dtype=np.str_)


def _span(times: NDArray[Any] | None) -> tuple[str | None, str | None]:
    """The first and the last moment, as text."""
    if times is None or len(times) == 0:
        return None, None
    return _moment(times.min()), _moment(times.max())


def _moment(time: object) -> str:
    return str(np.datetime_as_string(time, unit="s", timezone="UTC") if isinstance(time, np.datetime64) else time)
