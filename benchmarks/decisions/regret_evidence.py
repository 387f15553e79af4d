"""What the loop's decisions about a stream rest on: readings, the gate's verdict, alarms, and proven harm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl

from benchmarks.decisions.streams_timed import Cut, TimedStream
from kairos.delivery.retrain import Reading, choose_window
from kairos.delivery.retrain.windows import windows_to_try
from kairos.delivery.rollout import RolloutPolicy
from kairos.delivery.rollout.harm import LOSS, log_limits
from kairos.gates.decide import decide
from kairos.gates.losses import loss_named
from kairos.gates.measure import measure
from kairos.gates.policy import GatePolicy, Require
from kairos.gates.rows import GateRows
from kairos.monitor.checks.quality import loss_reference, quality
from kairos.monitor.days import Days
from kairos.monitor.policy import MonitorPolicy
from kairos.monitor.rollout.pairs import paired_loss
from kairos.values import Verdict, Window

__all__ = ["HOLDOUT_DAYS", "gate_verdict", "is_alarmed", "is_harmful", "moment", "take_reading"]

HOLDOUT_DAYS = 14.0

_BEGAN = datetime(2020, 1, 6, tzinfo=UTC)
_GUARDS = (LOSS, "errors", "impossible", "timeouts", "slow_p95", "slow_p99")
"""Those that a rollout has by default: they share alpha. Here only the loss ever speaks."""


@cache
def moment(day: float) -> datetime:
    """The moment of a day of a stream."""
    return _BEGAN + timedelta(days=day)


def take_reading(stream: TimedStream, begins: float, days: float, champion: Cut, before: Sequence[Reading]) -> Reading:
    """The champion beside freshly trained models on a block of rows.

    Args:
        stream: Of rows.
        begins: First day of the block.
        days: Its length.
        champion: What the champion learnt from.
        before: The readings so far.
    """
    known = begins - stream.delay_days
    tried = {}
    for window in windows_to_try(stream.history_days, weighted=False):
        cut = Cut(until=known, days=stream.history_days if window.days is None else window.days)
        tried[window.name] = tuple(stream.daily(stream.losses(cut), begins, begins + days)[0].tolist())
    has_seen = champion.until > begins
    own = [] if has_seen else stream.daily(stream.losses(champion), begins, begins + days)[0].tolist()
    return Reading(
        window=Window(moment(begins), moment(begins + days)),
        rows=tuple(stream.daily(np.ones(stream.day.size), begins, begins + days)[1].tolist()),
        champion=tuple(own),
        tried=tried,
        chosen=choose_window(before).name,
        age_days=max(known - champion.until, 0.0),
    )


def gate_verdict(stream: TimedStream, judged: Cut, champion: Cut, known: float, require: Require) -> Verdict:
    """The gate's, on the rows known by then that neither has learnt from."""
    rows = stream.rows(max(judged.until, champion.until), known)
    policy = GatePolicy(loss=stream.loss, require=require, discover=False)
    seen = GateRows(
        truth=stream.label[rows],
        challenger=stream.answers(judged)[rows].astype(np.float64),
        champion=stream.answers(champion)[rows].astype(np.float64),
        times=(stream.day[rows] * 86_400e6).astype("datetime64[us]"),
        digest="of a stream",
    )
    return decide(policy, measure(seen, policy, as_of=moment(known))).verdict


def is_alarmed(stream: TimedStream, champion: Cut, judged: Cut, since: float, known: float) -> bool:
    """Whether the check of quality finds that a champion loses more than its twin's holdout has promised."""
    reference = loss_reference(stream.losses(judged)[stream.rows(judged.until, judged.until + HOLDOUT_DAYS)])
    began, ended = math.ceil(since), math.floor(known)
    sums, rows = stream.daily(stream.losses(champion), began, ended)
    if reference is None or not rows.size:
        return False
    numbers = np.unique(np.floor(stream.day[stream.rows(began, ended)]))
    days = Days(means=sums / rows, rows=rows, ends=tuple(moment(one + 1) for one in numbers), waiting=0)
    found = quality(days, reference, loss=stream.loss, policy=MonitorPolicy(), version=1)
    return found is not None and found.level == "alarm"


def is_harmful(stream: TimedStream, new: Cut, old: Cut, old_judged: Cut, since: float, known: float) -> bool:
    """Whether it is proven that a version loses more than the one before it, on the requests that both predicted.

    Args:
        stream: Of rows.
        new: What the version learnt from.
        old: The other.
        old_judged: Its twin, whose losses on its holdout set the scale.
        since: When live traffic first reached the version.
        known: By when the truth is known.
    """
    held_out = stream.rows(old_judged.until, old_judged.until + HOLDOUT_DAYS)
    reference, rows = loss_reference(stream.losses(old_judged)[held_out]), stream.rows(since, known)
    if reference is None or rows.stop <= rows.start:
        return False
    pairs = pl.DataFrame(
        {
            "at": [moment(day) for day in stream.day[rows].tolist()],
            "label": stream.label[rows],
            "output_champion": stream.answers(old)[rows].astype(np.float64),
            "output_challenger": stream.answers(new)[rows].astype(np.float64),
            "has_champion": True,
            "has_challenger": True,
        }
    )
    policy, until = RolloutPolicy(), moment(float(math.floor(known)))
    found = paired_loss(
        pairs, loss=loss_named(stream.loss), reference=reference, alpha=policy.alpha, mature_until=until
    )
    limit = log_limits(_GUARDS, policy.critical, policy.alpha)[LOSS]
    return found is not None and found.harm_log_e >= limit
