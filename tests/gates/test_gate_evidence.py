"""Evidence of a gate: two models' losses on the same rows, with their dependence, by slice."""

from __future__ import annotations

import numpy as np
import pytest

from kairos.errors import SettingsError, ShapeMismatch, UsageError
from kairos.gates.decide import decide
from kairos.gates.evidence import measure
from kairos.gates.policy import GatePolicy

POLICY = GatePolicy(loss="absolute_error")
DIGEST = "0" * 32


def test_rows_in_time_are_taken_as_dependent() -> None:
    """A difference that comes and goes in long waves proves less than its rows suggest, in whatever order they come."""
    rng = np.random.default_rng(3)
    wave = np.repeat(rng.standard_normal(20), 20) * 5
    champion, challenger = np.full(400, 20.0), 19.0 + wave
    naive = measure(champion, challenger, policy=POLICY, rows_digest=DIGEST)
    timely = measure(champion, challenger, policy=POLICY, rows_digest=DIGEST, times=np.arange(400))
    assert timely.overall.se > 1.5 * naive.overall.se
    assert timely.overall.method == "newey_west"
    mix = rng.permutation(400)
    mixed = measure(champion, challenger[mix], policy=POLICY, rows_digest=DIGEST, times=np.arange(400)[mix])
    assert mixed.overall.se == pytest.approx(timely.overall.se)


def test_rows_of_one_moment_are_one_block() -> None:
    """Ten shops in the same hour are not ten times the evidence if all of them had rain."""
    rain = np.random.default_rng(4).standard_normal(40)
    challenger = 20.0 + np.repeat(rain, 10)
    found = measure(
        np.full(400, 20.0), challenger, policy=POLICY, rows_digest=DIGEST, times=np.repeat(np.arange(40), 10)
    )
    assert found.overall.method == "newey_west_blocks"
    assert found.overall.design_effect > 5


def test_with_moments_and_entities_the_more_cautious_is_kept() -> None:
    """A model that is worse for some users for ever is not seen among neighbours in time, but among their own rows."""
    rng = np.random.default_rng(5)
    liked = rng.standard_normal(20)
    who = np.tile(np.arange(20), 50)
    champion, challenger = np.full(1000, 20.0), 20.0 + liked[who] + rng.standard_normal(1000)
    by_time = measure(champion, challenger, policy=POLICY, rows_digest=DIGEST, times=np.arange(1000))
    names = np.array([None if i == 0 else f"user {i}" for i in who], dtype=object)
    both = measure(champion, challenger, policy=POLICY, rows_digest=DIGEST, times=np.arange(1000), entities=names)
    assert both.overall.method == "blocks"
    assert both.overall.se > 2 * by_time.overall.se


def test_right_or_wrong_is_judged_by_score_bounds() -> None:
    """Few rows on which two models differ are not over-trusted, on the whole and on slices."""
    policy = GatePolicy(loss="zero_one", slices=("half",))
    champion = np.r_[np.ones(12), np.zeros(88)]
    challenger = np.r_[np.zeros(12), np.ones(5), np.zeros(83)]
    found = measure(champion, challenger, policy=policy, rows_digest=DIGEST, slices={"half": [1] * 50 + [2] * 50})
    assert found.overall.method == "tango"
    assert found.overall.difference == pytest.approx(0.07)
    assert found.overall.lower < 0.07 < found.overall.upper
    assert found.slices["half=2"].discordant == 0
    assert found.slices["half=2"].lower < -0.04
    same = measure(champion, champion, policy=policy, rows_digest=DIGEST, slices={"half": [1] * 50 + [2] * 50})
    needed = decide(GatePolicy(loss="zero_one", require="non_inferior"), same).needed_rows
    assert needed is not None
    assert needed > 1000


def test_the_moments_of_the_rows_are_kept() -> None:
    """Whoever reads the decision sees how fresh the rows were."""
    hours = np.arange("2012-03-01T00", "2012-03-06T04", dtype="datetime64[h]").astype("datetime64[us]")
    found = measure(np.ones(124), np.zeros(124), policy=POLICY, rows_digest=DIGEST, times=hours)
    assert (found.oldest, found.freshest) == ("2012-03-01T00:00:00Z", "2012-03-06T03:00:00Z")
    assert "the rows are from 2012-03-01T00:00:00Z to 2012-03-06T03:00:00Z" in decide(POLICY, found).reasons
    assert measure(np.ones(3), np.zeros(3), policy=POLICY, rows_digest=DIGEST).freshest is None


def test_what_does_not_fit_is_refused() -> None:
    """Arrays of other lengths, slices that are not there, and columns that are no slices."""
    with pytest.raises(ShapeMismatch, match="3 and 2"):
        measure(np.zeros(3), np.zeros(2), policy=POLICY, rows_digest=DIGEST)
    sliced = GatePolicy(loss="absolute_error", slices=("city",))
    with pytest.raises(UsageError, match="no levels of the slice 'city'"):
        measure(np.zeros(3), np.zeros(3), policy=sliced, rows_digest=DIGEST)
    with pytest.raises(SettingsError, match="60 levels"):
        measure(np.zeros(60), np.zeros(60), policy=sliced, rows_digest=DIGEST, slices={"city": range(60)})
