"""The best trial's params on the rows that no trial saw, against the current ones: once, by the gate's own means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from kairos.app.differing import Judged
from kairos.app.differing_rows import judge_answers
from kairos.app.gathering import gate_rows
from kairos.app.losses import fresh_rows
from kairos.app.own_code import load_metrics
from kairos.app.packages import holdout_table, open_version
from kairos.app.project import Project
from kairos.app.tuning.question import Question
from kairos.app.tuning.rows import judged_rows
from kairos.app.tuning.trying import Ran
from kairos.experiments.study import Trial
from kairos.values import Json, plain

__all__ = ["JUDGED", "Outcome", "judge_winner", "rank_of"]

JUDGED = "study.judged"
"""The kind of a fact about the end of a search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a search came to."""

    winner: Trial
    searched: float
    """Mean loss of the winner on the rows that the search saw."""
    current: float
    """The same of the current params."""
    judged: Judged | None = None
    """Both on the rows that it did not see; ``None``: they are not compared."""
    reason: str | None = None
    """Why they are not."""
    is_same: bool = False
    """Whether both give the same package, to the byte."""
    rank: int = 1
    """The how-manyeth winner this is that is judged on these rows."""

    @property
    def verdict(self) -> Literal["better", "worse", "no difference", "unknown", "current"]:
        """Whether the winner beats the current params by more than chance; ``current``: it is them."""
        if self.winner.number == 0:
            return "current"
        if self.is_same:
            return "no difference"
        return "unknown" if self.judged is None else self.judged.verdict

    @property
    def claimed(self) -> float:
        """By how much less the winner loses, as the search says; it chose it for that, so it is too much."""
        return self.current - self.searched

    @property
    def optimism(self) -> float | None:
        """How much of that the rows that the search did not see take back."""
        return None if self.judged is None else self.claimed + self.judged.difference

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        told: dict[str, Any] = {
            "winner": self.winner.number,
            "verdict": self.verdict,
            "searched": self.searched,
            "current": self.current,
            "claimed": self.claimed,
            "optimism": self.optimism,
            "judged": None if self.judged is None else plain(self.judged),
            "rank": self.rank,
        }
        return told | ({} if self.reason is None else {"reason": self.reason})


def judge_winner(
    project: Project, question: Question, winner: Trial, first: Trial, before: Ran, after: Ran | None, rank: int
) -> Outcome:
    """Compares two runs on the rows that both held out and no trial saw.

    Args:
        project: Whose.
        question: What was asked.
        winner: The best trial.
        first: That of the current params.
        before: The run with the current params.
        after: The one with the winner's; ``None``: they are the same.
        rank: The how-manyeth winner this is that is judged on these rows: later ones have to be surer.
    """
    assert winner.value is not None
    assert first.value is not None
    known: Mapping[str, Any] = {"winner": winner, "searched": winner.value, "current": first.value, "rank": rank}
    if after is None:
        return Outcome(**known)
    if after.result.failure is not None:
        return Outcome(**known, reason=f"with the winner's params: {after.result.failure.message}")
    step = question.model.step
    if after.result.models[step] == before.result.models[step]:
        return Outcome(**known, is_same=True, reason="both give the same package, to the byte")
    if judged_rows(project, question.model, question.graph, after.result).digest != question.final.digest:
        return Outcome(**known, reason="the winner's params change which rows are held out")
    return Outcome(**known, judged=_judged(project, question, before, after, rank))


def rank_of(project: Project, question: Question, winner: Trial) -> int:
    """How many other winners of this model were judged on these rows before, and one."""
    seen = {
        (entry.subject, entry.body["winner"])
        for entry in project.ledger.read(kinds=[JUDGED])
        if entry.body["final"] == question.final.digest and entry.body["model"] == question.model.name
    }
    return len(seen - {(question.id, winner.number)}) + 1


def _judged(project: Project, question: Question, before: Ran, after: Ran, rank: int) -> Judged | None:
    model = question.model
    packages = [open_version(project, ran.result.models[model.step], model) for ran in (before, after)]
    policy = replace(
        model.gate,
        metric=None,
        more=(),
        slices=(),
        protected=(),
        groups=(),
        alpha=model.gate.alpha_of(rank),
        planned_versions=1,
    )
    old, new = (fresh_rows(holdout_table(project, model, ran.body), model, packages) for ran in (before, after))
    rows = gate_rows(
        new,
        model,
        policy,
        challenger=packages[1],
        champion=packages[0],
        champion_rows=old,
        digest=after.result.artifact(model.holdout).digest,
    )
    functions = load_metrics(project.root, policy.own)
    on = f"{len(new)} rows of {model.holdout} that the search never saw"
    return next(iter(judge_answers(model.name, rows, policy, functions, on=on)), None)
