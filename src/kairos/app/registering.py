"""A run that ended becomes a fact: its models are measured, and those that came out new are registered with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from kairos.app.noting import Notes
from kairos.app.project import Project
from kairos.app.retrying import decide_again
from kairos.app.settings import ModelSettings
from kairos.ledger import Fact
from kairos.pipeline.result import RunResult
from kairos.values import Digest, Json, VersionRef

if TYPE_CHECKING:
    from kairos.app.measuring import Measured

__all__ = ["Made", "made_of", "measured_or_told", "recorded"]

Made = Sequence[tuple[ModelSettings, Digest]]
"""Models with the packages that a run made of them."""
Versions = tuple[VersionRef, ...]


def made_of(project: Project, result: RunResult) -> list[tuple[ModelSettings, Digest]]:
    """The models of a run that can be measured."""
    outputs = {output.name for step in result.steps for output in step.outputs}  # a failed run may lack a holdout
    return [
        (model, result.models[model.step])
        for model in project.settings.models.values()
        if model.step in result.models and model.holdout in outputs
    ]


def measured_or_told(
    project: Project, result: RunResult, body: Mapping[str, Json], made: Made, notes: Notes
) -> dict[str, Measured]:
    """By model, what it is worth on the rows held out. If that cannot be found out the run is a fact all the same.

    Raises:
        KairosError: a model could not be measured.
    """
    found: dict[str, Measured] = {}
    try:
        if made:
            from kairos.app.measuring import measured_of  # loads Polars and scikit-learn, which steps may do without
        for model, package in made:
            found[model.name] = measured_of(project, model, package, body)
    except BaseException:  # the run is a fact, whatever came of measuring
        told = {name: value for each in found.values() for name, value in each.metrics.items()}
        project.tell(_kind(result), subject=result.id, body={**notes.put_in(body, result), "metrics": told})
        raise
    return found


def recorded(
    project: Project, result: RunResult, body: Mapping[str, Json], made: Made, told: Mapping[str, Json], notes: Notes
) -> tuple[Versions, Versions]:
    """Makes a run a fact, with the versions that it registers.

    Args:
        project: Whose.
        result: Of the run.
        body: Of its fact, without notes.
        made: Its models.
        told: What is said of each version.
        notes: Of the run.

    Returns:
        The new versions; and those that have these very bytes already, for which nothing new is registered.
    """
    fact = Fact(kind=_kind(result), subject=result.id, body=notes.put_in(body, result))
    packages = {model.name: package for model, package in made}
    return decide_again(partial(_tell, project, fact, packages, told))


def _kind(result: RunResult) -> str:
    return "run.finished" if result.ok else "run.failed"


def _tell(
    project: Project, run: Fact, packages: Mapping[str, Digest], told: Mapping[str, Json]
) -> tuple[Versions, Versions]:
    """Writes the run down, and with it each package as the next version of its model: all of it, or nothing."""
    if not packages:
        project.tell_all([run])
        return (), ()
    state = project.state()
    facts, versions, unchanged = [run], [], []
    for model, package in packages.items():
        known = state.models[model].versions if model in state.models else {}
        same = [version.ref for version in known.values() if version.package == package]
        if same:
            unchanged.append(same[-1])
            continue
        ref = VersionRef(model, max(known, default=0) + 1)
        body = {"package": package, "run": run.subject, **told}
        facts.append(Fact(kind="version.registered", subject=str(ref), body=body))
        versions.append(ref)
    project.tell_all(facts, expect=state.seq)
    return tuple(versions), tuple(unchanged)
