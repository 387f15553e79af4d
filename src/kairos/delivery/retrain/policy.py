"""What a new model is worth, and how eagerly one is trained."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from kairos.errors import SettingsError
from kairos.gates.policy import Margin
from kairos.values import Json, duration_text, parse_duration, plain, unplain

__all__ = ["RetrainPolicy"]

_LOSS_OF_A_DAY = Margin(kind="relative", value=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainPolicy:
    """When a new model is worth training. The defaults are stated once and fit no data set in particular."""

    cost: Margin = _LOSS_OF_A_DAY
    """What one change of model is worth: computing, reviewing, and the risk of a release. One number: the loss, a row,
    that one would accept for a day to be spared it. ``100%`` is the champion's whole loss of one day."""
    confidence: float = 0.8
    """How sure it has to be that waiting costs something, in (0.5, 1). The gate asks for more, before anything is
    changed; here too much caution costs as much as too little."""
    block: timedelta = timedelta(days=7)
    """How often a freshly trained model is measured beside the champion, on rows that neither has seen."""
    min_block_rows: int = 50
    """A block with fewer rows grows until it has them."""
    on: frozenset[str] = frozenset({"quality", "prediction_bias"})
    """Checks that ask for a new model at once: by an alarm; those of drift, which never is proof of harm, by a
    warning."""
    max_age: timedelta | None = None
    """A champion older than this is trained anew whatever else is known; ``None``: as its ageing says."""
    first_age: timedelta = timedelta(days=30)
    """The same while nothing is known about its ageing."""
    max_period: timedelta = timedelta(days=180)
    """The longest wait where models do not seem to age."""
    growth: float = 1.0
    """New rows, as a share of those learnt from, that are a reason by themselves."""
    cooldown: timedelta = timedelta(days=7)
    """The least time between two trainings; after a version proven bad it doubles, up to ``max_cooldown``."""
    max_cooldown: timedelta = timedelta(days=30)
    retry: timedelta = timedelta(hours=1)
    """The pause after a training that failed or was cut off; it doubles with each one in a row, up to the cooldown."""
    min_new_rows: int = 100
    """New rows with a known truth, at least, since what the champion learnt from."""
    min_new_share: float = 0.02
    """The same, as a share of the rows that it learnt from; the larger of the two counts."""
    budget: int = 4
    """Trainings that came to an end, at most, in any ``budget_days``."""
    budget_days: int = 30
    hysteresis: float = 0.2
    """After a version proven bad, the cost of waiting has to exceed by this share what it was when that was trained."""

    refit: bool = True
    """Whether a version of the loop that passed its gate learns once more, with the rows that it was judged on."""

    def __post_init__(self) -> None:
        if not 0.5 < self.confidence < 1:
            raise SettingsError(
                "A retraining's confidence is out of range.", given=self.confidence, accepted="a number in (0.5, 1)"
            )
        if not self.cost.value > 0:
            raise SettingsError("A retraining's cost is nothing.", accepted="above 0, such as '100%' or 5.0")
        self._check_lengths()
        for name, least in (("min_block_rows", 2), ("min_new_rows", 0), ("budget", 1), ("budget_days", 1)):
            if getattr(self, name) < least:
                raise SettingsError(
                    f"A retraining's {name} is too small.", given=getattr(self, name), accepted=f"{least} or more"
                )
        if not self.growth > 0:
            raise SettingsError("A retraining's growth is nothing.", given=self.growth, accepted="above 0")
        for name in ("min_new_share", "hysteresis"):
            if not getattr(self, name) >= 0:
                raise SettingsError(
                    f"A retraining's {name} is negative.", given=getattr(self, name), accepted="0 or more"
                )

    def _check_lengths(self) -> None:
        for name in ("block", "first_age", "max_period", "max_age"):
            length = getattr(self, name)
            if length is not None and length <= timedelta(0):
                raise SettingsError(
                    f"A retraining's {name} is not above nothing.", given=duration_text(length), accepted="such as '7d'"
                )
        for name in ("cooldown", "max_cooldown", "retry"):
            if getattr(self, name) < timedelta(0):
                raise SettingsError(f"A retraining's {name} is negative.", accepted="0s or more, such as '7d'")

    def plain(self) -> Json:
        """The policy as JSON holds it."""
        return plain(self)

    @classmethod
    def from_plain(cls, value: Json) -> RetrainPolicy:
        """Undoes ``plain``."""
        found: dict[str, Any] = unplain(value)
        lengths = {f.name for f in fields(cls) if "timedelta" in str(f.type)}
        read: dict[str, Any] = {k: parse_duration(v) if k in lengths and v else v for k, v in found.items()}
        return cls(**{**read, "cost": Margin(**read["cost"]), "on": frozenset(read["on"])})
