"""What is watched of arrays: a few numbers of each cell, the same from the training table and from the log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from kairos.models.arrays import FREE, ragged, to_log
from kairos.models.profile import MOST_SUMMARISED, ColumnProfile, Profile
from kairos.models.summaries import summaries
from kairos.monitor.cells import input_cells
from kairos.monitor.checks.drift import column_drift, input_drift
from kairos.monitor.policy import MonitorPolicy
from kairos.monitor.watched import summary_of, watched_inputs
from kairos.values import canonical_json
from tests.monitor.logs import DAY, START, new_log, prediction, truth, write
from tests.monitor.test_watch import look

RANDOM = np.random.default_rng(5)
DAYS = 14


def profile_of(values: Any, shape: tuple[int, ...] = ()) -> Profile:
    """Of a model with one column of arrays, which it relies on alone."""
    target = np.random.default_rng(6).gamma(25.0, 8.0, size=len(values))
    return Profile.fit(
        {"vector": ("array", values)},
        target=target,
        prediction=target,
        prediction_on="holdout",
        importances={"vector": 1.0},
        shapes={"vector": shape} if shape else None,
    )


def free(lengths: Any, axes: tuple[int, ...]) -> Any:
    """Series of so many moments, each of some numbers."""
    return ragged(RANDOM.normal(size=(length, *axes)) for length in lengths)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (FREE,), (FREE, 3), (FREE, FREE)])
def test_the_log_says_of_an_array_what_training_said(shape: tuple[int, ...]) -> None:
    """To the last bit but for sums, which are added in another order; an empty cell, and one that is not there."""
    if FREE in shape:
        lengths = [0, 1, 2, 5, 7, 3]
        cells: Any = ragged(
            RANDOM.normal(size=tuple(length if axis == FREE else axis for axis in shape)) for length in lengths
        )
    else:
        cells = RANDOM.normal(size=(6, *shape))
    expected = summaries(cells, shape)
    told = [to_log(cell, shape) for cell in cells]
    series = pl.Series([*told, None], dtype=pl.List(pl.Float64))
    for name, values in expected.items():
        found = summary_of(name, series, shape if FREE in shape else ())
        np.testing.assert_allclose(found[:-1], values, rtol=1e-12, atol=1e-12)
        assert np.isnan(found[-1])
    if FREE in shape:
        assert expected["length"].tolist() == [length ** shape.count(FREE) for length in lengths]
        assert np.isnan(expected["largest"][0])


def test_each_summary_has_a_name_and_shares_its_columns_error() -> None:
    """A column of that name comes first; a profile is read again as it was written."""
    profile = profile_of(free([2, 5, 9] * 20, (3,)), (FREE, 3))
    names = ["vector", "vector (norm)", "vector (smallest)", "vector (largest)", "vector (length)"]
    assert list(watched_inputs(profile)) == names
    assert {each.beside for each in watched_inputs(profile).values()} == {5}
    assert Profile.from_plain(profile.told()) == profile
    taken = replace(profile, columns={**profile.columns, "vector (norm)": ColumnProfile.fit("number", np.arange(9.0))})
    assert watched_inputs(taken)["vector (norm)"].column == "vector (norm)"


def test_of_many_arrays_those_that_matter_are_summarised() -> None:
    """So that a profile of 200 of them stays small."""
    columns = {f"embedding_{at:03}": ("array", RANDOM.normal(size=(500, 4))) for at in range(200)}
    importances = {name: at / 19900 for at, name in enumerate(columns)}
    target = RANDOM.normal(size=500)
    told: dict[str, Any] = {"target": target, "prediction": target, "prediction_on": "holdout"}
    profile = Profile.fit(columns, importances=importances, **told)  # type: ignore[arg-type]
    assert [name for name, each in profile.columns.items() if each.summaries] == list(columns)[-MOST_SUMMARISED:]
    assert len(canonical_json(profile.told())) < 200_000


def served(cells: Any, shape: tuple[int, ...]) -> list[Any]:
    """An hour each, kept in the log."""
    outputs = truth(np.random.default_rng(8), DAYS).tolist()
    told = [to_log(cell, shape) for cell in cells]
    return [prediction(hour, outputs[hour], inputs={"vector": numbers}) for hour, numbers in enumerate(told)]


@pytest.mark.parametrize(
    ("training", "live", "shape", "moved"),
    [
        (RANDOM.normal(size=(2000, 6)), RANDOM.normal(size=(24 * DAYS, 6)), (6,), set()),
        (RANDOM.normal(size=(2000, 6)), 2 * RANDOM.normal(size=(24 * DAYS, 6)), (6,),
         {"vector (norm)", "vector (smallest)", "vector (largest)"}),
        (free(RANDOM.integers(3, 30, 2000), ()), free(RANDOM.integers(3, 30, 24 * DAYS), ()), (FREE,), set()),
        (free(RANDOM.integers(3, 30, 2000), ()), free(RANDOM.integers(25, 60, 24 * DAYS), ()), (FREE,),
         {"vector (norm)", "vector (length)"}),
    ],
    ids=["the same", "twice as far from 0", "the same lengths", "longer"],
)  # fmt: skip
def test_what_the_mean_does_not_show_is_found(
    tmp_path: Path, training: Any, live: Any, shape: tuple[int, ...], moved: set[str]
) -> None:
    """The mean is 0 before and after. The severity counts the column once, however many of its summaries moved."""
    log = new_log(tmp_path)
    write(log, served(live, shape))
    profile = profile_of(training, shape if FREE in shape else ())
    found = look(log, profile, START + DAYS * DAY)
    warned = {each.column for each in found if each.check == "input_drift" and each.level == "warn"}
    assert warned >= moved
    assert bool(warned) == bool(moved)
    severities = [each.sentence for each in found if each.check == "drift_severity"]
    assert len(severities) == bool(moved)
    assert all(sentence.count("'vector'") == 1 for sentence in severities)


def test_vectors_of_one_norm_do_not_drift_by_rounding() -> None:
    """Normalised as float32 in training, as doubles in requests: the norm is 1 and has one cell."""
    vectors = RANDOM.normal(size=(500, 8))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    profile = profile_of(unit.astype(np.float32).astype(np.float64))
    rows = pl.DataFrame({"in.vector": pl.Series(unit.tolist(), dtype=pl.List(pl.Float64))})
    cells = input_cells(rows, profile)["vector (norm)"]
    assert cells.tolist() == [500, 0]


def test_several_summaries_are_no_several_chances_of_a_false_warning() -> None:
    """Sixty pages of three arrays that stand still: twelve things are watched, and one error rate is kept."""
    policy, rng = MonitorPolicy(), np.random.default_rng(7)
    profile = profile_of(rng.normal(size=(3000, 6)))
    watched = watched_inputs(profile)
    false = 0
    for _ in range(60):
        moved = {}
        for column in range(3):
            live = summaries(rng.normal(size=(7, 40, 6)).reshape(-1, 6))
            for name, each in watched.items():
                bins = each.profile.bins
                days = live[each.summary or "mean"].reshape(7, 40)
                counts = np.array([bins.fold(bins.counts(day)) for day in days])
                own = replace(policy, alpha=policy.alpha / each.beside)
                drift = column_drift(each.profile, counts, own)
                if drift is not None:
                    moved[f"{column} {name}"] = drift
        false += bool(input_drift(moved, policy=policy, until=START, version=1))
    assert false <= 60 * policy.alpha + 3 * np.sqrt(60 * policy.alpha)
