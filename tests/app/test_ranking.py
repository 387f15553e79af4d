"""Models that rank lists, from a run to a verdict and to live losses: a list is what is counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kairos.app.gathering import gate_rows
from kairos.app.judging import judge
from kairos.app.labelling import LabelsTaken, take_labels
from kairos.app.losses import answers_on, fresh_rows, losses_on, truth_on
from kairos.app.packages import holdout_table, open_stored
from kairos.app.quality import quality_of
from kairos.app.reading import read, readings_of
from kairos.app.serving import make_server
from kairos.app.settings import load_settings
from kairos.app.training import train
from kairos.app.watching import Watch
from kairos.errors import SettingsError, UsageError
from kairos.gates.losses import loss_named
from kairos.pipeline.engine.local import LocalEngine
from kairos.serving.app import make_app
from kairos.values import Digest, Window
from tests.app.worlds import DAY, SETTINGS, Stock, World
from tests.serving.toys import Client

Make = Callable[[str, str], World]

RANKED = SETTINGS.replace(
    'target = "users"', 'target = "relevance"\nrank_within = "search"\nloss = "ndcg:5"\nslices = ["country"]'
)
PIPELINE = """\
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
from lightgbm import LGBMRanker
from xgboost import XGBRanker
from sklearn.linear_model import LinearRegression

from kairos import Window, model, source, step


class Split(NamedTuple):
    train: pl.DataFrame
    holdout: pl.DataFrame


@source(every="7d")
def flats(window: Window) -> pl.DataFrame:
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", eager=True).to_list()
    random = np.random.default_rng(int(window.start.timestamp()) // 3600)
    rows = []
    for number, hour in enumerate(hours):
        size = 2 + number % 5
        price, rooms = random.normal(size=size), random.normal(size=size)
        score = rooms - price + 0.3 * random.normal(size=size)
        relevance = np.clip(np.round(score - score.min()), 0, 4)
        for one in range(size):
            rows.append((hour, f"s{hour:%m%d%H}", "at" if number % 2 else "ch", price[one], rooms[one], relevance[one]))
    table = pl.DataFrame(rows, orient="row", schema=["hour", "search", "country", "price", "rooms", "relevance"])
    return table.sample(fraction=1.0, shuffle=True, seed=1)  # rows of a list stand anywhere


@step
def split(flats: pl.DataFrame) -> Split:
    is_late = pl.col("hour") >= pl.col("hour").max() - timedelta(days=7)
    return Split(flats.filter(~is_late), flats.filter(is_late))


@model(target="relevance", drop=["country"])
def demand(train: pl.DataFrame):
    return LGBMRanker(n_estimators=20, min_child_samples=5, verbose=-1)
"""
WEEKS = Window.parse("2011-12-04..2011-12-31")
XGB = PIPELINE.replace(
    "return LGBMRanker(n_estimators=20, min_child_samples=5, verbose=-1)",
    'return XGBRanker(n_estimators=20, objective="rank:pairwise")',
)
POINTWISE = PIPELINE.replace(
    "return LGBMRanker(n_estimators=20, min_child_samples=5, verbose=-1)", "return LinearRegression()"
)
WORSE = PIPELINE.replace("n_estimators=20", "n_estimators=1, max_depth=1")


@pytest.fixture
def make(tmp_path: Path, stock: Stock, engine: LocalEngine) -> Make:
    """Makes a project that can train."""

    def made(settings: str, pipeline: str) -> World:
        world = World(tmp_path / "toy", stock, settings, pipeline)
        world.project.engine = engine
        return world

    return made


@pytest.mark.parametrize("pipeline", [PIPELINE, XGB, POINTWISE], ids=["lightgbm", "xgboost", "pointwise"])
def test_a_ranker_learns_its_lists_and_is_judged_by_them(make: Make, pipeline: str) -> None:
    """The gate's rows are the lists held out, slices are of lists; it is held against one score for all and a line."""
    world = make(RANKED, pipeline)
    project, model = world.project, world.project.settings.model("demand")
    found = train(project, window=WEEKS)
    own, simple = found.metrics["demand.ndcg:5"], found.metrics["demand.ndcg:5.baseline.constant"]
    assert own < 0.6 * simple
    assert found.metrics["demand.ndcg:5.baseline"] == found.metrics["demand.ndcg:5.baseline.linear"] < 0.6 * simple
    judged = judge(project, found.versions[0])
    assert judged.decision.verdict == "pass"
    state = world.model().version(found.versions[0].number)
    package = open_stored(project.store, state.package, allow_pickle=False)
    rows = fresh_rows(holdout_table(project, model, found.result.plain()), model, [package])
    whole = judged.evidence.overall
    assert whole.n == rows["search"].n_unique() == len(losses_on(rows, package, model))
    assert sorted(judged.evidence.slices) == ["country=at", "country=ch"]
    loss = loss_named("ndcg:5")
    assert whole.challenger == pytest.approx(loss(truth_on(rows, package), answers_on(rows, package, model)).mean())
    assert package.spec.signature.names == ("price", "rooms")
    gated = gate_rows(rows, model, model.gate, challenger=package, champion=None, digest=Digest("0" * 32))
    assert gated.times is not None
    assert len(gated.times) == whole.n


def test_a_worse_ranker_fails_against_the_champion_and_live_requests_are_lists(make: Make) -> None:
    """Labels come by row; a request is a list, and its loss is known once its labels tell of an order."""
    world = make(RANKED, PIPELINE)
    project, model = world.project, world.project.settings.model("demand")
    [version] = train(project, window=WEEKS).versions
    judge(project, version)
    world.put(version, "live")
    package = open_stored(project.store, world.model().version(version.number).package, allow_pickle=False)
    reference = package.profile.losses
    assert reference is not None
    assert (reference.loss, reference.on) == ("ndcg:5", "train")
    assert set(reference.slices["country"]) == {"at", "ch"}
    lists = sum(each.rows for each in reference.slices["country"].values())
    assert lists == reference.sketch.rows < package.spec.train_rows / 2
    (world.root / "pipeline.py").write_text(WORSE)
    [worse] = train(project, window=WEEKS).versions
    assert judge(project, worse).decision.verdict == "fail"

    random = np.random.default_rng(5)
    truths, said = [], []
    with Client(make_app(make_server(project))) as client:
        for search in range(6):
            rows = [{"price": float(a), "rooms": float(b)} for a, b in random.normal(size=(4, 2))]
            given = client.post("/predict/demand", json={"inputs": rows, "entity": f"u{search}"}).json()["predictions"]
            relevance = [0.0, 0.0, 0.0, 0.0] if search == 5 else random.permutation(4).astype(float).tolist()
            kept = slice(None) if search else slice(0, 3)  # of one list a row never gets its label
            labels = [
                {"prediction_id": row["prediction_id"], "value": value}
                for row, value in zip(given[kept], relevance[kept], strict=True)
            ]
            assert client.post("/labels", json={"labels": labels}).status_code == 200
            if search < 5:
                truths.append(relevance[kept])
                said.append([row["prediction"] for row in given[kept]])
        refused = client.post("/labels", json={"labels": [{"prediction_id": given[0]["prediction_id"], "value": -1}]})
        by_entity = {"model": "demand", "entity": "u1", "time": "2012-01-02T00:00Z", "value": 1}
        unnamed = client.post("/labels", json={"labels": [by_entity]})
    assert refused.status_code == unnamed.status_code == 422
    assert "0 or more" in refused.text
    assert "ranks several rows of one entity" in unnamed.text
    file = world.root / "labels.csv"
    file.write_text("time,value\n2012-01-02T00:00Z,1\n")
    with pytest.raises(UsageError, match=r"ranks several rows at one time.*prediction_id and value"):
        take_labels(project, file)
    state = world.model().version(version.number)
    world.clock.move_to(world.clock.now() + 3 * DAY)
    watch = Watch(project, model)
    found = quality_of(project, model, state, watch)
    [(_, loss, count)] = found.days
    [beside] = found.beside
    assert (beside.about, beside.rows, found.unit) == (None, 5, "list")
    assert (beside.live, beside.then) == pytest.approx((loss, reference.mean))
    losses = [
        loss_named("ndcg:5")(np.array([truth]), np.array([answers]))[0]
        for truth, answers in zip(truths, said, strict=True)
    ]
    assert count == 5
    assert loss == pytest.approx(np.mean(losses))
    assert not [each for each in watch.look() if each.check in ("unusable_labels", "prediction_bias")]


CLICKS = "search,flat,relevance\n"


def test_a_log_of_clicks_names_lists_and_items(make: Make) -> None:
    """From a request to live losses without a prediction id; what nobody clicked on is not relevant, if one says so."""
    settings = RANKED.replace('rank_within = "search"', 'rank_within = "search"\nitem = "flat"\nentity = "user"')
    settings += '\n[model.demand.monitor]\nunlabelled = "negative"\n'
    pipeline = PIPELINE.replace('f"s{hour:%m%d%H}", "at"', 'f"s{hour:%m%d%H}", f"f{one}", "u", "at"').replace(
        '"search", "country"', '"search", "flat", "user", "country"'
    )
    world = make(settings, pipeline)
    project, model = world.project, world.project.settings.model("demand")
    [version] = train(project, window=WEEKS).versions
    package = open_stored(project.store, world.model().version(version.number).package, allow_pickle=False)
    assert (package.spec.signature.names, package.spec.item) == (("price", "rooms"), "flat")
    judge(project, version)
    world.put(version, "live")
    random, clicks, expected = np.random.default_rng(5), [], []
    with Client(make_app(make_server(project))) as client:
        for search in range(6):
            rows = [
                {"price": float(a), "rooms": float(b), "search": f"s{search}", "flat": f"f{place}"}
                for place, (a, b) in enumerate(random.normal(size=(4, 2)))
            ]
            given = client.post("/predict/demand", json={"inputs": rows, "entity": f"u{search}"}).json()["predictions"]
            assert sorted(row["rank"] for row in given) == [1, 2, 3, 4]
            clicks.append(f"s{search},f{search % 4},1\n")
            truth = np.array([[float(place == search % 4) for place in range(4)]])
            scores = np.array([[row["prediction"] for row in given]])
            expected.append(loss_named("ndcg:5")(truth, scores)[0])
    file = world.root / "clicks.csv"
    file.write_text(CLICKS + "".join(clicks) + "s9,f1,1\n")
    assert take_labels(project, file) == LabelsTaken(labels=7, new=7, joined=6)
    assert take_labels(project, file).new == 0
    file.write_text("user,hour,flat,value\nu0,2012-01-02T00:00Z,f0,1\nu1,2012-01-03,f1,1\n")
    assert take_labels(project, file) == LabelsTaken(labels=2, new=2, joined=1)
    file.write_text("user,hour,value\nu0,2012-01-02,1\n")
    with pytest.raises(UsageError, match=r"ranks several rows.*list, item and value, or with entity, time, item and"):
        take_labels(project, file)
    world.clock.move_to(world.clock.now() + 3 * DAY)
    watch = Watch(project, model)
    [(_, loss, count)] = quality_of(project, model, world.model().version(version.number), watch).days
    assert count == 6
    assert loss == pytest.approx(np.mean(expected))


def test_the_loop_reads_what_a_ranker_loses_by_list(tmp_path: Path, stock: Stock, engine: LocalEngine) -> None:
    """Beside fresh rankers, on lists of days that none of them has seen."""
    world = World(tmp_path / "toy", stock, RANKED + "\n[model.demand.retrain]\ncost = 1e9\n", PIPELINE, refit=True)
    world.project.engine = engine
    project, model = world.project, world.project.settings.model("demand")
    [version] = train(project, window=WEEKS).versions
    judge(project, version)
    world.put(version, "live")
    world.clock.move_to(world.clock.now() + 9 * DAY)
    read(project, model, world.model())
    [found] = readings_of(world.facts("reading.taken"))
    assert found.champion
    assert 0 < found.champion_mean < 0.2
    assert 15 <= min(found.rows) <= max(found.rows) <= 24, "of 24 lists a day, some tell of no order"
    assert {"all", "7d"} <= set(found.tried)


def test_what_a_ranking_model_lacks_is_said(make: Make, tmp_path: Path) -> None:
    """The column of lists, in the settings and in the table; a slice that parts lists; a loss of rows."""
    settings = tmp_path / "kairos.toml"
    settings.write_text(RANKED.replace('rank_within = "search"\n', ""))
    with pytest.raises(SettingsError, match=r"order of lists.*rank_within = .COLUMN."):
        load_settings(tmp_path)
    settings.write_text(RANKED.replace("ndcg:5", "squared_error"))
    with pytest.raises(SettingsError, match=r"rank_within needs a loss of an order.*ndcg:PLACES or pairwise_error"):
        load_settings(tmp_path)
    settings.write_text(SETTINGS.replace('time = "hour"', 'time = "hour"\nitem = "flat"'))
    with pytest.raises(SettingsError, match=r"item says which row of a list.*ranks no lists.*rank_within = .COLUMN."):
        load_settings(tmp_path)
    world = make(RANKED.replace('slices = ["country"]', 'slices = ["part"]'), PIPELINE.replace(
        "    return table.sample", '    table = table.with_columns(part=pl.col("price") > 0)\n    return table.sample'
    ).replace('drop=["country"]', 'drop=["country", "part"]'))  # fmt: skip
    [version] = train(world.project, window=WEEKS).versions
    with pytest.raises(SettingsError, match=r"'part' cannot part lists.*differs within a list"):
        judge(world.project, version)


def test_a_table_without_its_lists_is_refused(make: Make) -> None:
    """With the columns that it has."""
    world = make(RANKED.replace('rank_within = "search"', 'rank_within = "query"'), PIPELINE)
    failure = train(world.project, window=WEEKS).result.failure
    assert failure is not None
    assert "lacks the column 'query', which says what is ranked together" in str(failure)
