"""Which labels of a model can be true: as its loss has it, and as its live version has learnt it."""

from __future__ import annotations

from kairos.app.packages import open_version
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.errors import KairosError
from kairos.gates.loss_names import CHANCE_LOSSES
from kairos.models.signature import Signature
from kairos.models.truths import CHANCE, AnyTruths, NamedTruths, Truths

__all__ = ["live_truths", "truths_by"]


def truths_by(model: ModelSettings | None, signature: Signature) -> AnyTruths:
    """What the labels of a version can be: 0 or 1 where chances are judged, else as the version has learnt it.

    Args:
        model: ``None``: the settings do not know it.
        signature: Of the version.
    """
    if signature.outputs:
        return NamedTruths(outputs=signature.outputs)
    return CHANCE if model is not None and model.gate.loss in CHANCE_LOSSES else signature.output.truths


def live_truths(project: Project, model: ModelSettings) -> list[AnyTruths]:
    """What labels can be, by each version that answers or is on trial.

    Before anything is live, and where a package cannot be read, by the loss that the model is judged by.
    """
    by_loss: list[AnyTruths] = [CHANCE if model.gate.loss in CHANCE_LOSSES else Truths()]
    route = next((route for route in project.state().routes() if route.model == model.name), None)
    if route is None:
        return by_loss
    answering = [live for live in (route.champion, route.challenger, route.previous) if live is not None]
    try:
        opened = [open_version(project, live.package, model) for live in answering]
    except KairosError:  # a label is not lost because a package is: that is told elsewhere
        return by_loss
    return [truths_by(model, package.spec.signature) for package in opened] or by_loss
