"""How our words look in MLflow: tags, params, times. Imports no MLflow, so it is told in one page and tried without."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kairos.experiments import RunRecord, VersionRecord
from kairos.values import canonical_json

__all__ = [
    "JUDGED_AT",
    "PARAM_LENGTH",
    "TAG_LENGTH",
    "WINNER",
    "cost_metrics",
    "milliseconds",
    "param_texts",
    "run_tags",
    "shorten",
    "version_tags",
]

PARAM_LENGTH = 6000
"""Characters that MLflow keeps of a param's value."""
TAG_LENGTH = 5000
"""Characters that MLflow keeps of a tag's value; servers before MLflow 3 kept no more."""
JUDGED_AT = "kairos.judged_at"
"""Tag of a study's run: milliseconds since 1970 of the judging that it tells of."""
WINNER = "kairos.winner"
"""Before the names of a winner's params, as tags of a study's run."""


def run_tags(record: RunRecord, *, project: str) -> dict[str, str]:
    """The tags of a run. Those that begin with ``mlflow.`` are the ones that MLflow's pages know."""
    code = record.code
    tags = {
        **record.tags,
        **{f"kairos.baselines.{model}": "; ".join(each.sentences()) for model, each in record.baselines.items()},
        "kairos.run": record.run,
        "kairos.window": record.window,
        "kairos.models": ", ".join(record.models),
        "kairos.commit": code.commit,
        "kairos.dirty": code.dirty_digest,
        "kairos.failure": record.failure,
        "kairos.outputs": canonical_json(record.outputs).decode(),
        "kairos.code": canonical_json(code.steps).decode(),
        "kairos.reused": ", ".join(step.step for step in record.steps if step.status == "reused"),
        "kairos.kept": canonical_json(record.kept).decode() if record.kept else None,
        "kairos.machine": canonical_json(record.machine).decode() if record.machine else None,
        "mlflow.user": record.actor,
        "mlflow.source.name": project,
        "mlflow.source.type": "PROJECT",
        "mlflow.source.git.commit": code.commit,
        "mlflow.source.git.branch": code.branch,
    }
    return {name: shorten(value, TAG_LENGTH) for name, value in tags.items() if value}


def cost_metrics(record: RunRecord) -> dict[str, float]:
    """What a run and its steps took, below ``kairos/``; empty for a replay, which took nothing of any machine."""
    if not record.machine:
        return {}
    told: dict[str, float] = {
        "kairos/elapsed_s": record.elapsed_s,
        "kairos/cpu_s": record.cpu_s,
        "kairos/peak_bytes": record.peak_bytes,
        "kairos/steps_ran": sum(step.status == "ran" for step in record.steps),
        "kairos/steps_reused": sum(step.status == "reused" for step in record.steps),
    }
    for step in record.steps:
        if step.tries:
            for name in ("elapsed_s", "cpu_s", "peak_bytes", "tries"):
                told[f"kairos/{step.step}/{name}"] = getattr(step, name)
    return told


def version_tags(record: VersionRecord) -> dict[str, str]:
    """The tags of a version, and of the model that is logged for it."""
    return {
        "kairos.version": str(record.ref),
        "kairos.package": record.package,
        "kairos.run": record.run,
        "kairos.registered_at": record.registered_at.isoformat(),
        "kairos.origin": record.origin,
        **({} if record.base is None else {"kairos.base": record.base}),
        **({} if record.twin is None else {"kairos.twin": record.twin}),
    }


def param_texts(params: Mapping[str, Any]) -> dict[str, str]:
    """Values as MLflow keeps them: text as it is, anything else as JSON."""
    texts = {name: v if isinstance(v, str) else canonical_json(v).decode() for name, v in params.items()}
    return {name: shorten(text, PARAM_LENGTH) for name, text in texts.items()}


def shorten(text: str, length: int) -> str:
    """Cuts a text that is too long, and says so at its end. A zero, which PostgreSQL has no letter for, becomes one.

    >>> shorten("abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz", 40)
    'abcdefghijklmnopqrstuvwxy … (53 letters)'
    >>> shorten("a\\0b", 40)
    'a\ufffdb'
    """
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if len(text) <= length:
        return text
    end = f" … ({len(text)} letters)"
    return text[: length - len(end)] + end


def milliseconds(moment: datetime) -> int:
    """MLflow's time: milliseconds since 1970 in UTC."""
    return round(moment.timestamp() * 1000)
