"""What facts of a search tell, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kairos.app.tuning.events import Tuned
from kairos.app.tuning.question import Question
from kairos.experiments.study import Pruner, Trial
from kairos.pipeline.reporting import Past, Watch
from kairos.pipeline.typed import typed
from kairos.values import Json

__all__ = ["judged_body", "status_of", "watch_of", "what_differs"]

_OPTUNA = "kairos.adapters.optuna:is_hopeless"
_HALVING = "kairos.experiments.halving:is_hopeless"


def status_of(body: Mapping[str, Json]) -> str:
    """Of a trial, as runs have it."""
    return "finished" if body["state"] == "finished" else "failed"


def watch_of(question: Question, number: int, trials: Sequence[Trial]) -> Watch | None:
    """The curves of trials that are over; none for who stops nothing."""
    plan = question.plan
    way = Pruner.parse(plan.pruner).way
    if way == "none":
        return None
    past: dict[str, list[Past]] = {}
    for trial in trials:
        for step, curve in trial.curves.items() if trial.state != "failed" else ():
            past.setdefault(step, []).append(Past(trial.number, curve, trial.state == "finished"))
    judge = _HALVING if way in ("successive-halving", "hyperband") else _OPTUNA
    way = plan.pruner if way == "percentile" else way
    return Watch(judge=judge, past=past, after=plan.prune_after, way=way, study=question.id, number=number)


def judged_body(tuned: Tuned) -> dict[str, Json]:
    """The fact of a search's end."""
    question, outcome = tuned.question, tuned.outcome
    assert outcome is not None
    return {
        "model": question.model.name,
        "loss": question.model.gate.loss,
        "window": str(question.window),
        "final": question.final.digest,
        "trials": tuned.counts,
        **outcome.plain(),
        "params": {name: typed(value) for name, value in outcome.winner.params.items()},
        "runs": dict(tuned.runs),
    }


def what_differs(past: Sequence[Any], question: Question) -> str | None:
    """Which study of this model was there last, and why this is another one."""
    if not past:
        return None
    last, now = past[-1], question.plain()
    words = {
        "space": "its ranges",
        "sampler": "the sampler",
        "pruner": "the pruner",
        "seed": "the seed",
        "current": "the current params",
        "base": "the params given with -p",
        "window": f"the window ({last.body['window']} then)",
        "rests_on": "code or data",
        "loss": "the loss",
    }
    differ = [word for key, word in words.items() if last.body.get(key) != now[key]]
    return f"{last.subject}, which differs in {', '.join(differ) or 'the rows held out'}"
