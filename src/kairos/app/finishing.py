"""Packages as a project's settings say, made by what is loaded when the first model needs it.

A pipeline without models, or one of which nothing ran, so does without scikit-learn and what comes with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.pipeline.ports import FinishRequest, ModelFinisher
from kairos.values import Json

if TYPE_CHECKING:
    from kairos.models.finish import ModelOptions
    from kairos.models.learn import Learn

__all__ = ["finisher", "model_options"]


@dataclass(frozen=True)
class _Later:
    """A finisher that is made when it is first asked; keeps what ``ModelFinisher`` promises."""

    models: Mapping[str, ModelSettings]
    label_delay: timedelta
    learn: Mapping[str, Learn] = field(default_factory=dict)

    def __call__(self, request: FinishRequest) -> Path:
        """Makes the package."""
        return self._made(request)

    def also(self, step: str) -> Sequence[str]:
        """What is needed beside."""
        return self._made.also(step)

    def prepare(
        self, step: str, target: str | None, inputs: Mapping[str, Any], also: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """What the step is called with."""
        return self._made.prepare(step, target, inputs, also)

    def facts(self, step: str) -> Json:
        """What the package depends on."""
        return self._made.facts(step)

    @property
    def _made(self) -> ModelFinisher:
        from kairos.models.finish import FinishModel

        options = {name: model_options(model, self.label_delay) for name, model in self.models.items()}
        made: ModelFinisher = FinishModel(settings=options, learn=self.learn)
        return made


def finisher(project: Project, learn: Mapping[str, Learn] | None = None) -> ModelFinisher:
    """Makes packages as the settings say.

    Args:
        project: Whose settings.
        learn: By model, how its training table is changed.
    """
    return _Later(dict(project.settings.models), project.settings.label_delay, dict(learn or {}))


def model_options(model: ModelSettings, label_delay: timedelta = timedelta(0)) -> ModelOptions:
    """What finishing a model needs of its settings.

    Args:
        model: Its settings.
        label_delay: How late a truth is known; it matters to a baseline of the past only.
    """
    from kairos.models.finish import ModelOptions

    return ModelOptions(
        step=model.step,
        target=model.target,
        targets=model.targets,
        time=model.time,
        entity=model.entity,
        rank_within=model.rank_within,
        item=model.item,
        slices=model.gate.slices,
        loss=model.gate.loss,
        drop=model.drop,
        lower=model.output.lower,
        upper=model.output.upper,
        allow_pickle=bool(model.allow_pickle),
        baselines=model.baselines,
        label_delay_s=label_delay.total_seconds()
        if model.time is not None and "last_value" in model.baselines
        else 0.0,
    )
