"""What a gate's verdict is made from: numbers only, small enough for the ledger, complete enough to decide again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kairos.errors import UsageError
from kairos.stats.comparison import Comparison
from kairos.stats.groups import GroupDifference
from kairos.stats.reliability import Calibration, ReliabilityBin
from kairos.values import Json, plain, unplain

__all__ = [
    "FORMAT",
    "Baseline",
    "CheckResult",
    "FoundSlice",
    "GateEvidence",
    "GroupFound",
    "PackageCost",
    "Search",
]

FORMAT = 2
"""Version of the evidence in the ledger; ``format1`` reads what was written before there was a number."""

Baseline = Literal["champion", "simple baseline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSlice:
    """A part of the rows, found by searching, where the challenger seems worse by more than the margin."""

    name: str
    p: float
    """Of all that was searched together (Benjamini and Hochberg)."""
    comparison: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What came of searching the inputs for slices that got worse."""

    searched: int = 0
    """How many parts were looked at."""
    found: tuple[FoundSlice, ...] = ()
    """Those that are worse, the surest first: at most one of ten is expected to be so by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFound:
    """How a group fares beside the largest group of its column."""

    column: str
    level: str
    reference: str
    """The level it is compared with."""
    measure: str
    """One of ``kairos.gates.policy.GROUP_MEASURES``."""
    challenger: GroupDifference
    """Its bounds hold together with those of all levels and measures of the column."""
    champion: float | None = None
    """The champion's difference, as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One of the project's own checks of how a version behaves."""

    name: str
    state: Literal["passed", "failed", "broken"]
    """``broken``: it could not be carried out."""
    message: str = ""
    """Why it did not pass."""
    rows: tuple[int, ...] = ()
    """Some of the rows on which it failed, by their place among the fresh rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCost:
    """What a version costs where it serves."""

    size_bytes: int | None = None
    """Of the package's files."""
    one_row_ms: float | None = None
    """To predict one row: nine of ten are as quick."""
    batch_ms: float | None = None
    """To predict 64 rows at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateEvidence:
    """A version and what it is compared with, on the same rows."""

    format: int = FORMAT
    baseline: Baseline
    """What the version is compared with; in a comparison it is the ``champion``, whichever it is."""
    primary: str
    """The metric that is judged first."""
    metrics: Mapping[str, Comparison]
    """By name, on all rows."""
    simple: Comparison | None = None
    """By the primary metric against the simple baseline, where there is a champion."""
    slices: Mapping[str, Comparison] = field(default_factory=dict)
    """By the primary metric on part of the rows, by ``COLUMN=LEVEL``."""
    search: Search = Search()
    calibration: Calibration | None = None
    """Of the version's answers, where they are numbers or chances."""
    groups: tuple[GroupFound, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    cost: PackageCost | None = None
    """What of it is limited, and the size; what was measured for information only is not kept."""
    rank: int = 1
    """The how-manyeth version this is that is judged on these rows."""
    rows_digest: str
    """Name of the table that the rows are from."""
    oldest: str | None = None
    """Moment of the first row; ``None`` if rows have no moments."""
    freshest: str | None = None
    """Moment of the last row."""
    rows_per_day: float | None = None
    """How many rows with a known truth a day brings at present."""
    label_delay_days: float = 0.0
    """How late the truth is known."""
    as_of: str | None = None
    """When it was judged."""
    undeclared: str | None = None
    """A column that seems to tie rows together, although the settings name none."""
    unusable: str | None = None
    """Why the version cannot be used whatever it is compared with, or ``None``."""
    incomparable: str | None = None
    """Why it cannot be compared, or ``None``."""

    @property
    def overall(self) -> Comparison:
        """By the primary metric, on all rows."""
        return self.metrics[self.primary]

    def plain(self) -> Json:
        """The evidence as JSON holds it."""
        return plain(self)

    @classmethod
    def from_plain(cls, value: Json) -> GateEvidence:
        """Undoes ``plain``.

        Raises:
            UsageError: the evidence has another format.
        """
        fields = unplain(value)
        if fields.get("format") != FORMAT:
            raise UsageError(
                "A gate's evidence has a format that is not known.", given=fields.get("format"), accepted=str(FORMAT)
            )
        search, calibration = fields["search"], fields["calibration"]
        found = tuple(FoundSlice(**{**one, "comparison": _comparison(one["comparison"])}) for one in search["found"])
        fields |= {
            "metrics": _comparisons(fields["metrics"]),
            "slices": _comparisons(fields["slices"]),
            "simple": None if fields["simple"] is None else _comparison(fields["simple"]),
            "search": Search(searched=search["searched"], found=found),
            "groups": tuple(
                GroupFound(**{**one, "challenger": GroupDifference(**one["challenger"])}) for one in fields["groups"]
            ),
            "checks": tuple(CheckResult(**{**one, "rows": tuple(one["rows"])}) for one in fields["checks"]),
            "cost": None if fields["cost"] is None else PackageCost(**fields["cost"]),
        }
        if calibration is not None:
            bins = tuple(ReliabilityBin(**one) for one in calibration["bins"])
            fields["calibration"] = Calibration(**{**calibration, "bins": bins})
        return cls(**fields)


def _comparison(fields: Json) -> Comparison:
    return Comparison(**{**fields, "curve": tuple(fields["curve"])})


def _comparisons(value: Json) -> dict[str, Comparison]:
    return {name: _comparison(one) for name, one in value.items()}
