"""What a rollout knows about two versions that predict the same requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kairos.delivery.rollout import RolloutPolicy
from kairos.delivery.rollout.deciding import decide
from kairos.delivery.rollout.evidence import PairedLoss, RolloutEvidence
from kairos.monitor.checks.quality import LossReference
from kairos.monitor.maturity import Maturity
from kairos.monitor.rollout import gather
from kairos.store.counts import Comparison
from kairos.store.predictions import Label, Prediction, PredictionLog
from kairos.store.records import DROPPED
from tests.monitor.logs import DAY, HOUR, START, label, new_log, prediction, truth, write

REFERENCE = LossReference(mean=40.0, upper=42.0, cap=250.0, rows=336)
POLICY = RolloutPolicy()


def absolute_error(label: NDArray[Any], output: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.abs(label - output), dtype=np.float64)


def evidence(log: PredictionLog, as_of: datetime, *, since: datetime = START, **changes: Any) -> RolloutEvidence:
    """What is known of version 2 beside version 1, one of which counts after a day."""
    given: dict[str, Any] = {
        "processes": (),
        "as_of": as_of,
        "loss": absolute_error,
        "reference": REFERENCE,
        "policy": POLICY,
        "maturity": Maturity(matures_after=DAY),
    }
    comparison = Comparison(model="demand", base=1, test=2, since=since)
    return gather(log, comparison=comparison, **given | changes)


def loss_of(found: RolloutEvidence) -> PairedLoss:
    assert found.loss is not None
    return found.loss


def trial(champion: Sequence[float | None], challenger: Sequence[float | None]) -> list[Prediction]:
    """Both versions on hourly requests, in shadow."""
    rows = [prediction(hour, output) for hour, output in enumerate(champion)]
    return rows + [challenger_row(hour, output) for hour, output in enumerate(challenger)]


def challenger_row(hour: int, output: float | None, **changes: Any) -> Prediction:
    return prediction(hour, output, **{"version": 2, "role": "challenger", "answered": False} | changes)


def misses(rng: np.random.Generator, values: NDArray[np.float64], size: float) -> list[float]:
    """Predictions with a mean absolute error of about ``size``, and neighbouring hours that err alike."""
    noise = rng.normal(size=len(values))
    for hour in range(1, len(values)):
        noise[hour] = 0.5 * noise[hour - 1] + 0.75**0.5 * noise[hour]
    return [float(x) for x in values + 1.2533 * size * noise]


def first_decision(log: PredictionLog, action: str) -> int:
    """The first day of a daily look, with labels a day late, at which the rollout takes that action."""
    for day in range(1, 29):
        if decide(POLICY, "shadow", 0.0, evidence(log, START + day * DAY)).action == action:
            return day
    return 99


def test_a_clearly_better_version_advances_within_days(tmp_path: Path) -> None:
    """A mean loss of 40 against 75: proven by 5 to 10 days with labels, the last of which comes a day later."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        log, values = new_log(tmp_path / str(seed)), truth(rng, 14, level=300.0)
        labels = [label(hour, float(value)) for hour, value in enumerate(values)]
        write(log, [*trial(misses(rng, values, 75.0), misses(rng, values, 40.0)), *labels])
        assert 6 <= first_decision(log, "advance") <= 11


def test_a_version_on_the_wrong_scale_is_rolled_back_after_three_or_four_days_of_labels(tmp_path: Path) -> None:
    """A version that forgot to undo the logarithm predicts 5 where 200 came."""
    rng = np.random.default_rng(1)
    log, values = new_log(tmp_path), truth(rng, 14)
    labels = [label(hour, float(value)) for hour, value in enumerate(values)]
    write(log, [*trial(misses(rng, values, 40.0), [float(np.log1p(v)) for v in values]), *labels])
    day = first_decision(log, "rollback")
    assert day - 1 in (3, 4)  # the labels of a day are there one day after its end
    assert "worse on" in decide(POLICY, "shadow", 0.0, evidence(log, START + day * DAY)).sentence


def test_labels_in_another_order_give_the_same_evidence(tmp_path: Path) -> None:
    """The order is that of prediction; a restart changes nothing either."""
    rng = np.random.default_rng(2)
    values = truth(rng, 6)
    rows = trial(misses(rng, values, 40.0), misses(rng, values, 40.0))
    labels = [label(hour, float(value)) for hour, value in enumerate(values)]
    write(new_log(tmp_path / "a"), [*rows, *labels])
    write(new_log(tmp_path / "b"), [*rows, *labels[::-1]])
    now = START + 8 * DAY
    assert evidence(new_log(tmp_path / "a"), now) == evidence(new_log(tmp_path / "b"), now)


def test_only_whole_days_whose_labels_had_time_are_compared(tmp_path: Path) -> None:
    """At noon of the third day one day is over and mature; without any, nothing is compared."""
    log = new_log(tmp_path)
    hours = range(96)
    write(log, [*trial([200.0] * 96, [210.0] * 96), *(label(hour, 200.0, delay=HOUR) for hour in hours)])
    assert evidence(log, START + 1.5 * DAY).loss is None
    loss = loss_of(evidence(log, START + 2.5 * DAY))
    assert (loss.pairs, loss.champion_mean, loss.challenger_mean) == (24, 0.0, 10.0)
    assert loss_of(evidence(log, START + 2.5 * DAY, maturity=Maturity(matures_after=timedelta(0)))).pairs == 48


def test_an_answer_that_never_came_has_the_worst_loss(tmp_path: Path) -> None:
    """A challenger that fails on every request loses as much on each as the champion on the worst of a thousand."""
    log = new_log(tmp_path)
    failed = [challenger_row(hour, None, error="PackageError") for hour in range(72)]
    write(log, [*trial([190.0] * 72, []), *failed, *(label(hour, 200.0) for hour in range(72))])
    assert loss_of(evidence(log, START + 4 * DAY)).challenger_mean == REFERENCE.cap


def test_how_alike_two_versions_are_is_told_before_any_label(tmp_path: Path) -> None:
    """Equal outputs agree; outputs that are shifted by their own spread do not, and their distribution has moved."""
    values = [200.0 + 10.0 * (hour % 24) for hour in range(240)]
    spread = float(np.std(values))
    rows = [*trial(values, []), *(challenger_row(hour, v + 0.05 * spread) for hour, v in enumerate(values))]
    write(new_log(tmp_path / "near"), [replace(row, latency_us=100 * row.version) for row in rows])
    near = evidence(new_log(tmp_path / "near"), START + 11 * DAY).label_free
    assert near is not None
    assert (near.pairs, near.agreement, near.slower, near.latency_ratio) == (240, 1.0, 1.0, 2.0)
    assert near.psi < 0.05
    write(new_log(tmp_path / "far"), trial(values, [v + spread for v in values]))
    far = evidence(new_log(tmp_path / "far"), START + 11 * DAY).label_free
    assert far is not None
    assert (far.agreement, far.slower, far.latency_ratio) == (0.0, 0.0, 1.0)
    assert far.psi_lower > 0.25


def test_requests_the_challenger_was_not_asked_for_speak_against_a_promotion_only(tmp_path: Path) -> None:
    """Skipped under load, a third of the pairs is missing: no harm is shown, but what they hide could be the worst."""
    rng = np.random.default_rng(3)
    values = truth(rng, 14)
    labels = [label(hour, float(value)) for hour, value in enumerate(values)]
    rows = trial(misses(rng, values, 75.0), misses(rng, values, 30.0))
    write(new_log(tmp_path / "all"), [*rows, *labels])
    asked = [row for row in rows if row.version == 1 or int(row.id[1:]) % 3]
    write(new_log(tmp_path / "some"), [*asked, *labels])
    now = START + 16 * DAY
    full, part = (loss_of(evidence(new_log(tmp_path / name), now)) for name in ("all", "some"))
    assert full.upper < 0 < part.upper
    assert part.harm_log_e < 0
    assert part.pairs == full.pairs * 2 // 3


def test_requests_before_the_challenger_was_loaded_do_not_count(tmp_path: Path) -> None:
    """A server that follows the ledger a day late has not failed on that day."""
    log = new_log(tmp_path)
    rows = trial([200.0] * 96, [200.0] * 96)
    loaded = [row for row in rows if row.version == 1 or row.at >= START + DAY]
    write(log, [*loaded, *(label(hour, 200.0) for hour in range(96))])
    loss = loss_of(evidence(log, START + 5 * DAY))
    assert loss.pairs == 72
    assert loss.upper == -loss.lower


def test_a_look_reads_no_labels_from_before_the_trial(tmp_path: Path) -> None:
    """What a trial costs does not grow with the years before it: their files may be gone."""
    log = new_log(tmp_path)
    year = 24 * 366
    later = range(year, year + 96)
    write(log, [label(hour, 200.0) for hour in range(0, year - 24 * 40, 24)])
    both = [*(prediction(hour, 200.0) for hour in later), *(challenger_row(hour, 210.0) for hour in later)]
    write(log, [*both, *(label(hour, 200.0) for hour in later)])
    for file in (log.root / "labels").glob("2012-*/*"):
        file.unlink()
    since = START + year * HOUR
    assert loss_of(evidence(new_log(tmp_path), since + 6 * DAY, since=since)).pairs == 96


def test_without_a_reference_no_losses_are_compared(tmp_path: Path) -> None:
    """Nothing says how large a difference may count, so the rollout waits."""
    log = new_log(tmp_path)
    write(log, [*trial([200.0] * 96, [0.0] * 96), *(label(hour, 200.0) for hour in range(96))])
    assert evidence(log, START + 5 * DAY, reference=None).loss is None


def canary(hours: int, share: float, chosen: Sequence[int], users: int | None = None) -> list[Prediction]:
    """A canary: the challenger answers the chosen hours, each version predicts the others beside the other."""
    rows = []
    for hour in range(hours):
        mine = hour in chosen
        key = None if users is None else f"u{hour % users}"
        rows.append(prediction(hour, 200.0, share=share, answered=not mine, key=key))
        rows.append(challenger_row(hour, 200.0, share=share, answered=mine, key=key))
    return rows


def test_a_canary_is_asked_about_its_split(tmp_path: Path) -> None:
    """A tenth of the requests at a share of 10 % is as designed; a half is not, and freezes the rollout."""
    log = new_log(tmp_path / "fair")
    write(log, canary(500, 0.1, range(0, 500, 10)))
    assert evidence(log, START + 30 * DAY).split_log_e < 0
    log = new_log(tmp_path / "unfair")
    write(log, canary(500, 0.1, range(0, 500, 2)))
    assert decide(POLICY, "canary", 0.1, evidence(log, START + 13 * DAY)).action == "freeze"


def test_a_user_counts_once_in_the_split(tmp_path: Path) -> None:
    """Users stay with their version: one of four users with a quarter of the traffic is one draw, not a hundred."""
    log = new_log(tmp_path)
    write(log, canary(400, 0.1, range(0, 400, 4), users=4))
    assert abs(evidence(log, START + 30 * DAY).split_log_e) < 1.0


def test_users_who_are_not_kept_give_no_verdict_on_the_split(tmp_path: Path) -> None:
    """One busy user with half of the traffic, and the policy drops who it was: that is no sign of a wrong split."""
    log = new_log(tmp_path)
    busy = canary(500, 0.1, range(0, 500, 2))
    write(log, [replace(row, key=DROPPED) for row in busy])
    assert evidence(log, START + 30 * DAY).split_log_e == 0.0
    unknown = [replace(row, id=f"q{row.id}", at=row.at + HOUR / 2) for row in busy]
    write(log, unknown)
    assert evidence(log, START + 30 * DAY).split_log_e > 4.6, "requests that named nobody are still judged"


def test_a_challenger_that_fails_in_its_canary_was_still_chosen(tmp_path: Path) -> None:
    """Another version saved its requests; the split is as designed all the same."""
    rows = canary(500, 0.1, range(0, 500, 10))
    lost = [
        replace(row, answered=False, output=None, raw=None, error="PackageError", action="fallback")
        if row.version == 2 and row.answered
        else row
        for row in rows
    ]
    log = new_log(tmp_path)
    write(log, lost)
    assert evidence(log, START + 30 * DAY).split_log_e < 0


def test_requests_that_were_refused_for_another_rows_sake_keep_the_split_fair(tmp_path: Path) -> None:
    """Who was to answer them says ``refuse``; where that is not known, the request is not counted as the champion's."""
    log = new_log(tmp_path)
    refused = [
        replace(row, answered=False, action="refuse" if row.answered else None)
        for row in canary(500, 0.1, range(0, 500, 10))
    ]
    write(log, [replace(row, action=None) if row.at < START + 10 * DAY else row for row in refused])
    assert evidence(log, START + 30 * DAY).split_log_e < 0


def test_nothing_yet_is_no_evidence(tmp_path: Path) -> None:
    """An empty log gives evidence that decides nothing."""
    found = evidence(new_log(tmp_path), START + DAY)
    assert (found.loss, found.canary_requests, found.split_log_e) == (None, 0, 0.0)
    assert decide(POLICY, "shadow", 0.0, found).action == "wait"


@pytest.mark.parametrize("late", [False, True])
def test_labels_that_come_after_the_look_are_not_known_to_it(tmp_path: Path, *, late: bool) -> None:
    """A look at a past moment sees what was known then."""
    log = new_log(tmp_path)
    labels: list[Label] = [label(hour, 200.0, delay=10 * DAY if late else HOUR) for hour in range(48)]
    write(log, [*trial([200.0] * 48, [200.0] * 48), *labels])
    assert (evidence(log, START + 4 * DAY).loss is None) == late
