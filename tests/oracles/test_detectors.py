"""Detectors beside river's: the ADWIN that policies are compared with, and ours beside ADWIN and Page-Hinkley."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from benchmarks.decisions.regret_rivals import Adwin
from kairos.stats.detector import change_point, e_sr
from tests.oracles.oracle import ask

STREAMS, QUIET, LENGTH = 20, 1000, 3000

RIVERS = """
from river.drift import ADWIN, PageHinkley
def first(detector, values):
    for at, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected: return at
    return None
answer = {
    "adwin": [first(ADWIN(delta=0.002, clock=1, min_window_length=1, grace_period=1), values) for values in streams],
    "adwin, as by default": [first(ADWIN(), values) for values in streams],
    "page-hinkley": [first(PageHinkley(), values) for values in streams],
}
"""


def streams(rate: float) -> NDArray[np.float64]:
    """Errors at 10 %, and from a known value on at another rate; shape (streams, values)."""
    rng = np.random.default_rng(4)
    rates = np.r_[np.full(QUIET, 0.10), np.full(LENGTH - QUIET, rate)]
    return np.asarray(rng.uniform(size=(STREAMS, LENGTH)) < rates, dtype=np.float64)


def test_the_window_that_policies_are_compared_with_is_rivers() -> None:
    """ADWIN at the same delta: it shrinks at the same value of every stream.

    River makes parts smaller by the shortest length less one before it judges them; at a shortest length of 1 that is
    the published formula.
    """
    for rate in (0.10, 0.20, 0.30):
        theirs = ask(RIVERS, streams=streams(rate))["adwin"]
        for values, told in zip(streams(rate), theirs, strict=True):
            window = Adwin(delta=0.002)
            ours = next((at for at, value in enumerate(values.tolist()) if window.add(value)), None)
            assert ours == told


def test_a_doubled_rate_is_seen_sooner_than_by_adwin_or_page_hinkley() -> None:
    """Errors rise from 10 to 20 %, 12 % are tolerated, one false alarm in 10,000 values: the median delay."""
    known = streams(0.20)
    seen = e_sr(known, 0.12).log_m >= math.log(10_000)
    ours = np.where(seen.any(axis=1), seen.argmax(axis=1), LENGTH)
    assert ours.min() >= QUIET
    theirs = ask(RIVERS, streams=known)
    for who in ("adwin, as by default", "page-hinkley"):
        delay = np.median([LENGTH if at is None else at for at in theirs[who]]) - QUIET
        assert np.median(ours) - QUIET < delay


def test_the_nile_fell_after_1898() -> None:
    """Yearly flows 1871 to 1970; a tenth less than in the first twenty years is tolerated, one false alarm a century.

    The fall is seen by 1930 and put within a year of where everybody puts it; without it there is no alarm.
    """
    flow = np.array(
        ask(
            """
            import statsmodels.api as sm
            answer = sm.datasets.nile.load_pandas().data["volume"]
            """
        )
    )
    tolerated, watched = 0.9 * flow[:20].mean(), flow[20:]
    seen = e_sr(watched, tolerated, lower=300, upper=1500, side="less").first_alarm(100)
    assert seen is not None
    assert 1871 + 20 + seen < 1930
    began = change_point(watched[: seen + 1], tolerated, lower=300, upper=1500, side="less")
    assert abs(1871 + 20 + began - 1899) <= 1
    before = e_sr(flow[20:28], tolerated, lower=300, upper=1500, side="less")
    assert before.first_alarm(100) is None
