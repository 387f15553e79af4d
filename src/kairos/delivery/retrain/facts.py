"""What is known when it is decided whether to train anew: values only, so that the decision can be made again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from kairos.delivery.retrain.age import Slope
from kairos.delivery.retrain.readings import Reading
from kairos.values import Json, parse_moment, plain, unplain

__all__ = ["Advice", "RetrainFacts"]

Advice = Literal["retrain", "recalibrate", "investigate"]
"""What a triage of the findings advises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainFacts:
    """What is known when the decision is made."""

    now: datetime
    champion_trained_at: datetime | None
    """When the live version was registered; ``None`` if nothing is live."""
    usual_loss: float | None = None
    """What a fresh model loses now, a row; ``None`` if it is not known."""
    readings: tuple[Reading, ...] = ()
    """About the champion, in the order of time."""
    slope: Slope | None = None
    """How the loss grows with age, from the readings of all champions; ``None`` with too few of them."""
    periods_days: tuple[float, ...] = ()
    """How long former champions were live."""
    alarms: tuple[str, ...]
    """Checks that ask for a new model since the live version went live, each once, in the order of their names."""
    contract_changed: bool = False
    """Whether the pipeline declares the data in another form than when the champion learnt."""
    advice: Advice = "retrain"
    """What the triage of the alarms says."""
    was_recalibrated: bool = False
    """Whether the champion is a recalibrated version, so that doing so again would mend nothing."""
    faults: tuple[str, ...] = ()
    """Open trouble under which nothing may be learnt: a broken data contract, a wrong split, a pipeline fault."""
    new_rows: int | None = None
    """Rows with a known truth since what the champion learnt from; ``None`` if nobody counted."""
    train_rows: int | None = None
    """Rows that the champion learnt from."""
    same_data: bool = False
    """Whether a training now would learn from the very bytes that the champion, or a version after it, learnt from."""
    trained_at: tuple[datetime, ...] = ()
    """When trainings were decided, in the order of time; the last ones are enough."""
    tried_regret: float | None = None
    """The cost of waiting at which the last version was trained that was proven bad, if the champion is the same."""
    unfinished_in_a_row: int = 0
    """Trainings, up to the last one, that failed or were cut off."""
    failures_in_a_row: int = 0
    """Versions since the last promotion that were rejected by their gate or rolled back."""
    challenger_on_trial: bool = False

    def plain(self) -> Json:
        """The facts as JSON holds them."""
        return plain(self)

    @classmethod
    def from_plain(cls, value: Json) -> RetrainFacts:
        """Undoes ``plain``."""
        found: dict[str, Any] = unplain(value)
        trained = found["champion_trained_at"]
        slope = found["slope"]
        return cls(
            **{
                **found,
                "now": parse_moment(found["now"]),
                "champion_trained_at": None if trained is None else parse_moment(trained),
                "readings": tuple(Reading.from_plain(one) for one in found["readings"]),
                "slope": None if slope is None else Slope(**slope),
                "periods_days": tuple(found["periods_days"]),
                "alarms": tuple(found["alarms"]),
                "faults": tuple(found["faults"]),
                "trained_at": tuple(parse_moment(one) for one in found["trained_at"]),
            }
        )
