"""The past of models of several numbers and of models that rank: learnt from and judged as the loop would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from kairos import model as declare
from kairos.app.backtest.hindsight import best_schedule, never, weekly
from kairos.app.backtest.learning import learn
from kairos.app.backtest.loop import Rules, loop
from kairos.app.backtest.past import Cut, lived
from kairos.app.backtest.tables import TablePast, spec_of
from kairos.app.comparing import _parts
from kairos.app.settings import ModelSettings, load_settings
from kairos.errors import DataRefused
from kairos.gates.lists import in_lists
from kairos.gates.losses import loss_named
from kairos.values import Window

SENT = Window.parse("2012-02-01..2012-04-04")
CUT = Cut(until=35.0, days=28.0)


def settings(folder: Path, lines: str) -> ModelSettings:
    """Of the model, with these lines."""
    text = f'[project]\nname = "past"\n[model.demand]\nholdout = "split.holdout"\ntime = "hour"\n{lines}\n'
    (folder / "kairos.toml").write_text(text)
    return load_settings(folder).model("demand")


def rows(*, changes: bool = False) -> pl.DataFrame:
    """Six hours a day that make a list each, of four rows; from the fourth week of traffic on another world."""
    random = np.random.default_rng(7)
    hours = pl.datetime_range(SENT.start, SENT.end, "4h", closed="left", eager=True, time_zone="UTC")
    hours = pl.concat([hours.dt.offset_by("-28d").head(168), hours]).repeat_by(4).explode()
    x = random.normal(size=len(hours))
    sign = np.where(changes & (np.arange(len(hours)) > 24 * 49), -1.0, 1.0)
    said = sign * x + 0.1 * random.normal(size=len(hours))
    return pl.DataFrame(
        {
            "hour": hours,
            "search": hours.dt.to_string("s%m%d%H"),
            "x": x,
            "h1": said,
            "h2": 100 - 10 * said,
            "relevance": np.clip(np.round(said + 1), 0, 3),
            "kind": pl.Series(np.select([said < -0.5, said < 0.5], ["low", "mid"], "top")),
            "rare": np.select([said < 0.5, said < 2.5], [0, 1], 2),
        }
    ).sample(fraction=1.0, shuffle=True, seed=1)


def past_of(table: pl.DataFrame, model: ModelSettings, step: Any) -> TablePast:
    """Four weeks of history, a truth that is known a day later."""
    return TablePast.of(table, model, step, SENT, history=28.0, delay=1.0, holdout=7.0)


@declare(target=["h1", "h2"], drop=["search", "relevance", "kind", "rare"])
def steps(train: Any) -> Any:
    """Two steps ahead."""
    return LinearRegression()


@declare(target="kind", drop=["search", "relevance", "h1", "h2", "rare"])
def kinds(train: Any) -> Any:
    """A class with a name."""
    return LogisticRegression()


@declare(target="rare", drop=["search", "relevance", "h1", "h2", "kind"])
def rare(train: Any) -> Any:
    """A class that is a number, and of which the first weeks may know two alone."""
    return LogisticRegression()


@declare(target="relevance", drop=["h1", "h2", "kind", "rare"])
def orders(train: Any) -> Any:
    """Scores."""
    return LinearRegression()


LINES = {
    "steps": 'loss = "absolute_error"',
    "kinds": 'loss = "log_loss"',
    "rare": 'loss = "brier"',
    "orders": 'loss = "ndcg:3"\nrank_within = "search"\n[model.demand.gate]\nmin_rows = 20',
}
STEPS = {"steps": steps, "kinds": kinds, "rare": rare, "orders": orders}


@pytest.mark.parametrize("name", LINES)
def test_losses_are_those_of_a_model_that_learnt_from_what_was_known(tmp_path: Path, name: str) -> None:
    """Learnt by hand from the same rows; nothing is said of rows before."""
    table, model, step = rows(), settings(tmp_path, LINES[name]), STEPS[name]
    past = past_of(table, model, step)
    losses = past.losses(CUT)
    assert np.isnan(losses[: past.rows(0, CUT.until).stop]).all()
    in_time = table.sort("hour", maintain_order=True)
    began = SENT.start.timestamp() / 86_400 - 28.0
    day = in_time["hour"].dt.epoch("us").to_numpy() / 86_400e6 - began
    known = in_time.filter(pl.Series((day >= 7.0) & (day < 35.0)))
    later = in_time.filter(pl.Series(day >= 35.0))
    learnt = learn(step(known), known, model, spec_of(step))
    truth, said = learnt.truth(later), learnt.raw(later)
    if name == "orders":
        truth, said, _ = in_lists(later["search"].to_numpy().astype(str), truth, said)
    expected = loss_named(model.gate.loss)(truth, said)
    assert losses[~np.isnan(losses)] == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert past.simple().size == past.rows(past.start, np.inf).stop - past.rows(past.start, np.inf).start
    assert np.nanmean(losses) < past.simple().mean()


@pytest.mark.parametrize("name", LINES)
def test_the_loop_reacts_to_a_world_that_changed(tmp_path: Path, name: str) -> None:
    """Whatever a row's numbers are: it changes, and loses less than who never does."""
    model, step = settings(tmp_path, LINES[name]), STEPS[name]
    past = past_of(rows(changes=True), model, step)
    schedule = loop(past, Rules(gate=model.gate))
    stays, weeks, best = (lived(past, each(past)).mean() for each in (never, weekly, best_schedule))
    assert len(schedule) > 1
    assert lived(past, schedule).mean() < stays
    assert best <= weeks


def test_each_target_is_judged_by_itself_and_their_mean_is_the_whole(tmp_path: Path) -> None:
    """Two schedules are compared by each; the intervals of all parts hold together, so each is wider than alone."""
    past = past_of(rows(changes=True), settings(tmp_path, LINES["steps"]), steps)
    assert list(past.parts) == ["h1", "h2"]
    both = np.mean([past.part_losses(part, CUT) for part in past.parts], axis=0)
    assert both == pytest.approx(past.losses(CUT), rel=1e-5, nan_ok=True)
    whole = lived(past, never(past)) - lived(past, weekly(past))
    found = _parts(past, never(past), weekly(past))
    assert [part.name for part in found] == ["h1", "h2"]
    assert np.mean([part.difference for part in found]) == pytest.approx(whole.mean(), rel=1e-5)
    for part in found:
        assert part.losses[0] - part.losses[1] == pytest.approx(part.difference)
        assert part.low < part.difference < part.high


def test_quantiles_are_judged_one_by_one_and_chances_are_not(tmp_path: Path) -> None:
    """Each by its own pinball loss."""

    class Two(LinearRegression):  # type: ignore[misc]
        """The same line twice, a little apart."""

        def predict(self, rows: Any) -> Any:
            """Two quantiles."""
            return np.column_stack([super().predict(rows) - 0.1, super().predict(rows) + 0.1])

    @declare(target="h1", drop=["search", "relevance", "kind", "rare", "h2"])
    def band(train: Any) -> Any:
        """Of one target."""
        return Two()

    past = past_of(rows(), settings(tmp_path, 'loss = "pinball:0.1,0.9"'), band)
    assert list(past.parts) == ["h1.q0.1", "h1.q0.9"]
    both = np.mean([past.part_losses(part, CUT) for part in past.parts], axis=0)
    assert both == pytest.approx(past.losses(CUT), rel=1e-4, nan_ok=True)
    assert past_of(rows(), settings(tmp_path, LINES["kinds"]), kinds).parts == {}


def test_lists_that_tell_no_order_are_learnt_from_and_not_judged(tmp_path: Path) -> None:
    """A list counts at the time of its first row."""
    table = rows().with_columns(relevance=pl.when(pl.col("search") == "s021000").then(1.0).otherwise("relevance"))
    past = past_of(table, settings(tmp_path, LINES["orders"]), orders)
    telling = table.group_by("search").agg(pl.col("relevance").n_unique()).filter(pl.col("relevance") > 1)
    assert past.day.size == len(telling) < table["search"].n_unique()
    assert (np.diff(past.day) >= 0).all()
    assert len(past.table) == len(table)
    with pytest.raises(DataRefused, match=r"lack the column 'search'.*by which 'demand' is judged"):
        past_of(table.drop("search"), settings(tmp_path, LINES["orders"]), orders)
