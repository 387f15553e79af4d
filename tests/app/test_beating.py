"""A run tells by how much its model beats simple ones, with intervals, wherever a run is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kairos.adapters.mlflow.naming import run_tags
from kairos.app.carding import make_card, markdown
from kairos.app.losses import fresh_rows, losses_on
from kairos.app.packages import holdout_table, open_stored, read_stored
from kairos.app.settings import load_settings
from kairos.app.training import Trained, train
from kairos.cli import main
from kairos.errors import LedgerError, SettingsError
from kairos.experiments.baselines import Beaten, Beating, beatings_of
from kairos.experiments.runs import run_called
from kairos.pipeline.engine.local import LocalEngine
from kairos.stats.dependence import Dependence
from kairos.stats.paired import paired_mean
from kairos.values import Window, plain
from tests.app.worlds import PIPELINE, SETTINGS, Stock, World

pytestmark = pytest.mark.usefixtures("lent")

Make = Callable[..., World]

WEEKS = Window.parse("2011-11-20..2011-12-31")
GOOD = (
    PIPELINE.replace("DummyRegressor()", "HistGradientBoostingRegressor()")
    .replace("sklearn.dummy import DummyRegressor", "sklearn.ensemble import HistGradientBoostingRegressor")
    .replace("-> DummyRegressor", "-> HistGradientBoostingRegressor")
)
"""Its target is a function of its input that is no line, and repeats each day."""
TWICE = GOOD.replace('"temperature": temperature,', '"temperature": temperature, "fahrenheit": 32 + 1.8 * temperature,')


@pytest.fixture
def make(tmp_path: Path, stock: Stock, engine: LocalEngine) -> Make:
    """Makes a project that can train."""

    def made(settings: str = SETTINGS, pipeline: str = GOOD) -> World:
        world = World(tmp_path / "toy", stock, settings, pipeline)
        world.project.engine = engine
        return world

    return made


def found_in(trained: Trained) -> Beating:
    """Of its only model."""
    return trained.baselines["demand"]


def test_a_run_tells_by_how_much_its_model_beats_each_baseline(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """The differences of the means, with the intervals of the gate's estimators; in all places where a run is told."""
    world = make()
    trained = train(world.project, window=WEEKS)
    found, name = found_in(trained), "demand.absolute_error"
    assert {each.name for each in found.compared} == {"constant", "last_value", "linear"}
    assert found.chosen == found.compared[0].name
    assert trained.metrics[f"{name}.baseline"] == found.compared[0].loss
    for each in found.compared:
        assert trained.metrics[f"{name}.baseline.{each.name}"] == each.loss
        assert each.difference == pytest.approx(each.loss - trained.metrics[name])
    model = world.project.settings.model("demand")
    package = open_stored(world.project.store, world.model().version(1).package)
    body = trained.result.plain()
    rows = fresh_rows(holdout_table(world.project, model, body), model, [package])
    own = losses_on(rows, package, model)
    constant = np.abs(rows["users"].to_numpy() - package.spec.baseline)
    times = Dependence(times=rows["hour"].dt.replace_time_zone(None).to_numpy())
    wanted = paired_mean(constant, own, alpha=0.025, dependence=times)
    [told] = [each for each in found.compared if each.name == "constant"]
    assert (told.lower, told.upper) == pytest.approx((wanted.lower, wanted.upper))
    assert told.verdict == "beats"
    assert (found.lower, found.upper) == pytest.approx((wanted.own_lower, wanted.own_upper))
    ran = trained.result.id
    record = run_called(world.project.ledger, ran)
    assert record is not None
    assert told.sentence in run_tags(record, project="toy")["kairos.baselines.demand"]
    assert record.metrics[f"{name}.baseline.constant"] == told.loss
    capsys.readouterr()
    assert main(["-C", str(world.root), "show", ran]) == 0
    shown = capsys.readouterr().out
    assert all(each.sentence in shown for each in found.compared)
    assert f"absolute error {found.own_sentence} on {found.rows} rows held out" in shown
    assert main(["-C", str(world.root), "show", ran, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["baselines"]["demand"] == plain(found)
    text = markdown(make_card(world.project, trained.versions[0]))
    assert (
        f"The best of them on rows of training is {found.chosen.replace('_', ' ')}." in text if found.chosen else False
    )
    assert (
        f"| constant | {told.loss:.4g} | {told.difference:.4g} | {told.lower:.4g} to {told.upper:.4g} | better |"
        in text
    )
    assert f"- absolute error: {found.own_sentence}" in text
    assert "On the rows of training half of its losses were up to " in text


@pytest.mark.parametrize(("delay", "rows"), [("1d", 24), ("25h", 25)])
def test_the_last_value_waits_until_the_truth_is_known(make: Make, delay: str, rows: int) -> None:
    """As long as ``label_delay``; the first hours of the holdout find theirs in the table of training."""
    noise = GOOD.replace("2.0 * (temperature * 5 % 24)", 'hours.dt.epoch("s") // 3600 * 7919 % 101 * 1.0')
    world = make(SETTINGS.replace('label_delay = "1d"', f'label_delay = "{delay}"'), noise)
    trained = train(world.project, window=WEEKS)
    [told] = [each for each in found_in(trained).compared if each.name == "last_value"]
    body = trained.result.plain()
    baselines = open_stored(world.project.store, world.model().version(1).package).baselines()
    assert baselines is not None
    assert baselines.last_value is not None
    back = rows if baselines.last_value.season_s is None else 168
    holdout = holdout_table(world.project, world.project.settings.model("demand"), body)
    training = read_stored(world.project.store, trained.result.artifact("split.train").digest)
    users = pl.concat([training, holdout]).sort("hour")["users"].to_numpy()
    count = len(holdout)
    assert told.loss == pytest.approx(np.abs(users[-count:] - users[-count - back : -back]).mean())


def test_baselines_are_switched_off_or_named_by_the_settings(make: Make, tmp_path: Path) -> None:
    """A run without any has no metric of one; a name that is not known is refused."""
    world = make(SETTINGS.replace('time = "hour"', 'time = "hour"\nbaselines = []'))
    none = train(world.project, window=WEEKS)
    assert set(none.metrics) == {"demand.absolute_error"}
    assert none.baselines == {}
    assert "Against simple models" not in markdown(make_card(world.project, none.versions[0]))
    (world.root / "kairos.toml").write_text(SETTINGS.replace('time = "hour"', 'time = "hour"\nbaselines = ["linear"]'))
    world.project.settings = load_settings(world.root)
    one = train(world.project, window=WEEKS)
    assert [each.name for each in found_in(one).compared] == ["linear"]
    assert one.metrics["demand.absolute_error.baseline"] == one.metrics["demand.absolute_error.baseline.linear"]
    (world.root / "kairos.toml").write_text(SETTINGS.replace('time = "hour"', 'time = "hour"\nbaselines = ["linera"]'))
    with pytest.raises(SettingsError, match=r"model\.demand\.baselines .*linera.*Did you mean 'linear'"):
        load_settings(world.root)


def test_a_card_names_inputs_that_go_together(make: Make) -> None:
    """And how each goes with the target."""
    world = make(pipeline=TWICE)
    [version] = train(world.project, window=WEEKS).versions
    text = markdown(make_card(world.project, version))
    assert "by rank correlation, of 0.5 or more either way: temperature and fahrenheit (+1.00)." in text
    told = open_stored(world.project.store, world.model().version(1).package).profile.target_correlations
    assert all(f"{r:+.2f} |" in text for r in told.values())


def test_a_run_of_before_tells_of_none() -> None:
    """And what is no such thing is an error of the ledger."""
    assert beatings_of({"metrics": {"demand.absolute_error.baseline": 3.0}}) == {}
    with pytest.raises(LedgerError, match="baselines"):
        Beating.from_plain({"compared": [{}]})


@pytest.mark.parametrize(
    ("difference", "lower", "upper", "said"),
    [
        (12.3, 10.1, 14.6, "beats last value (53) by 12.3 [10.1, 14.6], 23 %"),
        (0.3, -0.5, 1.1, "does not beat last value (53) by more than chance would make: 0.3 [-0.5, 1.1]"),
        (-3.0, -4.0, -2.0, "is worse than last value (53) by 3 [2, 4]"),
        (3.0, -np.inf, np.inf, "cannot be told apart from last value (53): 3 better, on too few rows for an interval"),
    ],
)
def test_a_person_is_told_no_more_than_the_interval_says(
    difference: float, lower: float, upper: float, said: str
) -> None:
    """Better, worse, neither, or too few rows to say."""
    found = Beaten(name="last_value", loss=53.0, difference=difference, lower=lower, upper=upper)
    assert found.sentence == said
    whole = Beating(loss="absolute_error", rows=9, own=40.0, lower=-np.inf, upper=np.inf, compared=(found,))
    assert Beating.from_plain(plain(whole)) == whole
    assert whole.own_sentence == "40, on too few rows for an interval"
