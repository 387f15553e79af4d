"""The promises of single statistics, simulated at length: how often they are broken, beside what is stated.

Run: ``python -m benchmarks.decisions.guarantees``. Looked at after every value where the promise is for any number of
looks; the test suite has 2,000 runs of the same. Whole gates, rollouts, pages of drift and schedules have benchmarks of
their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from benchmarks.decisions import looks, once
from benchmarks.decisions.before_labels import late_labels
from benchmarks.decisions.report import Row, main
from kairos.stats.noise import noise_variance
from kairos.stats.queueing import wait

__all__ = ["simulate"]


def simulate(runs: int) -> Iterator[Row]:
    """All of them; queues are 6 % as many, since each of them is 3,000 waits."""
    yield from _means(runs)
    yield from _bad_events(runs)
    yield from _detectors(runs)
    yield from _index(runs)
    yield from _estimates(runs)
    yield from late_labels(runs)
    yield from _queues(max(20, runs * 6 // 100))
    yield from _noise(2 * runs)


def _row(table: str, case: str, stated: str, found: str) -> Iterator[Row]:
    for figure, value in (("stated", stated), ("simulated", found)):
        yield Row(table=table, case=case, who="", figure=figure, value=value)


def _means(runs: int) -> Iterator[Row]:
    table = f"a true mean is ever refuted, {looks.LOOKS:,} looks (S1, S2, S7)"
    for method in looks.METHODS:
        for draw in looks.DRAWS:
            if method not in looks.ONLY_RATES or "events" in draw:
                yield from _row(table, f"{method}, {draw}", "0.050", f"{looks.misses(method, draw, runs):.3f}")
    for draw in looks.DRAWS:
        yield from _row(table, f"t-test at the same looks, {draw}", "", f"{looks.t_test_misses(draw, runs):.3f}")
    for waits, who in ((True, "asymptotic, silent before 50 events"), (False, "asymptotic, from value 50 on")):
        found = looks.asymptotic_misses("events, 1 %", runs, waits=waits)
        yield from _row(table, f"{who}, events, 1 %", "0.050" if waits else "", f"{found:.3f}")
    yield from _row(table, "gamma-exponential, a mean that swings", "0.050", f"{looks.moving_mean_misses(runs):.3f}")


def _bad_events(runs: int) -> Iterator[Row]:
    """The numbers that are stated are medians, too: of a run of this kind, by other hands."""
    table = "bad events until harm is seen, the median (S4)"
    for share, ratio, stated in looks.HARM_SEEN:
        found = np.median(looks.harm_seen(share, ratio, runs, most=4 * stated))
        yield from _row(table, f"{share:.0%}, {ratio:g} times as many", f"{stated} +- 20 %", f"{found:.0f}")


def _detectors(runs: int) -> Iterator[Row]:
    for kind in ("e-SR", "e-CUSUM"):
        lengths = looks.run_lengths(runs, rate=0.12, tolerated=0.12, threshold=1000, kind=kind, most=20_000)
        yield from _row("values until a false alarm, a bar of 1,000 (S12)", kind, ">= 1,000", f"{lengths.mean():,.0f}")
    harmful = float(np.isfinite(looks.benign_shift_alarms(runs)).mean())
    yield from _row("a benign shift is ever called harmful (S13)", "2,000 looks", "0.050", f"{harmful:.3f}")


def _index(runs: int) -> Iterator[Row]:
    table = "a stability index of exactly the tolerated size alarms (S10)"
    for shape in once.SHAPES:
        for rows in (500, 2_000, 20_000):
            yield from _row(
                table, f"{shape}, {rows:,} rows", "0.050", f"{once.index_alarms(shape, rows, 0.10, runs):.3f}"
            )


def _estimates(runs: int) -> Iterator[Row]:
    for name, errors in once.unseen_errors(runs)._asdict().items():
        found = f"{errors.mean() / (errors.std() / math.sqrt(runs)):+.1f} standard errors"
        yield from _row("what calibrated scores expect, less what came, after a shift (S15)", name, "0 +- 2", found)


def _queues(runs: int) -> Iterator[Row]:
    table = "waits in simulated queues, seconds: computed as stated (S17)"
    for kind, cv2 in once.QUEUES.items():
        found = once.waits_in_queues(kind, runs)
        told = wait(servers=once.SERVERS, rate_per_s=once.RATE, service_s=1.0, service_cv2=cv2)
        yield from _row(table, f"{kind}, mean", f"{told.mean_s:.3f}", f"{found.mean.mean():.3f}")
        yield from _row(table, f"{kind}, 99 % quantile", f"{told.quantile(0.99):.2f}", f"{found.p99:.2f}")


def _noise(draws: int) -> Iterator[Row]:
    table = "noise for privacy (S18)"
    for scale in ("1/2", "1", "7/3"):
        p_value, variance = once.noise_p_value(scale, draws)
        numerator, _, denominator = scale.partition("/")
        stated = noise_variance(int(denominator or 1) / int(numerator))
        yield from _row(table, f"variance at a scale of {scale}", f"{stated:.3f}", f"{variance:.3f}")
        yield from _row(table, f"chi-squared p at a scale of {scale}", "> 0.001", f"{p_value:.3f}")
    excess, outcomes = once.most_favoured(0.5, draws)
    found = f"{excess:+.1f} standard errors, {outcomes} outcomes"
    yield from _row(table, "one person more, beyond the factor exp(0.5)", "<= +3", found)


if __name__ == "__main__":
    raise SystemExit(main("Promises of single statistics", lambda n: list(simulate(n)), runs=10_000))
