"""Which window a search looks at when it is not told: the last ``history`` moves each hour, and a study must not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.training import recent_window
from kairos.app.tuning.judging import JUDGED
from kairos.app.tuning.question import BEGAN, DATA_OF, ByStep, plain_base, plain_plan
from kairos.app.tuning.trying import TRIED
from kairos.experiments.study import Plan
from kairos.pipeline.code import Reached
from kairos.values import Window, canonical_json

__all__ = ["Chosen", "choose_window"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A window, and whose it is."""

    window: Window
    study: str | None = None
    """The unfinished study that goes on with it, where it is not the one that a new study would have."""


def choose_window(
    project: Project, model: ModelSettings, plan: Plan, base: ByStep, reached: Mapping[str, Reached], wanted: int
) -> Chosen:
    """The settings' window; else that of the last study which asks the same and is not over; else the last ``history``.

    Args:
        project: Whose.
        model: Which.
        plan: What is searched, and how.
        base: Params that the whole study has other than by default.
        reached: The code of each step as it is now: a study of other code does not go on.
        wanted: Trials in all.
    """
    if project.settings.window is not None:
        return Chosen(window=project.settings.window)
    recent = recent_window(project)
    asked = {"model": model.name, "loss": model.gate.loss, **plain_plan(plan), "base": plain_base(base)}
    known = {step: hashlib.sha256(canonical_json(each.code)).hexdigest() for step, each in reached.items()}
    for entry in reversed(list(project.ledger.read(kinds=[BEGAN]))):
        body = entry.body
        if any(canonical_json(body.get(name)) != canonical_json(value) for name, value in asked.items()):
            continue
        if any(known.get(step) != code for step, code in body["rests_on"].items() if not step.startswith(DATA_OF)):
            continue  # of steps that it does not rest on the code may be what it is
        window = Window.parse(body["window"])
        if window == recent or _is_over(project, entry.subject, plan, wanted):
            break
        return Chosen(window=window, study=entry.subject)
    return Chosen(window=recent)


def _is_over(project: Project, study: str, plan: Plan, wanted: int) -> bool:
    """Whether its best trial was judged, and there are as many trials as are wanted, or as there can be."""
    if not any(True for _ in project.ledger.read(kinds=[JUDGED], subject=study)):
        return False
    facts = project.ledger.read(kinds=[TRIED])
    tried: int = sum(entry.body.get("study") == study and str(entry.body["trial"]).isdigit() for entry in facts)
    return tried >= (wanted if plan.space.count is None else min(wanted, plan.space.count))
