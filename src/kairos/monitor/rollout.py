"""The evidence of a rollout: what two versions made of the same requests.

While a version is on trial, or bakes, both versions predict every request, whoever answers. So each request is a pair:
what differs between hours and users cancels, and a bad event of one version has its counterpart beside it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.delivery.rollout import Guard, PairedLoss, RolloutEvidence, RolloutPolicy
from kairos.monitor.bets import mean_log_e, mean_lower, mean_upper
from kairos.monitor.checks.quality import LossReference
from kairos.monitor.days import daily_means
from kairos.monitor.tallies import LossOf
from kairos.stats.badevents import harm_log_e
from kairos.stats.srm import srm_log_e
from kairos.store.predictions import PredictionLog
from kairos.store.records import DROPPED
from kairos.values import Window

__all__ = ["gather", "paired_loss"]

_EVEN = 0.5
"""A bad event that only one of two equally good versions has on a request is as likely the one's as the other's."""


def gather(
    log: PredictionLog,
    *,
    model: str,
    champion: int,
    challenger: int,
    since: datetime,
    as_of: datetime,
    loss: LossOf,
    reference: LossReference | None,
    policy: RolloutPolicy,
    matures_after: timedelta = timedelta(days=1),
) -> RolloutEvidence:
    """Collects what is known about a challenger beside a champion.

    Args:
        log: Of predictions and labels.
        model: Whose versions.
        champion: The version to be beaten; in a bake, the former champion.
        challenger: The version on trial, or baking.
        since: When live traffic first reached the challenger: all of the trial is one body of evidence.
        as_of: Whatever happened or arrived later is not looked at.
        loss: Truth and prediction to loss per row.
        reference: The champion's losses on its holdout, which set the scale; without one no losses are compared, and
            the rollout waits.
        policy: Its ``alpha``.
        matures_after: A day counts once this long has passed since its end.
    """
    window = Window(since, max(since, as_of))
    rows = log.predictions(model, window, versions=[champion, challenger])
    requests = _requests(rows, champion, challenger)
    both = requests.filter(pl.col("has_champion") & pl.col("has_challenger"))
    paired = None
    if reference is not None:
        labels = log.truths(model, window, rows, as_of=as_of).filter(pl.col("label").is_finite())
        known = requests.join(labels.select("label", id="prediction_id"), on="id", maintain_order="left")
        paired = paired_loss(
            known, loss=loss, reference=reference, alpha=policy.alpha, mature_until=as_of - matures_after
        )
    return RolloutEvidence(
        as_of=as_of,
        since=since,
        loss=paired,
        guards=(_guard("errors", both, "failed"), _guard("impossible values", both, "impossible")),
        canary_requests=int(requests["answered_challenger"].sum()),
        # of a few requests that were refused or only half captured, nobody knows who was to answer them
        split_log_e=_split_log_e(requests.filter(pl.col("asked_first_champion") | pl.col("asked_first_challenger"))),
    )


def paired_loss(
    requests: pl.DataFrame, *, loss: LossOf, reference: LossReference, alpha: float, mature_until: datetime
) -> PairedLoss | None:
    """Compares two versions' losses on the same requests, by whole days.

    A version that gave nothing that could leave has the worst loss: the 99.9 % quantile of the reference, or the
    other's if that is larger. A request that only one version was asked for (the server was busy) is no pair; but the
    bound that a promotion rests on takes it as the challenger's worst case. One day's difference counts as at most the
    champion's mean loss on its holdout: in its favour for harm, against it for promotion.

    Args:
        requests: One row a labelled request, with ``at``, ``label`` and, for both versions, ``output_…`` and ``has_…``.
        loss: Truth and prediction to loss per row.
        reference: Of the champion.
        alpha: Chance of error of each bound.
        mature_until: Days that end later wait.

    Returns:
        ``None`` while there is no mature day with a pair.
    """
    at, truth = requests["at"].dt.replace_time_zone(None).to_numpy(), requests["label"].to_numpy()
    champion, challenger = (_losses(requests[f"output_{arm}"], truth, loss) for arm in ("champion", "challenger"))
    worst = np.fmax(reference.cap, np.fmax(champion, challenger))  # fmax prefers the one that is not NaN
    champion, challenger = (np.where(np.isnan(each), worst, each) for each in (champion, challenger))
    is_pair = (requests["has_champion"] & requests["has_challenger"]).to_numpy()

    pairs = daily_means(at[is_pair], (challenger - champion)[is_pair], mature_until=mature_until)
    if pairs.means.size == 0:
        return None
    cautious = daily_means(at, np.where(is_pair, challenger - champion, worst), mature_until=mature_until)
    counted = is_pair & (at < np.datetime64(pairs.ends[-1].replace(tzinfo=None)))
    return PairedLoss(
        pairs=int(pairs.rows.sum()),
        champion_mean=float(champion[counted].mean()),
        challenger_mean=float(challenger[counted].mean()),
        lower=mean_lower(pairs.means, scale=reference.mean, alpha=alpha),
        upper=mean_upper(cautious.means, scale=reference.mean, alpha=alpha),
        harm_log_e=mean_log_e(pairs.means, scale=reference.mean),
    )


def _losses(outputs: pl.Series, truth: NDArray[np.float64], loss: LossOf) -> NDArray[np.float64]:
    """The loss of each row, shape (n,); NaN where there is no output."""
    output = outputs.to_numpy()
    given = np.isfinite(output)
    losses = np.full(len(output), np.nan)
    losses[given] = loss(truth[given], output[given])
    return losses


def _requests(rows: pl.DataFrame, champion: int, challenger: int) -> pl.DataFrame:
    """One row a request, in the order of prediction, from the first on that the challenger was asked for."""
    told = rows.unique(["id", "version"], keep="first", maintain_order=True).select(
        "id",
        "at",
        "version",
        "key",
        "share",
        "output",
        failed=pl.col("error").is_not_null() | pl.col("raw").is_null(),
        # what the owner lets be clipped is mended before it leaves, and is judged by its loss
        impossible=pl.col("violation").is_not_null() & pl.col("action").ne_missing("clip"),
        answered=pl.col("answered"),
        asked_first=pl.col("answered") | pl.col("action").is_in(["fallback", "refuse"]).fill_null(value=False),
        has=pl.lit(value=True),
    )
    own = ("output", "failed", "impossible", "answered", "asked_first", "has")
    arms = [
        told.filter(pl.col("version") == version).drop("version").rename({name: f"{name}_{arm}" for name in own})
        for arm, version in (("champion", champion), ("challenger", challenger))
    ]
    requests = arms[0].join(arms[1], on=["id", "at", "key", "share"], how="full", coalesce=True, nulls_equal=True)
    flags = [f"{name}_{arm}" for name in own[1:] for arm in ("champion", "challenger")]
    requests = requests.with_columns(pl.col(flags).fill_null(value=False)).sort("at", "id")
    return requests.filter(pl.col("at") >= pl.col("at").filter(pl.col("has_challenger")).min())


def _guard(name: str, requests: pl.DataFrame, kind: str) -> Guard:
    """Bad events of one kind that only one of the two versions had, over requests that both were asked for."""
    mine, theirs = requests[f"{kind}_challenger"], requests[f"{kind}_champion"]
    counts = {_EVEN: (int((mine & ~theirs).sum()), int((theirs & ~mine).sum()))}
    return Guard(name=name, counts={str(share): pair for share, pair in counts.items()}, harm_log_e=harm_log_e(counts))


def _split_log_e(requests: pl.DataFrame) -> float:
    """Whether users were split as designed. A user counts once, with the share that she was first met at.

    Where a request named no user, requests of one moment are one user: the rows of one request go to one version. Where
    it named one that is not kept, nobody knows which requests were hers: these are left out, as she stayed with one
    version however often she came.
    """
    has_user = pl.col("key").ne_missing(DROPPED)
    canary = requests.filter((pl.col("share") > 0) & (pl.col("share") < 1) & has_user)
    users = canary.unique(pl.coalesce("key", pl.col("at").cast(pl.String)), keep="first", maintain_order=True)
    total = 0.0
    for (share,), part in users.group_by("share", maintain_order=True):
        mine = int(part["asked_first_challenger"].sum())
        total += srm_log_e([len(part) - mine, mine], [1 - float(share), float(share)])
    return total
