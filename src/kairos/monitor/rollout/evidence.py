"""The evidence of a rollout: what two versions made of the same requests.

While a version is on trial, or bakes, both versions predict every request, whoever answers. So each request is a pair:
what differs between hours and users cancels. Bad events come from the server's counters, which cost the same to read
however long a trial lasts; losses, the split of users and how alike two versions are come from the prediction log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import polars as pl

from kairos.delivery.rollout import RolloutPolicy
from kairos.delivery.rollout.evidence import PairedLoss, RolloutEvidence
from kairos.monitor.checks.quality import LossReference
from kairos.monitor.days import day_number, day_start
from kairos.monitor.forms import ONE_NUMBER, in_one_form
from kairos.monitor.judgeable import LossOf
from kairos.monitor.labelled import counts_as_negative
from kairos.monitor.maturity import Maturity
from kairos.monitor.policy import Unlabelled
from kairos.monitor.rollout.alike import label_free
from kairos.monitor.rollout.guards import asked, guards, limits_of, unusable, values
from kairos.monitor.rollout.pairs import Forms, paired_loss, requests_of, split_log_e
from kairos.store.counts import Comparison, Process, merged
from kairos.store.predictions import PredictionLog
from kairos.values import Window

__all__ = ["count", "gather", "loss_path"]


def gather(
    log: PredictionLog,
    processes: Sequence[Process],
    comparison: Comparison,
    *,
    as_of: datetime,
    loss: LossOf,
    reference: LossReference | None,
    policy: RolloutPolicy,
    maturity: Maturity,
    forms: Forms = (ONE_NUMBER, ONE_NUMBER),
    unlabelled: Unlabelled = "exclude",
) -> RolloutEvidence:
    """Collects all that is known about a challenger beside a champion.

    Args:
        log: Of predictions and labels.
        processes: What the servers counted.
        comparison: The two versions; in a bake the former champion and the present one. All since its ``since``, when
            live traffic first reached the challenger, is one body of evidence.
        as_of: Whatever happened or arrived later is not looked at.
        loss: Truth and prediction to loss per row.
        reference: The champion's losses on its holdout, which set the scale; without one no losses are compared, and
            the rollout waits.
        policy: Its ``alpha`` and ``guards``.
        maturity: When a day counts.
        forms: What the two versions answer with.
        unlabelled: What a mature request counts as that has no label; only ``negative`` makes a difference.
    """
    forms = in_one_form(*forms)
    since, versions = comparison.since, [comparison.base, comparison.test]
    window = Window(since, max(since, as_of))
    rows = log.predictions(comparison.model, window, versions=versions)
    requests = requests_of(rows, comparison.base, comparison.test)
    paired = None
    if reference is not None:
        known = _labelled(
            log, comparison.model, window, rows, requests, as_of=as_of, loss=loss, forms=forms, unlabelled=unlabelled
        )
        paired = paired_loss(
            known,
            loss=loss,
            reference=reference,
            alpha=policy.alpha,
            mature_until=maturity.mature_until(as_of),
            forms=forms,
        )
    evidence = RolloutEvidence(
        as_of=as_of,
        since=since,
        on_trial_since=since,
        loss=paired,
        labels_after=maturity.matures_after,
        share_labelled=maturity.share_labelled,
        # of a few requests that were refused or only half captured, nobody knows who was to answer them
        split_log_e=split_log_e(requests.filter(pl.col("asked_first_champion") | pl.col("asked_first_challenger"))),
        label_free=label_free(requests),
    )
    return count(evidence, processes, comparison, as_of=as_of, policy=policy)


def loss_path(
    log: PredictionLog,
    comparison: Comparison,
    *,
    as_of: datetime,
    loss: LossOf,
    reference: LossReference,
    policy: RolloutPolicy,
    maturity: Maturity,
    forms: Forms = (ONE_NUMBER, ONE_NUMBER),
    unlabelled: Unlabelled = "exclude",
    most: int = 30,
) -> list[tuple[datetime, PairedLoss]]:
    """What the losses of the requests up to each day were worth, by the labels that are known now: for a picture.

    Args:
        log: As in ``gather``, and so on.
        most: Days that are looked at; of a longer trial every second, or third.

    Returns:
        When a day ended, and the comparison of all requests before; days without a pair are left out.
    """
    forms = in_one_form(*forms)
    window = Window(comparison.since, max(comparison.since, as_of))
    rows = log.predictions(comparison.model, window, versions=[comparison.base, comparison.test])
    requests = requests_of(rows, comparison.base, comparison.test)
    known = _labelled(
        log, comparison.model, window, rows, requests, as_of=as_of, loss=loss, forms=forms, unlabelled=unlabelled
    )
    first, last = day_number(comparison.since) + 1, day_number(maturity.mature_until(as_of))
    step, found = max(1, -(-(last - first + 1) // most)), []
    for number in range(last, first - 1, -step):
        day = day_start(number)
        paired = paired_loss(
            known.filter(pl.col("at") < day),
            loss=loss,
            reference=reference,
            alpha=policy.alpha,
            mature_until=day,
            forms=forms,
        )
        if paired is not None:
            found.append((day, paired))
    return found[::-1]


def _labelled(
    log: PredictionLog,
    model: str,
    window: Window,
    rows: pl.DataFrame,
    requests: pl.DataFrame,
    *,
    as_of: datetime,
    loss: LossOf,
    forms: Forms,
    unlabelled: Unlabelled,
) -> pl.DataFrame:
    """The requests whose truth is known, or counts as known, and is one that the loss takes."""
    truths = log.truths(model, window, rows, as_of=as_of)
    if counts_as_negative(unlabelled, forms[0]):
        none = requests.select(prediction_id="id").join(truths, on="prediction_id", how="anti", maintain_order="left")
        truths = pl.concat([truths, none.with_columns(label=pl.lit(0.0))], how="diagonal_relaxed")
    if forms[0].ranks:
        said = truths.select("label", id="prediction_id")
        return forms[0].labelled(requests.join(said, on="id", maintain_order="left"))
    labels = forms[0].labelled(truths).filter(pl.col("label").is_finite())
    labels = labels.filter(forms[0].proper(loss, labels)).drop("label_at").rename({"prediction_id": "id"})
    return requests.join(labels, on="id", maintain_order="left")


def count(
    evidence: RolloutEvidence,
    processes: Sequence[Process],
    comparison: Comparison,
    *,
    as_of: datetime,
    policy: RolloutPolicy,
) -> RolloutEvidence:
    """The evidence with the present counts; what the log tells stays as it was when it was gathered."""
    counts, limits = merged(processes, comparison), limits_of(processes, comparison)
    return replace(
        evidence,
        as_of=as_of,
        guards=guards(counts, limits, policy.guards, policy.events),
        values=values(counts, limits, policy.values),
        requests=sum(counters.get("requests", 0) for counters in counts.values()),
        pairs=sum(counters.get("paired", 0) for counters in counts.values()),
        asked=asked(counts),
        unusable=unusable(processes, comparison, counts),
    )
