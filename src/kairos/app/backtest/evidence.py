"""What the loop's decisions about a past rest on: readings, the gate's verdict, alarms, and proven harm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl

from kairos.app.backtest.past import Cut, Past
from kairos.delivery.retrain.readings import Reading
from kairos.delivery.retrain.windows import choose_window, windows_to_try
from kairos.delivery.rollout import RolloutPolicy
from kairos.delivery.rollout.harm import LOSS, log_limits
from kairos.gates.decide import decide
from kairos.gates.measure import measure
from kairos.gates.policy import GatePolicy
from kairos.gates.rows import GateRows
from kairos.monitor.checks.quality import loss_reference, quality
from kairos.monitor.days import Days
from kairos.monitor.policy import MonitorPolicy
from kairos.monitor.rollout.pairs import paired_loss
from kairos.values import Verdict, Window

__all__ = ["gate_verdict", "is_alarmed", "is_harmful", "moment", "take_reading"]

_BEGAN = datetime(2020, 1, 6, tzinfo=UTC)
_GUARDS = (LOSS, "errors", "impossible", "timeouts", "slow_p95", "slow_p99")
"""Those that a rollout has by default: they share alpha. Here only the loss ever speaks."""


@cache
def moment(day: float) -> datetime:
    """The moment of a day of a past."""
    return _BEGAN + timedelta(days=day)


def take_reading(past: Past, begins: float, days: float, champion: Cut, before: Sequence[Reading]) -> Reading:
    """The champion beside freshly trained models on a block of rows.

    Args:
        past: Of rows.
        begins: First day of the block.
        days: Its length.
        champion: What the champion learnt from.
        before: The readings so far.
    """
    known = begins - past.delay_days
    tried = {}
    for window in windows_to_try(past.history_days, weighted=False):
        cut = Cut(until=known, days=past.history_days if window.days is None else window.days)
        tried[window.name] = tuple(past.daily(past.losses(cut), begins, begins + days)[0].tolist())
    has_seen = champion.until > begins
    own = [] if has_seen else past.daily(past.losses(champion), begins, begins + days)[0].tolist()
    return Reading(
        window=Window(moment(begins), moment(begins + days)),
        rows=tuple(past.daily(np.ones(past.day.size), begins, begins + days)[1].tolist()),
        champion=tuple(own),
        tried=tried,
        chosen=choose_window(before).name,
        age_days=max(known - champion.until, 0.0),
    )


def gate_verdict(past: Past, judged: Cut, champion: Cut, known: float, policy: GatePolicy) -> Verdict:
    """The gate's, on the rows known by then that neither has learnt from."""
    rows = past.rows(max(judged.until, champion.until), known)
    seen = GateRows(
        truth=past.label[rows],
        challenger=past.answers(judged)[rows].astype(np.float64),
        champion=past.answers(champion)[rows].astype(np.float64),
        times=(past.day[rows] * 86_400e6).astype("datetime64[us]"),
        digest="of a past",
    )
    return decide(policy, measure(seen, policy, as_of=moment(known))).verdict


def is_alarmed(past: Past, champion: Cut, judged: Cut, since: float, known: float) -> bool:
    """Whether the check of quality finds that a champion loses more than its twin's holdout has promised."""
    reference = loss_reference(past.losses(judged)[past.rows(judged.until, judged.until + past.holdout_days)])
    began, ended = math.ceil(since), math.floor(known)
    sums, rows = past.daily(past.losses(champion), began, ended)
    if reference is None or not rows.size:
        return False
    numbers = np.unique(np.floor(past.day[past.rows(began, ended)]))
    days = Days(means=sums / rows, rows=rows, ends=tuple(moment(one + 1) for one in numbers), waiting=0)
    found = quality(days, reference, loss=past.loss, policy=MonitorPolicy(), version=1)
    return found is not None and found.level == "alarm"


def is_harmful(
    past: Past, new: Cut, old: Cut, old_judged: Cut, since: float, known: float, *, policy: RolloutPolicy
) -> bool:
    """Whether it is proven that a version loses more than the one before it, on the requests that both predicted.

    Args:
        past: Of rows.
        new: What the version learnt from.
        old: The other.
        old_judged: Its twin, whose losses on its holdout set the scale.
        since: When live traffic first reached the version.
        known: By when the truth is known.
        policy: Says how sure it has to be.
    """
    held_out = past.rows(old_judged.until, old_judged.until + past.holdout_days)
    reference, rows = loss_reference(past.losses(old_judged)[held_out]), past.rows(since, known)
    if reference is None or rows.stop <= rows.start:
        return False
    pairs = pl.DataFrame(
        {
            "at": [moment(day) for day in past.day[rows].tolist()],
            "label": 0.0,
            "output_champion": past.losses(old)[rows],
            "output_challenger": past.losses(new)[rows],
            "has_champion": True,
            "has_challenger": True,
        }
    )
    until = moment(float(math.floor(known)))
    found = paired_loss(
        pairs, loss=lambda _, lost: lost, reference=reference, alpha=policy.alpha, mature_until=until
    )  # whatever a row's numbers are, its loss is one
    limit = log_limits(_GUARDS, policy.critical, policy.alpha)[LOSS]
    return found is not None and found.harm_log_e >= limit
