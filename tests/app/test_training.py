"""A run is a fact in any case: whether a step failed, or the models could not be measured afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from kairos.app.losses import fresh_rows
from kairos.app.packages import open_stored
from kairos.app.settings import load_settings
from kairos.app.training import Trained, train
from kairos.errors import DataRefused, SettingsError, StoreError
from kairos.pipeline.engine.local import LocalEngine
from kairos.values import Window
from tests.app.worlds import PIPELINE, SETTINGS, Stock, World, kinds

Make = Callable[..., World]

TEXT_TIMES = PIPELINE.replace('{"hour": hours,', '{"hour": hours.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),').replace(
    'pl.col("hour") >= pl.col("hour").max() - timedelta(days=7)',
    'pl.col("hour").str.slice(0, 10) >= "2011-12-25"',
)
"""The same hours as text with a zone, as a CSV file of an API holds them."""


@pytest.fixture
def make(tmp_path: Path, stock: Stock, engine: LocalEngine) -> Make:
    """Makes a project that can train."""

    def made(settings: str = SETTINGS, pipeline: str = PIPELINE) -> World:
        world = World(tmp_path / "toy", stock, settings, pipeline)
        world.project.engine = engine
        return world

    return made


def trained(world: World) -> Trained:
    """A run over four weeks."""
    return train(world.project, window=Window.parse("2011-12-04..2011-12-31"))


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("holdout = 'split.holdut'", r"model\.demand\.holdout .*split\.holdut.*Did you mean 'split\.holdout'"),
        ("holdout = 'holdout'", r"model\.demand\.holdout .*Accepted: rentals, split\.holdout, split\.train"),
        ("step = 'deman'\nholdout = 'split.holdout'", r"model\.demand\.step .*Did you mean 'demand'"),
        ("step = 'split'\nholdout = 'split.holdout'", r"model\.demand\.step .*Accepted: demand"),
    ],
)
def test_settings_of_another_pipeline_are_refused_before_anything_runs(make: Make, wrong: str, complaint: str) -> None:
    """Not after hours of training."""
    world = make(SETTINGS.replace('holdout = "split.holdout"', wrong))
    with pytest.raises(SettingsError, match=complaint):
        trained(world)
    assert not world.facts()
    assert not (world.root / ".kairos" / "cache.db").exists() or world.project.cache.last("rentals") is None


@pytest.mark.parametrize(
    ("settings", "pipeline", "complaint"),
    [
        (SETTINGS.replace('"users"', '"riders"'), PIPELINE, "'riders' in the settings, 'users' in the decorator"),
        (SETTINGS.replace('target = "users"', ""), PIPELINE.replace('target="users", ', ""), "None in the settings"),
    ],
)
def test_a_model_without_one_target_is_refused_before_anything_runs(
    make: Make, settings: str, pipeline: str, complaint: str
) -> None:
    """Two targets are as bad as none."""
    world = make(settings, pipeline)
    with pytest.raises(SettingsError, match=complaint):
        trained(world)
    assert not world.facts()


def test_a_run_that_could_not_be_measured_is_recorded_and_registers_nothing(make: Make) -> None:
    """The error says so; what was made is reused once the cause is mended, and a version is registered then."""
    lacking = PIPELINE.replace("rentals.filter(is_late))", "rentals.filter(is_late).drop('users'))")
    world = make(pipeline=lacking)
    with pytest.raises(DataRefused, match=r"The run r\w{10} is recorded, but 'demand' could not .*lacks the target"):
        trained(world)
    assert kinds(world.facts()) == ["run.finished"]
    assert world.facts()[0].body["metrics"] == {}
    (world.root / "pipeline.py").write_text(PIPELINE)
    assert [str(ref) for ref in trained(world).versions] == ["demand@1"]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ('time = "huor"', r"model\.demand\.time .*Given: huor\. Accepted: hour, temperature, users\. .*'hour'\?"),
        ('time = "hour"\nentity = "temprature"', r"model\.demand\.entity .*Did you mean 'temperature'"),
        ('time = "hour"\nslices = ["hour", "tempratur"]', r"model\.demand\.slices .*Given: tempratur\."),
        ('time = "hour"\ngate.protected = ["hours=3"]', r"gate\.protected .*Given: hours=3\. .*Did you mean 'hour'"),
        ('time = "hour"\ngate.groups = ["user"]', r"model\.demand\.gate\.groups .*Did you mean 'users'"),
    ],
)
def test_settings_that_name_no_column_of_the_holdout_register_nothing(make: Make, wrong: str, complaint: str) -> None:
    """A verdict would rest on that column; the version is registered once the name is mended."""
    world = make(SETTINGS.replace('time = "hour"', wrong))
    with pytest.raises(SettingsError, match=rf"The run r\w{{10}} is recorded, but 'demand' could not .*{complaint}"):
        trained(world)
    assert kinds(world.facts()) == ["run.finished"]
    (world.root / "kairos.toml").write_text(SETTINGS)
    mended = world.again()
    mended.project.engine = world.project.engine
    assert [str(ref) for ref in trained(mended).versions] == ["demand@1"]


def test_an_error_of_a_library_while_measuring_loses_no_run(make: Make) -> None:
    """It is told in one sentence, with the library's own."""
    world = make(
        pipeline=PIPELINE.replace(
            "rentals.filter(is_late))", "rentals.filter(is_late).with_columns(users=pl.lit('many')))"
        )
    )
    with pytest.raises(DataRefused, match=r"The run r\w{10} is recorded, but 'demand' could not be measured.*Error"):
        trained(world)
    assert kinds(world.facts()) == ["run.finished"]


def test_a_holdout_that_is_no_table_loses_no_run(make: Make) -> None:
    """The error keeps its kind."""
    two = PIPELINE.replace("holdout: pl.DataFrame", "holdout: float").replace("rentals.filter(is_late))", "1.0)")
    world = make(pipeline=two)
    with pytest.raises(StoreError, match=r"The run r\w{10} is recorded, but .*is not a table"):
        trained(world)
    assert kinds(world.facts()) == ["run.finished"]


def test_a_failed_run_without_a_holdout_tells_of_its_own_failure(make: Make) -> None:
    """A model that was made beside the failure is not measured on what is not there."""
    beside = (
        PIPELINE + "\n\n@step\ndef late(rentals: pl.DataFrame) -> pl.DataFrame:\n    raise RuntimeError('no rows')\n"
    )
    world = make(SETTINGS.replace("split.holdout", "late"), beside)
    failure = trained(world).result.failure
    assert failure is not None
    assert failure.message.endswith("no rows")
    assert kinds(world.facts()) == ["run.failed"]


def test_times_in_text_with_a_zone_are_read(make: Make) -> None:
    """As they are where the model is packaged; the holdout's rows are told fresh by them."""
    result = trained(make(pipeline=TEXT_TIMES))
    assert [str(ref) for ref in result.versions] == ["demand@1"]
    assert result.metrics["demand.absolute_error"] > 0


@pytest.mark.parametrize(
    ("hours", "fresh"),
    [
        (["2011-12-19T03:00:00+02:00", "2011-12-19T01:30:00Z", "2011-12-19T00:30:00+02:00"], [0.0, 1.0]),
        (["2011-12-18T22:30:00", "2011-12-19", "2011-12-20 01:00"], [1.0, 2.0]),
    ],
)
def test_a_row_is_fresh_by_its_moment_not_by_its_text(world: World, hours: list[str], fresh: list[float]) -> None:
    """A zone counts; without one it is UTC. The rows come in the order of time."""
    ref = world.register()
    package = open_stored(world.project.store, world.model().version(ref.number).package)
    assert str(package.spec.train_until) == "2011-12-18 23:00:00+00:00"
    table = pl.DataFrame({"hour": hours, "users": [0.0, 1.0, 2.0]})
    settings = load_settings(world.root).model("demand")
    assert fresh_rows(table, settings, [package])["users"].to_list() == fresh


@pytest.mark.parametrize("hours", [["yesterday", "today"], [20111219, 20111220]])
def test_a_time_column_without_times_is_named(world: World, hours: list[object]) -> None:
    """With the table it is in."""
    ref = world.register()
    package = open_stored(world.project.store, world.model().version(ref.number).package)
    table = pl.DataFrame({"hour": hours, "users": [0.0, 1.0]})
    with pytest.raises(DataRefused, match="time column 'hour' of "):
        fresh_rows(table, load_settings(world.root).model("demand"), [package])


def test_a_run_and_its_version_are_written_together_whoever_writes_meanwhile(make: Make) -> None:
    """A crash cannot leave a finished run whose model nobody registered; numbers are given on the present ledger."""
    world = make()
    original = world.project.ledger.append_all

    def once(*args: object, **kwargs: object) -> object:
        world.project.ledger.append_all = original  # type: ignore[method-assign]
        world.again().register(200.0)
        return original(*args, **kwargs)  # type: ignore[arg-type]

    world.project.ledger.append_all = once  # type: ignore[method-assign,assignment]
    done = trained(world)
    assert [str(ref) for ref in done.versions] == ["demand@2"]
    assert kinds(world.facts())[-2:] == ["run.finished", "version.registered"]
    assert world.facts()[-1].body["run"] == world.facts()[-2].subject == done.result.id
