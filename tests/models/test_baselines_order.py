"""The simple models beside a model that ranks: they order the rows of a list by what tells these rows apart."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from kairos.gates.lists import Lists, in_lists
from kairos.gates.losses import loss_named
from kairos.models.baselines.choosing import Series, fit_baselines
from kairos.models.baselines.fitted import Baselines
from kairos.models.baselines.names import BASELINES
from kairos.models.frames import read_column

UNTIMED = Series(time=None, entity=None, delay_s=0.0)


def table(lists: int = 120, seed: int = 0) -> pl.DataFrame:
    """Lists of 2 to 6 flats. How dear all of a list are says nothing of an order; how dear one is among them does."""
    random = np.random.default_rng(seed)
    rows: list[tuple[int, float, float, str, str, float]] = []
    for number in range(lists):
        size, level = 2 + number % 5, random.normal(0, 10)
        for price, rooms in random.normal(size=(size, 2)):
            relevance = float(np.clip(np.round(2 - price + 0.3 * random.normal()), 0, 4))
            rows.append((number, level + price, rooms, ["a", "b"][int(rooms > 0)], f"note {len(rows)}", relevance))
    return pl.DataFrame(rows, schema=["search", "price", "rooms", "kind", "note", "relevance"], orient="row")


def fitted(frame: pl.DataFrame, names: Any = ("price", "rooms", "kind", "note"), **words: Any) -> Baselines:
    columns = {name: read_column(frame, name) for name in names}
    given: dict[str, Any] = {"loss": "ndcg:5", "asked": BASELINES, "series": UNTIMED} | words
    lists = Lists.of(frame["search"].to_numpy()).of_row
    return fit_baselines(frame, columns, frame["relevance"].to_numpy(), (), lists=lists, **given)


def test_a_line_orders_by_what_rows_of_one_list_differ_in() -> None:
    """As least squares over the pairs of each list; it orders new lists, where a line of all rows would not."""
    frame = table()
    found = fitted(frame, ("price", "rooms"))
    assert (found.chosen, found.names) == ("linear", ("linear", "constant"))
    assert found.left_out == {"last_value": "it ranks lists, and a last value is no order"}
    told = frame.filter(pl.col("relevance").n_unique().over("search") > 1)
    held = told.select(pl.col("price", "rooms") / pl.col("price", "rooms").std(ddof=0)).to_numpy()
    pairs, goals, weights = [], [], []
    for rows in told.with_row_index().group_by("search", maintain_order=True).agg("index")["index"]:
        for one, other in combinations(rows.to_list(), 2):
            pairs.append(held[one] - held[other])
            goals.append(told["relevance"][one] - told["relevance"][other])
            weights.append(1 / len(rows))
    wanted = Ridge(alpha=1.0, fit_intercept=False).fit(pairs, goals, sample_weight=weights).coef_
    assert found.linear is not None
    assert np.array(found.linear.weights)[:, 0] == pytest.approx([*wanted, 0.0], rel=1e-6)
    new = table(seed=1)
    scores = found.linear.answers({name: new[name].to_numpy() for name in ("price", "rooms")}, len(new))
    truth, answers, _ = in_lists(new["search"].to_numpy(), new["relevance"].to_numpy(), scores)
    assert loss_named("ndcg:5")(truth, answers).mean() < 0.1 * found.inner["constant"]


def test_where_nothing_tells_rows_apart_one_score_for_all_stays() -> None:
    """What is the same in all rows of a list is no order, however it goes with the relevance of its rows."""
    frame = table().with_columns(price=pl.col("relevance").mean().over("search"))
    alike = fitted(frame, ("price",))
    assert alike.inner["linear"] == alike.inner["constant"]
    assert alike.chosen == "constant"


def test_the_latest_lists_decide_which_is_better() -> None:
    """With a time a list is as late as its first row: here price means the contrary in the last fifth."""
    frame = table().with_columns(
        at=pl.datetime(2011, 1, 1) + pl.duration(hours=pl.col("search")),
        price=pl.when(pl.col("search") >= 96).then(-pl.col("price")).otherwise(pl.col("price")),
    )
    timed = fitted(frame.sample(fraction=1.0, shuffle=True, seed=1), series=Series(time="at", entity=None, delay_s=0))
    assert timed.inner["linear"] > timed.inner["constant"]
    assert timed.chosen == "constant"
    assert fitted(frame).chosen == "linear"


@pytest.mark.parametrize(
    ("frame", "words", "why"),
    [
        (table(), {"names": ["note"]}, "every input is free text"),
        (table().with_columns(relevance=pl.lit(1.0)), {}, "no list of training tells of an order"),
    ],
)
def test_what_has_no_line_is_told(frame: pl.DataFrame, words: dict[str, Any], why: str) -> None:
    found = fitted(frame, **words)
    assert (found.chosen, found.linear, found.left_out["linear"]) == ("constant", None, why)


def test_few_lists_and_what_was_not_asked_for() -> None:
    """With too few lists to tell, the simplest is taken; none is fitted that nobody wants."""
    few = fitted(table(lists=10))
    assert few.chosen == "constant"
    assert few.linear is not None
    assert fitted(table(), asked=()) == Baselines(chosen=None)
    assert fitted(table(), asked=("linear",)).names == ("linear",)
