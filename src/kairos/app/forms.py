"""What the versions of a model answer with, as whoever reads the prediction log has to know it."""

from __future__ import annotations

from datetime import datetime

from kairos.app.packages import open_version
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.delivery.state import VersionState
from kairos.errors import KairosError
from kairos.monitor.forms import ONE_NUMBER, AnswerForm

__all__ = ["form_of", "live_form"]


def form_of(project: Project, model: ModelSettings, version: VersionState) -> AnswerForm:
    """What a version answers with.

    Raises:
        KairosError: its package cannot be read.
    """
    spec = open_version(project, version.package, model).spec
    return AnswerForm(outputs=spec.signature.outputs, ranks=spec.rank_within is not None)


def live_form(project: Project, model: ModelSettings, *, until: datetime | None = None) -> AnswerForm:
    """What answers users; one number where nothing does, or where the package cannot be read."""
    champion = project.state(until=until).model(model.name).champion
    try:
        return ONE_NUMBER if champion is None else form_of(project, model, champion)
    except KairosError:  # what it looked like is told all the same; that the package is gone is told elsewhere
        return ONE_NUMBER
