"""What differs between two runs, and whether their metrics differ by more than chance makes them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.errors import KairosError
from kairos.experiments.compare import RunDifference, compare
from kairos.experiments.finding import find_run
from kairos.experiments.ports import RunRecord
from kairos.experiments.runs import RUN_KINDS
from kairos.values import Digest, Json, VersionRef, unplain

__all__ = ["Differing", "Judged", "NotJudged", "Side", "differ"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two runs."""

    name: str
    """As it was typed."""
    record: RunRecord
    body: Json
    """Of its fact."""
    version: tuple[str, Digest] | None = None
    """Model and package, where a version was named: of a recalibrated one it is not the run's."""

    def package(self, model: ModelSettings) -> Digest | None:
        """What it made of a model; ``None``: nothing."""
        if self.version is not None and self.version[0] == model.name:
            return self.version[1]
        found = (self.body.get("models") or {}).get(model.step)
        return None if found is None else Digest(found)

    def holdout(self, model: ModelSettings) -> Digest | None:
        """The table that it held out for a model."""
        return self.record.outputs.get(model.holdout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One metric of both, on the same rows."""

    metric: str
    before: float
    after: float
    difference: float
    """``after - before``, in the metric's unit."""
    lower: float
    """The true difference is between these two with chance ``level``."""
    upper: float
    level: float
    better: Literal["lower", "higher"]
    n: int
    """Rows."""
    on: str
    """Which rows, in words."""
    method: str
    """How the bounds were made, and what rows depend on each other by."""

    @property
    def verdict(self) -> Literal["better", "worse", "no difference", "unknown"]:
        """Of what came after: ``no difference`` that chance would not make; ``unknown``: too little to tell."""
        if not math.isfinite(self.lower + self.upper):
            return "unknown"
        if self.lower <= 0 <= self.upper:
            return "no difference"
        return "better" if (self.difference < 0) == (self.better == "lower") else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotJudged:
    """A model whose metrics could not be compared, and why."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """Two runs side by side."""

    difference: RunDifference
    judged: tuple[Judged, ...] = ()
    not_judged: tuple[NotJudged, ...] = ()


def differ(project: Project, first: str, second: str, *, on: Literal["first", "second"] = "second") -> Differing:
    """Compares two runs, or versions (``MODEL@N``): what they were made of, and what came of it.

    Args:
        project: Whose.
        first: A run's id, the beginning of it, or a version.
        second: Another.
        on: Whose holdout both packages are asked about.

    Raises:
        NotFound: there is no such run or version.
        UsageError: several runs begin so.
    """
    before, after = _side(project, first), _side(project, second)
    judged: list[Judged] = []
    not_judged: list[NotJudged] = []
    if before.body.get("models") and after.body.get("models"):
        for model in project.settings.models.values():
            for found in _of_model(project, model, before, after, on):
                judged.append(found) if isinstance(found, Judged) else not_judged.append(found)
    difference = compare(before.record, after.record)
    return Differing(difference=difference, judged=tuple(judged), not_judged=tuple(not_judged))


def _side(project: Project, name: str) -> Side:
    run, version = name, None
    if "@" in name:
        ref = VersionRef.parse(name)
        found = project.state().model(ref.model).version(ref.number)
        run, version = found.run, (ref.model, found.package)
    record = find_run(project.run_index, run)
    body = unplain(list(project.ledger.read(kinds=RUN_KINDS, subject=record.run))[-1].body)
    return Side(name=name, record=record, body=body, version=version)


def _of_model(
    project: Project, model: ModelSettings, before: Side, after: Side, on: Literal["first", "second"]
) -> Iterator[Judged | NotJudged]:
    packages = (before.package(model), after.package(model))
    if None in packages:
        if packages != (None, None):
            lacks = (before if packages[0] is None else after).name
            yield NotJudged(model=model.name, reason=f"{lacks} made no package of it")
        return
    yield from _reasoned(project, model, before, after, on)


def _reasoned(
    project: Project, model: ModelSettings, before: Side, after: Side, on: Literal["first", "second"]
) -> list[Judged | NotJudged]:
    """How metrics differ, or why that cannot be told: whatever an estimator, a table or the store raises."""
    from kairos.app.differing_rows import judge_on_rows  # loads Polars and the estimators' libraries

    try:
        return list(judge_on_rows(project, model, before, after, on))
    except KairosError as error:
        reason = error.what if error.given is None else f"{error.what.rstrip('.')}: {error.given}"
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    return [NotJudged(model=model.name, reason=reason.rstrip("."))]
