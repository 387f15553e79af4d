"""Live losses beside the reference losses: told in plain words, as information and no proof."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kairos.app.quality import Beside, Quality, _beside, _share_above, beside_sentences
from kairos.models.losses import ReferenceLosses
from kairos.values import VersionRef

THEN = ReferenceLosses.fit(
    np.arange(1.0, 101.0), loss="absolute_error", on="holdout", slices={"country": ["at", "ch"] * 50}
)
QUALITY = Quality(
    version=VersionRef("demand", 5), loss="mean absolute error", days=(), usual=None, tolerated=None,
    beside=(
        Beside(about=None, live=12.0, rows=1300, then=9.0), Beside(about="country=at", live=15.0, rows=600, then=9.5),
    ),
    share_above=0.25,
)  # fmt: skip


def test_live_losses_stand_beside_those_of_then() -> None:
    """Everything first, then the slice that rose most; a level that was not named then has nothing beside it."""
    assert THEN is not None
    levels = ["ch"] * 20 + ["at"] * 20 + ["li"] * 20
    live = np.array([60.0] * 20 + [90.0] * 20 + [10.0] * 20)
    whole, *slices = _beside(THEN, live, {"country": levels, "unknown": levels})
    assert whole == Beside(about=None, live=160 / 3, rows=60, then=50.5)
    assert slices == [
        Beside(about="country=at", live=90.0, rows=20, then=50.0),
        Beside(about="country=ch", live=60.0, rows=20, then=51.0),
    ]
    assert list(_beside(THEN, np.zeros(0), {})) == []


def test_how_many_lose_more_than_nine_tenths_did() -> None:
    """A tenth, where nothing has changed."""
    assert THEN is not None
    assert abs((_share_above(THEN, np.arange(1.0, 101.0)) or 0.0) - 0.1) < 0.03
    assert _share_above(THEN, np.full(10, 200.0)) == 1.0
    assert _share_above(THEN, np.zeros(0)) is None


def test_the_words_say_what_is_compared_and_that_nothing_is_proven() -> None:
    """Losses on rows of training are called so; of what ranks lists are counted."""
    first, slices, last = beside_sentences(QUALITY)
    assert first == (
        "demand@5 has had a mean absolute error of 12 on 1,300 live rows whose labels are in; when it was packaged it "
        "was 9 on the holdout. 25% of them lost more than nine tenths did then."
    )
    assert slices == "By slice, the most above it first: country=at 15 (then 9.5)."
    assert last == "That is for information: what is proven is told as a finding."
    ranks = replace(QUALITY, beside=QUALITY.beside[:1], beside_on="train", unit="list", share_above=None)
    first, last = beside_sentences(ranks)
    assert "1,300 live lists" in first
    assert "on the rows of training, where losses are smaller." in first
    assert beside_sentences(replace(QUALITY, beside=())) == ()
