"""Whether a training now could bring anything that was not there before: other data, another code, another contract."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from kairos.app.facts import run_entry
from kairos.app.finishing import finisher
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.training import contracts_of, pipeline_source, run_steps
from kairos.delivery.state import ModelState, VersionState
from kairos.errors import KairosError
from kairos.models.learn import Learn
from kairos.pipeline.graph import Graph
from kairos.pipeline.project import PipelineSource, load_module
from kairos.pipeline.result import StepEvent
from kairos.values import Window

__all__ = ["contract_changed", "learns_the_same"]


class _WouldLearn(Exception):
    """The model step has something that it has not learnt from."""


def learns_the_same(
    project: Project, model: ModelSettings, state: ModelState, window: Window, learn: Mapping[str, Learn]
) -> bool:
    """Whether a training would learn from the very bytes that a version of the model learnt from, and give it again.

    The steps before the model's run, as they would for a training. Told by the fingerprint, so the code, the params and
    the libraries are the same as well. Where the data cannot be made it is not the same: the training tells why.

    Args:
        project: Whose.
        model: Its settings.
        state: Of the model.
        window: What would be looked at.
        learn: As of ``train``.
    """

    def look(event: StepEvent) -> None:
        if event.step == model.step and event.what in ("started", "waits"):
            raise _WouldLearn

    try:
        result = run_steps(
            project,
            window,
            [model.step],
            finish_model=finisher(project, learn),
            on_event=look,
            should_stop=project.stopping.is_set,
            on_checks=lambda checks: None,  # the training makes them again, and tells
        )
    except (_WouldLearn, KairosError):
        return False
    return result.models.get(model.step) in {version.package for version in state.versions.values()}


def contract_changed(project: Project, model: ModelSettings, champion: VersionState | None) -> bool:
    """Whether the pipeline declares the model's data in another form than when the champion learnt.

    A pipeline that cannot be read has not changed its contract; a champion of a time that kept none neither.
    """
    if champion is None:
        return False
    try:
        before = run_entry(project, champion.run).body.get("contracts", {}).get(model.name)
        if before is None:
            return False
        source = pipeline_source(project)
        now = contracts_of(_graph(source, source.code_digest()), [model])
    except (KairosError, OSError):
        return False
    return now[model.name] != str(before)


@lru_cache(maxsize=4)
def _graph(source: PipelineSource, code: str) -> Graph:
    """The graph of a pipeline; its file is run once for each state of the code."""
    return Graph.from_module(load_module(source, keep=False))
