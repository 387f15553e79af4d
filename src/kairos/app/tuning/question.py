"""What a study asks: which model, which params, on which rows. Its name follows from that and from the code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from kairos.app.settings import ModelSettings
from kairos.experiments.space import Params
from kairos.experiments.study import Plan
from kairos.pipeline.graph import Graph
from kairos.pipeline.typed import typed
from kairos.values import Json, Window, canonical_json

__all__ = ["BEGAN", "DATA_OF", "ByStep", "Inner", "Question", "Rows", "by_step", "merged", "plain_base", "plain_plan"]

BEGAN = "study.began"
"""The kind of the fact that a study is there."""
DATA_OF = "data of "
"""Before the names of sources, in what a study rests on."""

ByStep = Mapping[str, Mapping[str, Any]]
"""Values of params by step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows that models are judged on, as far as judging goes: what was true of them, and when they were."""

    digest: str
    count: int
    first: datetime | None = None
    """Time of the earliest; ``None``: they have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """The rows that a search may see, and those of them that trials are judged on."""

    how: Literal["window", "rows"]
    """``window``: the pipeline runs on an earlier window and splits it by itself; ``rows``: what the pipeline gives to
    learn from is split once more."""
    window: Window
    rows: Rows
    """That trials are judged on."""
    cut: datetime | None = None
    """Of a ``window``: no row at this time or later is seen."""
    order: Literal["time", "entity", "chance"] = "time"
    """Of ``rows``: what decides which are held out: the latest, some entities, or any."""
    why: str | None = None
    """Why it is not an earlier window."""

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        return {
            "how": self.how,
            "window": str(self.window),
            "rows": self.rows.digest,
            "count": self.rows.count,
            **({"why": self.why} if self.why else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One study."""

    model: ModelSettings
    graph: Graph
    plan: Plan
    base: ByStep
    """Params that the whole study has other than by default."""
    window: Window
    """Of the runs that are compared at the end."""
    inner: Inner
    final: Rows
    """That no trial sees."""
    rests_on: Mapping[str, str]
    """Step to the digest of its code, and sources to that of their data."""

    @property
    def id(self) -> str:
        """Its name: the same as long as space, code, data and the way of searching are."""
        return "s" + hashlib.sha256(canonical_json(self.plain())).hexdigest()[:10]

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        return {
            "model": self.model.name,
            "loss": self.model.gate.loss,
            **plain_plan(self.plan),
            "base": plain_base(self.base),
            "window": str(self.window),
            "inner": self.inner.plain(),
            "final": {"rows": self.final.digest, "count": self.final.count},
            "rests_on": dict(self.rests_on),
        }

    def params(self, searched: Params) -> dict[str, dict[str, Any]]:
        """All params that a run of the study is given."""
        return merged(self.base, by_step(searched))


def plain_plan(plan: Plan) -> dict[str, Json]:
    """What is searched, how, and from where: a part of a study's fact."""
    return {**plan.plain(), "current": {name: typed(value) for name, value in plan.current.items()}}


def plain_base(base: ByStep) -> dict[str, Json]:
    """Params that a whole study has other than by default, as its fact has them."""
    return {f"{step}.{name}": typed(value) for step, each in base.items() for name, value in each.items()}


def by_step(params: Params) -> dict[str, dict[str, Any]]:
    """``STEP.PARAM`` apart.

    >>> by_step({"fit.depth": 3, "fit.rate": 0.1})
    {'fit': {'depth': 3, 'rate': 0.1}}
    """
    found: dict[str, dict[str, Any]] = {}
    for name, value in params.items():
        step, _, param = name.partition(".")
        found.setdefault(step, {})[param] = value
    return found


def merged(first: ByStep, second: ByStep) -> dict[str, dict[str, Any]]:
    """Both; where they differ the second counts."""
    return {step: {**first.get(step, {}), **second.get(step, {})} for step in {**first, **second}}
