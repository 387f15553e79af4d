"""Training windows: the longest that is not proven worse, chosen by days that no candidate had seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.delivery.retrain.readings import Reading, mean_excess, pooled_excess
from kairos.delivery.retrain.windows import ALL, RECENT, TrainingWindow, choose_window, windows_to_try
from kairos.errors import UsageError
from kairos.values import Window, canonical_json

START = datetime(2012, 1, 2, tzinfo=UTC)


def weeks(count: int, losses: dict[str, float], *, noise: float = 1.0, seed: int = 0) -> tuple[Reading, ...]:
    """Weeks of 24 rows a day on which each window's model loses so much a row, with noise of its own."""
    random = np.random.default_rng(seed)
    return tuple(
        Reading(
            window=Window(START + week * timedelta(days=7), START + (week + 1) * timedelta(days=7)),
            rows=(24,) * 7,
            champion=(),
            tried={name: tuple(24 * loss + noise * random.normal(size=7)) for name, loss in losses.items()},
            chosen="all",
            age_days=0.0,
        )
        for week in range(count)
    )


def test_all_the_history_where_nothing_is_known() -> None:
    """Before the first reading."""
    assert choose_window(()) == ALL


def test_the_longest_where_none_is_proven_worse() -> None:
    """Equal within the noise: more rows teach more."""
    assert choose_window(weeks(3, {"all": 40.0, "91d": 40.0, "45.5d": 40.0}, noise=20.0, seed=2)) == ALL


def test_a_shorter_one_where_old_rows_do_harm() -> None:
    """The longest of those that are not worse than the best."""
    assert choose_window(weeks(3, {"all": 45.0, "91d": 40.0, "45.5d": 40.0})).name == "91d"


def test_only_the_last_readings_count() -> None:
    """A world that changed long ago is judged by what it is now."""
    past = weeks(10, {"all": 60.0, "45.5d": 40.0})
    now = weeks(RECENT, {"all": 40.0, "45.5d": 45.0}, seed=1)
    assert choose_window(past).name == "45.5d"
    assert choose_window((*past, *now)) == ALL


def test_only_windows_that_were_tried_in_all_of_them_are_compared() -> None:
    """After the settings have changed, what is new waits."""
    mixed = (*weeks(2, {"all": 45.0, "91d": 40.0}), *weeks(1, {"all": 45.0, "30d": 10.0, "91d": 40.0}))
    assert choose_window(mixed).name == "91d"
    assert choose_window((*weeks(2, {"91d": 40.0}), *weeks(1, {"30d": 10.0}))) == ALL


def test_the_order_in_which_windows_are_written_does_not_matter() -> None:
    """A ledger sorts their names; what remembers longer goes first all the same."""
    losses = {"all": 40.0, "all, half-life 45.5d": 40.0, "91d": 40.0, "45.5d": 40.0}
    kept = weeks(3, losses, noise=20.0)
    assert choose_window([Reading.from_plain(one.plain()) for one in kept]) == choose_window(kept)


def test_candidates_halve_down_to_two_days() -> None:
    """All, with weights if the model takes them, then a half, a quarter, an eighth, a sixteenth."""
    assert [one.name for one in windows_to_try(182.0, weighted=True)] == [
        "all",
        "all, half-life 45.5d",
        "91d",
        "45.5d",
        "22.75d",
        "11.38d",
    ]
    assert [one.name for one in windows_to_try(7.0, weighted=False)] == ["all", "3.5d"]


@given(st.none() | st.floats(0.5, 4000).map(lambda x: float(f"{x:g}")), st.none() | st.sampled_from([7.0, 45.5]))
def test_a_name_tells_all(days: float | None, half: float | None) -> None:
    """What is written in a fact is read back."""
    window = TrainingWindow(days=days, half_life_days=half)
    assert TrainingWindow.parse(window.name) == window


def test_what_is_no_name_is_refused() -> None:
    """With what is."""
    with pytest.raises(UsageError, match="training window"):
        TrainingWindow.parse("lately")


def test_a_reading_reads_back() -> None:
    """To the byte."""
    [one] = weeks(1, {"all": 40.0})
    assert canonical_json(Reading.from_plain(one.plain()).plain()) == canonical_json(one.plain())


def test_days_that_move_together_are_less_sure() -> None:
    """A slow wave over the days widens the error beyond that of independent days."""
    random = np.random.default_rng(3)
    rows = np.full(28, 24)
    wave = 24 * (1 + np.repeat(random.normal(size=4), 7))
    shuffled = random.permutation(wave)
    together, apart = mean_excess(wave, 0 * wave, rows), mean_excess(shuffled, 0 * wave, rows)
    assert together is not None
    assert apart is not None
    assert together.mean == pytest.approx(apart.mean)
    assert together.se > 1.3 * apart.se


def test_the_bound_holds() -> None:
    """A mean excess of nothing is put above zero at 80 % in about a fifth of 2,000 blocks of four weeks, not more."""
    random = np.random.default_rng(1)
    rows = np.full(28, 24)
    found = [mean_excess(random.normal(size=28), np.zeros(28), rows) for _ in range(2000)]
    rate = np.mean([one.bound(0.8) > 0 for one in found if one is not None])
    assert rate <= 0.2 + 3 * np.sqrt(0.2 * 0.8 / 2000)


def test_a_champion_that_saw_the_rows_is_not_measured() -> None:
    """Its reading tells of the windows alone."""
    assert pooled_excess(weeks(3, {"all": 40.0})) is None
