"""The compiled form on the rows that a run held out: whether it answers there as the estimator does.

A model step that takes its training table alone proves that form on training rows, as it never sees those held out.
They are compared when the run measures its models, and its fact keeps what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from kairos.app.facts import run_entry
from kairos.app.project import Project
from kairos.delivery.versions import VersionState
from kairos.errors import KairosError, PackageError
from kairos.models.package import Package
from kairos.models.score import score_columns
from kairos.values import Json

__all__ = ["HeldOut", "compare_forms", "form_told"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """The compiled form and the estimator, on all rows held out."""

    rows: int
    difference: float
    """The largest of an answer, in the answer's unit."""
    worst_row: int
    """Where it is, 0-based."""
    tolerance: float
    """As in the proof on training rows; in proportion more where answers are larger here."""

    @property
    def sentence(self) -> str:
        """What came of it, for a person."""
        if self.difference == 0.0:
            return f"equal to the last bit on the {self.rows:,} rows held out"
        return (
            f"on the {self.rows:,} rows held out the largest difference is {self.difference:.2g} (row "
            f"{self.worst_row}), {self.tolerance:.2g} is tolerated"
        )


def compare_forms(package: Package, rows: pl.DataFrame) -> HeldOut | None:
    """Compares both forms on all rows; ``None`` if only one can answer here, or they were compared on them before.

    Raises:
        PackageError: they do not answer alike.
    """
    proof = package.compilation.proof
    if proof is None or proof.rows_from == "holdout" or package.answering != "compiled" or not len(rows):
        return None
    columns = score_columns(package, rows)
    expected, answers = package.native_runner().predict(columns), package.compiled_runner().predict(columns)
    same = (expected == answers) | (np.isnan(expected) & np.isnan(answers))
    gaps = np.where(same, 0.0, np.abs(answers - expected)).reshape(len(rows), -1).max(axis=1)
    worst = int(np.argmax(np.where(np.isnan(gaps), np.inf, gaps)))
    scale = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
    found = HeldOut(
        rows=len(rows),
        difference=float(gaps[worst]),
        worst_row=worst,
        tolerance=proof.tolerance * max(1.0, scale / (_largest(package) or np.inf)),
    )
    if not found.difference <= found.tolerance:  # NaN is no small difference
        given = f"{found.difference:g} at row {worst} of {len(rows)}"
        accepted = f"at most {found.tolerance:.2g}"
        what = "The compiled form does not answer the rows held out as the estimator does."
        raise PackageError(what, given=given, accepted=accepted)
    return found


def form_told(project: Project, version: VersionState, package: Package) -> str:
    """Which form of a version answers, and on which rows that is proven, for a person."""
    if package.answering != "compiled" or version.base is not None:  # a version put right is not what its run made
        return package.form
    try:
        told: Mapping[str, Json] = run_entry(project, version.run).body.get("forms", {}).get(version.ref.model)
    except KairosError:  # a version without a run of this ledger
        return package.form
    return package.form if not told else f"{package.form}; {HeldOut(**told).sentence}"


def _largest(package: Package) -> float:
    """The largest answer of the profile, either way."""
    profiles = [package.profile.prediction, *package.profile.outputs.values()]
    return max((abs(edge) for each in profiles for edge in each.edges), default=0.0)
