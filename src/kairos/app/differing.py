"""What differs between two runs, and whether their metrics differ by more than chance makes them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.errors import KairosError, NotFound
from kairos.experiments.baselines import is_baseline_metric
from kairos.experiments.compare import RunDifference, compare
from kairos.experiments.finding import find_run
from kairos.experiments.ports import RunRecord, SeedRecord
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

    def seeds(self, model: ModelSettings) -> tuple[SeedRecord, ...]:
        """What each seed gave; empty for a run with one, and for a version of this model that is not the run's own."""
        is_own = self.package(model) == (self.body.get("models") or {}).get(model.step)
        return self.record.seeds.get(model.name, ()) if is_own else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One metric of both, on the same rows."""

    metric: str
    over: Literal["rows", "seeds"]
    """What the interval speaks of: other rows with these two packages, or other seeds on these rows."""
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
    """Rows, or seeds."""
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
    over: Literal["rows", "seeds"]
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
            yield NotJudged(model=model.name, over="rows", reason=f"{lacks} made no package of it")
        return
    yield from _reasoned(model, "rows", _over_rows, project, model, before, after, on)
    if before.seeds(model) or after.seeds(model):
        yield from _reasoned(model, "seeds", _over_seeds, model, before, after)


def _reasoned(model: ModelSettings, over: Literal["rows", "seeds"], judge: Any, *given: Any) -> list[Any]:
    """What a judge says, or why it cannot: whatever an estimator, a table or the store raises."""
    try:
        return list(judge(*given))
    except KairosError as error:
        reason = error.what if error.given is None else f"{error.what.rstrip('.')}: {error.given}"
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    return [NotJudged(model=model.name, over=over, reason=reason.rstrip("."))]


def _over_rows(
    project: Project, model: ModelSettings, before: Side, after: Side, on: Literal["first", "second"]
) -> Iterator[Judged]:
    from kairos.app.differing_rows import judge_on_rows  # loads Polars and the estimators' libraries

    yield from judge_on_rows(project, model, before, after, on)


def _over_seeds(model: ModelSettings, before: Side, after: Side) -> Iterator[Judged]:
    from kairos.stats.seeds import compare_seeds

    _check_comparable(model, before, after)
    one, two = ({each.seed: each.metrics for each in side.seeds(model)} for side in (before, after))
    is_one = len({each.holdout for side in (before, after) for each in side.seeds(model)}) == 1
    alpha, asked = model.gate.alpha, 0
    names = set.intersection(*(set(told) for told in [*one.values(), *two.values()]))
    if not names:
        raise NotFound("there is no metric that every seed has")
    for metric in sorted(names):
        a, b = ({seed: told[metric] for seed, told in side.items()} for side in (one, two))
        if is_baseline_metric(metric) or len(set(a.values())) == len(set(b.values())) == 1:
            continue  # no seed changes it
        asked += 1
        found = compare_seeds(a, b, alpha=alpha)
        yield Judged(
            metric=metric,
            over="seeds",
            before=found.before,
            after=found.after,
            difference=found.difference,
            lower=found.lower,
            upper=found.upper,
            level=1 - alpha,
            better="lower",  # metrics of runs are losses
            n=found.seeds,
            on=f"{model.holdout}, as it is" if is_one else f"{model.holdout} of each seed",
            method="paired t" if found.is_paired else "Welch",
        )
    if not asked:
        raise NotFound("no seed changes a metric of either, so only rows can tell")


def _check_comparable(model: ModelSettings, before: Side, after: Side) -> None:
    """Refuses seeds that were not measured on the same rows.

    Raises:
        NotFound: a run has one seed, or the rows are others.
    """
    for side in (before, after):
        if len(side.seeds(model)) < 2:
            raise NotFound(f"{side.name} has one seed; type: kairos run --seeds 5")
    one, two = ({each.seed: each.holdout for each in side.seeds(model)} for side in (before, after))
    shared = one.keys() & two.keys()
    if len(shared) >= 2:  # a seed may decide which rows are held out: the same in both then
        is_same = all(one[seed] == two[seed] for seed in shared)
    else:
        is_same = len({*one.values(), *two.values()}) == 1
    if not is_same:
        raise NotFound("their seeds were measured on different rows")
