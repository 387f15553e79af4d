"""Whether a project's settings and its pipeline speak of the same steps, found out before hours of training."""

from __future__ import annotations

from collections.abc import Iterable

from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.errors import SettingsError, did_you_mean
from kairos.pipeline.graph import Graph

__all__ = ["check_settings"]


def check_settings(project: Project, graph: Graph) -> None:
    """Lets pass a pipeline that has what the settings name.

    Raises:
        SettingsError: a model's step or holdout, or an artifact whose data are to be checked, is not in the pipeline,
            or the two have no target that both agree on.
    """
    _check_names(project.settings.models.values(), graph)
    _check_artifacts(project.settings.data, graph)


def _check_names(models: Iterable[ModelSettings], graph: Graph) -> None:
    steps = [name for name, node in graph.nodes.items() if node.spec.kind == "model"]
    artifacts = [name for node in graph.nodes.values() if node.spec.kind != "model" for name in node.outputs]
    for model in models:
        for key, name, known in (("step", model.step, steps), ("holdout", model.holdout, artifacts)):
            if name not in known:
                raise SettingsError(
                    f"kairos.toml: model.{model.name}.{key} is not in the pipeline; nothing ran.",
                    given=name,
                    accepted=", ".join(sorted(known)) or f"a @{'model' if key == 'step' else 'step'}; there is none",
                    hint=did_you_mean(name, known),
                )
        spec = graph.node(model.step).spec
        declared, asked = spec.targets or spec.target, model.targets or model.target
        if len({asked, declared} - {None}) != 1:
            raise SettingsError(
                f"kairos.toml: model.{model.name} and its step have no target that both agree on; nothing ran.",
                given=f"{asked!r} in the settings, {declared!r} in the decorator",
                accepted="one of them, or the same twice",
            )


def _check_artifacts(asked: Iterable[str], graph: Graph) -> None:
    known = [name for node in graph.nodes.values() if node.spec.kind != "model" for name in node.outputs]
    for name in asked:
        if name not in known:
            raise SettingsError(
                f"kairos.toml: data.{name} is no artifact of the pipeline; nothing ran.",
                accepted=", ".join(known),
                hint=did_you_mean(name, known),
            )
