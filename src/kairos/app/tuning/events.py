"""What a search tells while it goes on, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from kairos.app.tuning.judging import Outcome
from kairos.app.tuning.question import Question
from kairos.experiments.study import Trial
from kairos.pipeline.result import StepEvent
from kairos.values import Window

__all__ = ["Ended", "Event", "Judges", "Opened", "Prepares", "Tuned", "Waits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepares:
    """The model is made with its current params first."""

    window: Window
    study: str | None = None
    """The unfinished study whose window this is, where the project's has moved on since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A study begins, or goes on."""

    question: Question
    had: int
    """Trials that were over by then."""
    wanted: int
    other: str | None = None
    """The last study of this model, if it is another one and was not finished: which, and what differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A trial is over."""

    trial: Trial
    is_best: bool
    """So far."""
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Others are at the last trials, or judge."""

    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judges:
    """The best trial's params are trained once more, on the whole window, and judged on its holdout."""

    trial: Trial
    window: Window


Event: TypeAlias = StepEvent | Prepares | Judges | Opened | Ended | Waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What came of a search."""

    question: Question
    trials: tuple[Trial, ...]
    outcome: Outcome | None
    """``None``: no trial finished."""
    runs: Mapping[str, str] = field(default_factory=dict)
    """``current`` and ``winner``: the runs that were compared."""
    is_exhausted: bool = False
    """Whether everything was tried."""
    is_late: bool = False
    """Whether the time limit was over before all trials had begun."""

    @property
    def counts(self) -> dict[str, int]:
        """Trials by what became of them."""
        return {state: sum(trial.state == state for trial in self.trials) for state in ("finished", "pruned", "failed")}
