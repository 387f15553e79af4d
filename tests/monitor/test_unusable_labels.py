"""Labels that the model's loss does not take: they stop nothing, and are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kairos.errors import UsageError
from kairos.gates.losses import loss_named
from kairos.monitor.checks.quality import LossReference
from kairos.monitor.judgeable import judgeable, proper
from kairos.monitor.maturity import Maturity
from kairos.monitor.policy import MonitorPolicy
from kairos.monitor.watch import Monitor
from tests.monitor.logs import DAY, START, label, new_log, prediction, profile_of, write
from tests.monitor.test_rollout import evidence, loss_of, trial
from tests.monitor.test_watch import again

LOG_LOSS = loss_named("log_loss")
CHANCES = LossReference(mean=0.5, upper=0.6, cap=3.0, rows=336)


def test_rows_that_the_loss_refuses_are_found_among_many() -> None:
    """The others stay; a row is refused for its truth or for its prediction."""
    y, p = np.zeros(1000), np.full(1000, 0.5)
    y[[3, 999]], p[500] = 7.0, 1.5
    assert np.flatnonzero(~judgeable(LOG_LOSS, y, p)).tolist() == [3, 500, 999]
    assert np.flatnonzero(~proper(LOG_LOSS, y)).tolist() == [3, 999]
    assert proper(loss_named("absolute_error"), y).all()
    assert not proper(LOG_LOSS, np.full(5, 7.0)).any()
    assert proper(LOG_LOSS, np.zeros(0)).shape == (0,)


def test_a_loss_that_takes_nothing_at_all_ends_too() -> None:
    """Halving stops at one row, and at none."""

    def never(truth: object, prediction: object) -> np.ndarray:
        raise UsageError("never")

    assert judgeable(never, np.zeros(0), np.zeros(0)).shape == (0,)
    assert not judgeable(never, np.zeros(3), np.zeros(3)).any()


@pytest.mark.parametrize("bad", [[50], list(range(48, 72)), list(range(240))])
def test_a_watch_goes_on_past_labels_that_cannot_be_true_and_names_one(tmp_path: Path, bad: list[int]) -> None:
    """One label, a whole day of them, or nothing else: the rest is judged as if they had not come."""
    rng = np.random.default_rng(1)
    target = (rng.random(2400) < 0.5).astype(np.float64)
    profile = profile_of(rng.normal(10, 3, size=2400), np.full(2400, 0.5), target)
    told = []
    for name, wrong in (("bad", bad), ("none", [])):
        log = new_log(tmp_path / name)
        rows = [prediction(hour, 0.5) for hour in range(240)]
        good = [label(hour, float(target[hour])) for hour in range(240) if hour not in bad]
        write(log, [*rows, *good, *(label(hour, 7.0) for hour in wrong)])
        given = {"reference": CHANCES, "loss": "log_loss", "loss_of": LOG_LOSS}
        told.append(again(Monitor(log, MonitorPolicy()), profile, START + 13 * DAY, **given))
    assert [each for each in told[0] if each.check != "unusable_labels"] == list(told[1])
    (found,) = [each for each in told[0] if each.check == "unusable_labels"]
    assert (found.level, found.rows, found.value) == ("warn", 240, len(bad) / 240)
    assert f"{len(bad)} of 240 labels are none that log_loss takes, such as 7 for the prediction 'p{bad[0]}'" in (
        found.sentence
    )


def test_a_label_that_is_put_right_is_told_no_more(tmp_path: Path) -> None:
    """The right label comes later, and the day counts with it."""
    target = np.tile([0.0, 1.0], 1200)
    profile = profile_of(np.linspace(5, 15, 2400), np.full(2400, 0.5), target)
    log, monitor = new_log(tmp_path), Monitor(new_log(tmp_path), MonitorPolicy())
    given = {"reference": CHANCES, "loss": "log_loss", "loss_of": LOG_LOSS}
    labels = [label(hour, 7.0 if hour == 30 else float(hour % 2)) for hour in range(120)]
    write(log, [*(prediction(hour, 0.5) for hour in range(120)), *labels, label(30, 1.0, delay=6 * DAY)])
    first = again(monitor, profile, START + 7 * DAY, **given)
    second = again(monitor, profile, START + 8 * DAY, **given)
    assert [each.check for each in first].count("unusable_labels") == 1
    assert [each.check for each in second].count("unusable_labels") == 0


def test_a_rollout_leaves_them_out_and_fears_a_chance_that_is_none(tmp_path: Path) -> None:
    """A pair needs a truth; a challenger that says 1.5 has the worst loss on that request."""
    labels = [label(hour, 7.0 if hour == 5 else 1.0) for hour in range(72)]
    given: dict[str, Any] = {"loss": LOG_LOSS, "reference": CHANCES, "maturity": Maturity(matures_after=DAY)}
    log = new_log(tmp_path)
    write(log, [*trial([0.5] * 72, [0.5] * 72), *labels])
    found = loss_of(evidence(log, START + 5 * DAY, **given))
    assert found.pairs == 71
    assert found.challenger_mean == pytest.approx(np.log(2))
    log = new_log(tmp_path / "wild")
    write(log, [*trial([0.5] * 72, [1.5] * 72), *labels])
    assert loss_of(evidence(log, START + 5 * DAY, **given)).challenger_mean == CHANCES.cap
