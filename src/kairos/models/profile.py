"""The profile: what the training data, the target and the predictions looked like, in bins that live counts add to."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kairos.errors import PackageError
from kairos.models.levels import fewest_rows
from kairos.models.losses import ReferenceLosses
from kairos.models.signature import ColumnKind
from kairos.models.summaries import LEAD, SUMMARIES, summaries
from kairos.stats.bins import CategoryBins, NumberBins
from kairos.stats.rankcorrelation import RankCorrelation, rank_correlations
from kairos.stats.sketch import QuantileSketch
from kairos.values import Json, canonical_json, plain, unplain

__all__ = [
    "MOST_PAIRS",
    "MOST_SUMMARISED",
    "NOTABLE",
    "QUANTILES",
    "STRONG",
    "ColumnProfile",
    "Profile",
    "ReferenceLosses",
]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""Quantiles that a profile keeps of each number column."""


STRONG = 0.5
"""Two inputs that are correlated by less are not told."""
NOTABLE = 0.1
"""The same of an input and the target."""
MOST_PAIRS = 40
"""Of each kind."""
MOST_SUMMARISED = 20
"""Of more columns of arrays the means alone are described, but for those that the model relies on most."""
_NUMBERS = ("number", "integer", "boolean")
_GOAL = "\0"
"""Stands for the target beside the inputs, none of which has such a name."""

_LEVEL_BYTES = 600
"""Of the names of a column's levels in the file, about: fifty of ten letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column's distribution in training."""

    kind: ColumnKind
    edges: tuple[float, ...] = ()
    """Of ``NumberBins``; empty for categories, and for a number column that was missing in every row."""
    levels: tuple[str, ...] = ()
    """Of ``CategoryBins``, most frequent first; none that few rows share; empty for text, of which no value is kept."""
    counts: tuple[int, ...]
    """Rows per cell of ``bins``."""
    missing: int
    mean: float | None = None
    """Of the finite values; ``None`` for categories."""
    sd: float | None = None
    """Sample standard deviation (n - 1); ``None`` for categories and for fewer than two values."""
    quantiles: tuple[float, ...] = ()
    """At ``QUANTILES``; empty for categories."""
    sketch: QuantileSketch | None = None
    """Of the finite values; ``None`` for categories, and in profiles of before there were any."""
    summaries: dict[str, ColumnProfile] = field(default_factory=dict)
    """Of arrays, whose means all the above describes: the bins of their other summaries, each a number."""
    shape: tuple[int, ...] = ()
    """Of arrays that differ in length."""

    @property
    def bins(self) -> NumberBins | CategoryBins:
        """The fixed bins that live values are counted in."""
        return NumberBins(edges=self.edges) if self.edges else CategoryBins(levels=self.levels)

    @classmethod
    def fit(cls, kind: ColumnKind, values: np.ndarray[Any, Any], shape: tuple[int, ...] = ()) -> ColumnProfile:
        """Describes one column.

        Args:
            kind: Of the column.
            values: Shape (n,); NaN or ``None`` where missing. Of arrays (n, *shape), or objects: their means are
                described.
            shape: Of arrays that differ in length.
        """
        if kind == "array":
            return cls._of_arrays(values, shape)
        if kind not in ("number", "integer"):
            # Text may be anybody's words: no value of it is kept; and of a category none that few rows share.
            fewest = 1 if kind == "boolean" else fewest_rows(len(values))
            levels = _short(CategoryBins.fit(values, fewest=fewest)) if kind != "text" else CategoryBins(levels=())
            return cls(
                kind=kind,
                levels=levels.levels,
                counts=tuple(levels.counts(values).tolist()),
                missing=values.tolist().count(None),
            )
        numbers = np.asarray(values, dtype=np.float64)
        finite = numbers[np.isfinite(numbers)]
        missing = int(np.isnan(numbers).sum())
        if not finite.size:
            return cls(kind=kind, counts=tuple(CategoryBins(levels=()).counts(numbers).tolist()), missing=missing)
        ordered = np.sort(numbers[~np.isnan(numbers)])  # once: all that follows is quick on values that ascend
        inner = ordered[np.searchsorted(ordered, -np.inf, "right") : np.searchsorted(ordered, np.inf)]
        bins = NumberBins.of_sorted(inner)
        return cls(
            kind=kind,
            edges=bins.edges,
            counts=tuple(bins.counts_of_sorted(ordered, missing=missing).tolist()),
            missing=missing,
            mean=float(finite.mean()),
            sd=float(finite.std(ddof=1)) if finite.size > 1 else None,
            quantiles=tuple(np.quantile(inner, QUANTILES).tolist()),
            sketch=QuantileSketch.of_sorted(inner),
        )

    @classmethod
    def _of_arrays(cls, values: np.ndarray[Any, Any], shape: tuple[int, ...]) -> ColumnProfile:
        each = summaries(values, shape)
        fitted = {name: cls.fit("number", each[name]) for name in SUMMARIES if name in each}
        others = {
            name: cls(kind="number", edges=found.edges, counts=found.counts, missing=found.missing)
            for name, found in fitted.items()
        }
        return replace(cls.fit("number", each[LEAD]), kind="array", summaries=others, shape=shape)

    def told(self) -> Json:
        """The column as a package has it: without what only arrays have, if it is none."""
        found: dict[str, Json] = plain(self)
        if not self.summaries:
            del found["summaries"]  # so that equal trainings give the bytes that they gave before
        else:
            found["summaries"] = {
                name: {"edges": list(each.edges), "counts": list(each.counts), "missing": each.missing}
                for name, each in self.summaries.items()
            }
        if not self.shape:
            del found["shape"]
        return found

    @classmethod
    def from_plain(cls, value: Json) -> ColumnProfile:
        """Reads what ``told`` gave."""
        tuples = {name: tuple(value.get(name, ())) for name in ("edges", "levels", "counts", "quantiles", "shape")}
        sketch = value.get("sketch")  # older profiles have none
        others = {
            name: cls(kind="number", edges=tuple(item["edges"]), counts=tuple(item["counts"]), missing=item["missing"])
            for name, item in value.get("summaries", {}).items()
        }
        read = {"sketch": None if sketch is None else QuantileSketch.from_plain(sketch), "summaries": others}
        return cls(**{**value, **tuples, **read})


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a version was trained on, and what it answered."""

    rows: int
    """Rows of training."""
    columns: dict[str, ColumnProfile]
    """One for each input of the model; the signature has the order."""
    prediction: ColumnProfile
    """Predictions on the holdout if there was one, else on the training rows (then sharper than live ones)."""
    prediction_on: str
    """``"holdout"`` or ``"train"``."""
    target: ColumnProfile
    """The target in training."""
    importances: dict[str, float] = field(default_factory=dict)
    """How much the model relies on each input, as shares of 1; empty if nobody has looked."""
    outputs: dict[str, ColumnProfile] = field(default_factory=dict)
    """Of several outputs those that ``prediction``, their lead, does not show: other targets, other quantiles."""
    correlations: tuple[RankCorrelation, ...] = ()
    """Pairs of inputs that rise and fall together, the strongest first."""
    target_correlations: dict[str, float] = field(default_factory=dict)
    """Inputs that rise or fall with the target, the strongest first; Spearman's, in [-1, 1]."""
    losses: ReferenceLosses | None = None

    @classmethod
    def fit(
        cls,
        columns: Mapping[str, tuple[ColumnKind, np.ndarray[Any, Any]]],
        *,
        target: np.ndarray[Any, Any],
        prediction: np.ndarray[Any, Any],
        prediction_on: str,
        importances: Mapping[str, float] | None = None,
        outputs: Mapping[str, np.ndarray[Any, Any]] | None = None,
        losses: ReferenceLosses | None = None,
        shapes: Mapping[str, tuple[int, ...]] | None = None,
    ) -> Profile:
        """Describes the training columns, the target and the predictions, each of shape (n,).

        ``shapes`` are those of columns of arrays that differ in length.
        """
        numbers = {name: _plain_numbers(values) for name, (kind, values) in columns.items() if kind in _NUMBERS}
        with_target = rank_correlations({**numbers, _GOAL: target}, at_least=NOTABLE, most=MOST_PAIRS, with_only=_GOAL)
        described = {
            name: ColumnProfile.fit(kind, values, (shapes or {}).get(name, ()))
            for name, (kind, values) in columns.items()
        }
        return cls(
            rows=len(target),
            columns=_with_few_summaries(described, importances or {}),
            prediction=ColumnProfile.fit("number", prediction),
            prediction_on=prediction_on,
            target=ColumnProfile.fit("number", target),
            importances=dict(importances or {}),
            outputs={name: ColumnProfile.fit("number", values) for name, values in (outputs or {}).items()},
            correlations=rank_correlations(numbers, at_least=STRONG, most=MOST_PAIRS),
            target_correlations={each.one: each.r for each in with_target},
            losses=losses,
        )

    def told(self) -> Json:
        """The profile as a package has it: without what only models of several outputs have, if it is none."""
        found: dict[str, Json] = plain(self)
        found["columns"] = {name: column.told() for name, column in self.columns.items()}
        found |= {name: getattr(self, name).told() for name in ("prediction", "target")}
        found["outputs"] = {name: column.told() for name, column in self.outputs.items()}
        if not self.outputs:
            del found["outputs"]  # so that equal trainings give the bytes that they gave before
        if self.losses is not None and not self.losses.slices:
            del found["losses"]["slices"]  # the same
        return found

    @classmethod
    def from_plain(cls, value: Json) -> Profile:
        """Reads what ``plain`` wrote.

        Raises:
            PackageError: the value is not a profile of this format.
        """
        try:
            value = unplain(value)
            losses = value.get("losses")
            return cls(
                rows=value["rows"],
                columns={name: ColumnProfile.from_plain(item) for name, item in value["columns"].items()},
                prediction=ColumnProfile.from_plain(value["prediction"]),
                prediction_on=value["prediction_on"],
                target=ColumnProfile.from_plain(value["target"]),
                importances=dict(value.get("importances", {})),
                outputs={name: ColumnProfile.from_plain(item) for name, item in value.get("outputs", {}).items()},
                correlations=tuple(RankCorrelation(*each) for each in value.get("correlations", ())),
                target_correlations=dict(value.get("target_correlations", {})),
                losses=None if losses is None else ReferenceLosses.from_plain(losses),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise PackageError("A model's profile cannot be read.", given=str(error)) from error


def _with_few_summaries(
    columns: dict[str, ColumnProfile], importances: Mapping[str, float]
) -> dict[str, ColumnProfile]:
    """The columns with summaries of those arrays alone that the model relies on most."""
    arrays = sorted((n for n in columns if columns[n].summaries), key=lambda n: (-importances.get(n, 0.0), n))
    left = set(arrays[MOST_SUMMARISED:])
    return {name: replace(column, summaries={}) if name in left else column for name, column in columns.items()}


def _plain_numbers(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return values if values.dtype != np.object_ else values.astype(np.float64)  # None among booleans becomes NaN


def _short(bins: CategoryBins) -> CategoryBins:
    """The most frequent levels whose names are short enough together, and the first in any case; the rest is other."""
    sizes = itertools.accumulate(len(canonical_json(name)) + 1 for name in bins.levels)
    fits = sum(size <= _LEVEL_BYTES for size in sizes)
    return CategoryBins(levels=bins.levels[: max(fits, 1)])
