"""Two versions' rows of the prediction log, request by request: losses on the same requests, and who was to answer."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from kairos.delivery.rollout.evidence import PairedLoss
from kairos.monitor.bets import mean_log_e, mean_lower, mean_upper
from kairos.monitor.checks.quality import LossReference
from kairos.monitor.days import block_means
from kairos.monitor.forms import ONE_NUMBER, AnswerForm
from kairos.monitor.judgeable import LossOf
from kairos.stats.srm import srm_log_e
from kairos.store.records import DROPPED, OUTPUT_PREFIX

__all__ = ["Forms", "paired_loss", "requests_of", "split_log_e"]

Forms = tuple[AnswerForm, AnswerForm]
"""What champion and challenger answer with."""


def requests_of(rows: pl.DataFrame, champion: int, challenger: int) -> pl.DataFrame:
    """One row a request, in the order of prediction, from the first on that the challenger was asked for."""
    named = [name for name in rows.columns if name.startswith(OUTPUT_PREFIX)]
    listed = [name for name in ("list_key",) if name in rows.columns]
    told = rows.unique(["id", "version"], keep="first", maintain_order=True).select(
        *named,
        *listed,
        "id",
        "at",
        "version",
        "key",
        "share",
        "output",
        "latency_us",
        asked_first=pl.col("answered") | pl.col("action").is_in(["fallback", "refuse"]).fill_null(value=False),
        has=pl.lit(value=True),
    )
    own = ("output", "latency_us", "asked_first", "has", *named)
    arms = [
        told.filter(pl.col("version") == version).drop("version").rename({name: f"{name}_{arm}" for name in own})
        for arm, version in (("champion", champion), ("challenger", challenger))
    ]
    same = ["id", "at", "key", "share", *listed]
    requests = arms[0].join(arms[1], on=same, how="full", coalesce=True, nulls_equal=True)
    flags = [f"{name}_{arm}" for name in own[2:4] for arm in ("champion", "challenger")]
    requests = requests.with_columns(pl.col(flags).fill_null(value=False)).sort("at", "id")
    return requests.filter(pl.col("at") >= pl.col("at").filter(pl.col("has_challenger")).min())


def paired_loss(
    requests: pl.DataFrame,
    *,
    loss: LossOf,
    reference: LossReference,
    alpha: float,
    mature_until: datetime,
    forms: Forms = (ONE_NUMBER, ONE_NUMBER),
) -> PairedLoss | None:
    """Compares two versions' losses on the same requests, by whole days that are cut as their dependence allows.

    A version that gave nothing that could leave has the worst loss: the 99.9 % quantile of the reference, or the
    other's if that is larger. A request that only one version was asked for (the server was busy) is no pair; but the
    bound that a promotion rests on takes it as the challenger's worst case. One block's difference is cut
    at the champion's mean loss on its holdout, and what was cut is given back on average.

    Args:
        requests: One row a labelled request, with ``at``, ``label`` and, for both versions, ``output_…`` and ``has_…``.
        loss: Truth and prediction to loss per row.
        reference: Of the champion.
        alpha: Chance of error of each bound.
        mature_until: Days that end later wait.
        forms: What champion and challenger answer with.

    Returns:
        ``None`` while there is no mature day with a pair.
    """
    at = requests["at"].dt.replace_time_zone(None).to_numpy()
    arms = zip(forms, ("champion", "challenger"), strict=True)
    champion, challenger = (form.losses(loss, requests, suffix=f"_{arm}") for form, arm in arms)
    worst = np.fmax(reference.cap, np.fmax(champion, challenger))  # fmax prefers the one that is not NaN
    champion, challenger = (np.where(np.isnan(each), worst, each) for each in (champion, challenger))
    is_pair = (requests["has_champion"] & requests["has_challenger"]).to_numpy()

    difference = challenger - champion
    pairs = block_means(at[is_pair], difference[is_pair], scale=reference.mean, mature_until=mature_until)
    if pairs.means.size == 0:
        return None
    feared = np.where(is_pair, difference, worst)
    cautious = block_means(at, feared, scale=reference.mean, mature_until=mature_until)
    counted = is_pair & (at < np.datetime64(pairs.ends[-1].replace(tzinfo=None)))
    return PairedLoss(
        pairs=int(pairs.rows.sum()),
        champion_mean=float(champion[counted].mean()),
        challenger_mean=float(challenger[counted].mean()),
        lower=mean_lower(pairs.means, scale=reference.mean, alpha=alpha),
        upper=mean_upper(cautious.means, scale=reference.mean, alpha=alpha),
        harm_log_e=mean_log_e(pairs.means, scale=reference.mean),
    )


def split_log_e(requests: pl.DataFrame) -> float:
    """Whether users were split as designed. A user counts once, with the share that she was first met at.

    Where a request named no user, those of one list, or of one moment, are one user: their rows go to one version.
    Where it named one that is not kept, nobody knows which requests were hers: these are left out, as she stayed with
    one version however often she came.
    """
    has_user = pl.col("key").ne_missing(DROPPED)
    canary = requests.filter((pl.col("share") > 0) & (pl.col("share") < 1) & has_user)
    who = [name for name in ("key", "list_key") if name in canary.columns]
    users = canary.unique(pl.coalesce(*who, pl.col("at").cast(pl.String)), keep="first", maintain_order=True)
    total = 0.0
    for (share,), part in users.group_by("share", maintain_order=True):
        mine = int(part["asked_first_challenger"].sum())
        total += srm_log_e([len(part) - mine, mine], [1 - float(share), float(share)])
    return total
