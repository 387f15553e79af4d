"""Reference losses: of rows or of lists, whole and by the levels that the project names."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from kairos.gates.losses import loss_named
from kairos.models import every
from kairos.models.losses import LevelLoss, ReferenceLosses, losses_by_level
from kairos.models.options import ModelOptions
from kairos.models.profile import Profile
from kairos.models.reference import Judged, reference_losses
from kairos.values import plain

PLAIN = ModelOptions(slices=("country", "gone"))
RANKED = ModelOptions(rank_within="search", loss="pairwise_error", slices=("country",))
ROWS = pl.DataFrame({"country": ["at"] * 12 + ["ch"] * 12 + ["li"] * 2, "truth": [0.0] * 26})
LISTS = pl.DataFrame(
    {
        "search": [f"s{list_}" for list_ in range(20) for _ in range(3)],
        "country": ["at" if list_ < 12 else "ch" for list_ in range(20) for _ in range(3)],
    }
)


def test_each_level_has_its_mean_and_one_of_few_rows_is_not_named() -> None:
    """A column that the table lacks has no levels; one of more than 50 is no slice."""
    answers = np.array([1.0] * 12 + [3.0] * 12 + [9.0] * 2)
    judged = Judged(table=ROWS, truth=ROWS["truth"].to_numpy(), is_holdout=True)
    found = reference_losses(judged, answers, PLAIN)
    assert found is not None
    assert (found.mean, found.on) == (answers.mean(), "holdout")
    assert found.slices == {"country": {"at": LevelLoss(rows=12, mean=1.0), "ch": LevelLoss(rows=12, mean=3.0)}}
    assert losses_by_level(np.ones(600), [str(row % 60) for row in range(600)]) == {}
    assert list(losses_by_level(np.ones(40), [1.0, None] * 20)) == ["1", "None"]


def test_of_what_ranks_each_list_has_a_loss_and_the_level_of_its_first_row() -> None:
    """A list that tells of no order has none; without the column of lists nothing can be told."""
    relevance = np.tile([0.0, 1.0, 2.0], 20)
    relevance[:3] = 1.0
    scores = np.tile([0.0, 1.0, 2.0], 20)
    scores[36:] *= -1  # the lists of the second country stand the wrong way round
    judged = Judged(table=LISTS, truth=relevance, is_holdout=False)
    found = reference_losses(judged, scores, RANKED)
    assert found is not None
    assert (found.mean, found.sketch.rows, found.on) == (8 / 19, 19, "train")
    assert found.slices["country"] == {"at": LevelLoss(rows=11, mean=0.0), "ch": LevelLoss(rows=8, mean=1.0)}
    without = Judged(table=LISTS.drop("search"), truth=relevance, is_holdout=False)
    assert reference_losses(without, scores, RANKED) is None


def test_of_a_long_table_whole_lists_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every so many, evenly over the table; of rows every so many rows."""
    monkeypatch.setattr(every, "MOST_ROWS", 25)
    judged = Judged(table=LISTS, truth=None, is_holdout=False)
    lists, rows = judged.evenly(np.arange(60.0), RANKED)
    assert lists.table["search"].unique(maintain_order=True).to_list() == [f"s{each}" for each in range(0, 20, 3)]
    assert lists.table.height == 21
    assert rows.tolist() == [row for row in range(60) if row // 3 % 3 == 0]
    _, rows = judged.evenly(np.arange(60.0), PLAIN)
    assert rows.tolist() == list(range(0, 60, 3))


def test_a_profile_comes_back_with_its_slices_and_one_without_is_as_it_was() -> None:
    """What is written of a project that names no slices has no such field."""
    x = np.arange(40.0)
    losses = loss_named("absolute_error")(x, x + 1)
    for slices in ({}, {"country": ["at", "ch"] * 20}):
        kept = ReferenceLosses.fit(losses, loss="absolute_error", on="train", slices=slices)
        whole = Profile.fit({"x": ("number", x)}, target=x, prediction=x, prediction_on="train", losses=kept)
        told = whole.told()
        assert Profile.from_plain(told) == whole == Profile.from_plain(plain(whole))
        assert ("slices" in told["losses"]) == bool(slices)
