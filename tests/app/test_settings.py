"""kairos.toml: read once, everything wrong in it is named with what would be right."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kairos.adapters.mlflow import open_recorder
from kairos.app.place import find_root
from kairos.app.reporting import story_of
from kairos.app.serving import _Wiring
from kairos.app.settings import Settings, load_settings, read_settings
from kairos.delivery.rollout import RolloutPolicy, StageStep, ValueRule
from kairos.errors import NotFound, SettingsError, UsageError
from kairos.examples import copy_example
from kairos.gates.policy import Margin
from kairos.values import Window
from tests.app.worlds import SETTINGS, Stock, World


def settings(model: dict[str, Any] | None = None, **project: Any) -> Settings:
    demand = {"holdout": "split.holdout", **(model or {})}
    return read_settings({"project": {"name": "bikes", **project}, "model": {"demand": demand}})


def test_the_example_is_read(tmp_path: Path) -> None:
    """What ``kairos init`` copies is accepted, and says what its comments say."""
    root = copy_example("bikes", tmp_path / "mine")
    found = load_settings(root)
    demand = found.model("demand")
    assert found.window == Window.parse("2011-01-01..2011-06-30")
    assert found.label_delay == timedelta(days=1)
    assert demand.delivery.stages[1] == StageStep(stage="canary", share=0.5)
    assert (demand.output.lower, demand.output.upper, demand.output.on_violation) == (0.0, 5000.0, "clip")
    assert demand.gate.slices == ("season", "workingday")


def test_what_a_rollout_watches_is_read() -> None:
    """Limits of the owner's, what may happen to users, and what matters most."""
    delivery = {
        "guards": ["p99_latency < 50ms", "error_rate < 0.1%"],
        "events": {"complaint": "2%"},
        "values": {"revenue": {"range": [0, 500], "margin": 0.5}, "minutes": {"better": "lower"}},
        "critical": ["error_rate < 0.1%", "event:complaint", "value:revenue"],
        "min_dwell": "1h",
        "timeout": "2s",
    }
    found = settings({"delivery": delivery}).model("demand").delivery
    assert [(rule.kind, rule.cap) for rule in found.guards] == [("over_50000us", 0.01), ("errors", 0.001)]
    assert [(event.kind, event.usual) for event in found.events] == [("event:complaint", 0.02)]
    assert found.values == (
        ValueRule(name="revenue", better="higher", range=(0.0, 500.0), margin=0.5),
        ValueRule(name="minutes", better="lower"),
    )
    assert found.critical == ("error_rate < 0.1%", "event:complaint", "value:revenue")
    assert (found.min_dwell, found.timeout) == (timedelta(hours=1), timedelta(seconds=2))
    assert settings().model("demand").delivery == RolloutPolicy()


def test_what_is_left_out_has_a_default() -> None:
    """A model needs its holdout and nothing else; the monitor waits as long as labels are late."""
    found = settings(label_delay="3h")
    demand = found.model("demand")
    assert (demand.step, demand.gate.loss, demand.output.on_violation) == ("demand", "absolute_error", "flag")
    assert demand.gate.margin == Margin(kind="relative", value=0.01)
    assert demand.monitor.matures_after == timedelta(hours=3)
    assert demand.privacy.keep is None


@pytest.mark.parametrize(
    ("project", "monitor", "after", "fallback"),
    [
        ({}, {}, None, 24),
        ({}, {"matures_after": "2d"}, 48, 24),
        ({"label_delay": "3h"}, {"matures_after": "auto"}, None, 3),
        ({"label_delay": "0h"}, {}, 0, 0),
    ],
)
def test_when_a_day_counts_is_set_or_learnt(
    project: dict[str, Any], monitor: dict[str, Any], after: int | None, fallback: int
) -> None:
    """Learnt where nobody says anything, or where that is asked for; the label delay is then what holds until it is."""
    found = settings({"monitor": monitor}, **project).model("demand").monitor
    assert found.matures_after == (None if after is None else timedelta(hours=after))
    assert found.matures_fallback == timedelta(hours=fallback)


@pytest.mark.parametrize(
    ("model", "project", "complaint"),
    [
        ({"hold_out": "x"}, {}, "no setting 'model.demand.hold_out'.*Did you mean 'holdout'"),
        ({"loss": "absolute_eror"}, {}, "model.demand.loss.*Did you mean 'absolute_error'"),
        ({"gate": {"alpha": "5%"}}, {}, "model.demand.gate.alpha has the wrong type.*a number"),
        ({"gate": {"margin": "much"}}, {}, "model.demand.gate.margin: .*much"),
        ({"delivery": {"stages": ["canary"]}}, {}, "model.demand.delivery.stages: .*canary"),
        ({"delivery": {"stages": ["shadow"]}}, {}, "has to end live"),
        ({"delivery": {"alpha": 5}}, {}, "model.demand.delivery.alpha is no share"),
        ({"delivery": {"guards": ["p99 < 5ms"]}}, {}, "model.demand.delivery.guards: .*p99 < 5ms"),
        ({"delivery": {"critical": ["eror"]}}, {}, "delivery.critical names an unknown guard"),
        ({"delivery": {"events": {"complaint": 2}}}, {}, "model.demand.delivery.events: .*complaint"),
        ({"delivery": {"events": ["complaint"]}}, {}, "model.demand.delivery.events is no table"),
        ({"delivery": {"values": {"revenue": {"range": [1, 5]}}}}, {}, "values.revenue.range: .*cannot be used"),
        ({"delivery": {"values": {"revenue": {"range": [5]}}}}, {}, "values.revenue.range is no range"),
        ({"delivery": {"values": {"revenue": {"margin": -1}}}}, {}, "values.revenue.margin: .*out of range"),
        ({"delivery": {"values": {"revenue": {"better": "more"}}}}, {}, "values.revenue.better is not one"),
        ({"delivery": {"values": {"re venue": {}}}}, {}, "values.re venue.margin: .*has no name"),
        (
            {"delivery": {"values": {"revenue": {"margin": 1}}, "stages": ["shadow", "live"]}},
            {},
            "needs a canary before live",
        ),
        ({"delivery": {"harm_margin": 3}}, {}, "harm_margin is a share"),
        ({"control": {"approvals": 3}}, {}, "model.demand.control: Approvals are asked of that many people.*0, 1 or 2"),
        ({"control": {"freeze": ["friday"]}}, {}, "model.demand.control.freeze: .*friday.*fri 16:00"),
        ({"control": {"approve_before": "retired"}}, {}, "control.approve_before.*shadow, canary, live"),
        ({"control": {"way_back": "0s"}}, {}, "model.demand.control: The way back takes some time"),
        ({"control": {"aprovals": 1}}, {}, "no setting 'model.demand.control.aprovals'.*Did you mean 'approvals'"),
        ({"retrain": {"on": ["qualty"]}}, {}, "unknown check.*qualty.*quality"),
        ({"monitor": {"alpha": 2}}, {}, "monitor's alpha is no share"),
        ({"monitor": {"matures_after": "soon"}}, {}, "model.demand.monitor.matures_after: .*soon"),
        ({"output": {"range": [1]}}, {}, "range needs two ends"),
        ({"output": {"range": [5, 0]}}, {}, "model.demand.output.range: "),
        ({"allow_pickle": "yes"}, {}, "allow_pickle is not understood.*true, false or"),
        ({"privacy": {"keep": ["a"], "pseudonymise": ["a"]}}, {}, "'a' in keep and in pseudonymise"),
        ({"privacy": {"kep": ["a"]}}, {}, r"no setting 'model\.demand\.privacy\.kep'.*Did you mean 'keep'"),
        ({"privacy": {"pseudonymize": ["a"]}}, {}, "Did you mean 'pseudonymise'"),
        ({"privacy": {"entiti": "raw"}}, {}, r"Accepted: entity, keep, pseudonymise\. Did you mean 'entity'"),
        ({"retrain": {"max_ages": "7d"}}, {}, "Did you mean 'max_age'"),
        ({"delivery": {"min_dwel": "7d"}}, {}, "Did you mean 'min_dwell'"),
        ({"control": {"freezes": []}}, {}, "Did you mean 'freeze'"),
        ({}, {"window": "2011"}, "project.window: A window cannot be read"),
        ({}, {"every": "0d"}, "longer than nothing"),
        ({}, {"seed": True}, "project.seed has the wrong type"),
    ],
)
def test_what_is_wrong_is_named(model: dict[str, Any], project: dict[str, Any], complaint: str) -> None:
    """The key, what was given, and what is accepted."""
    with pytest.raises(SettingsError, match=complaint):
        settings(model, **project)


@pytest.mark.parametrize("name", ["bike-demand", "demand_2", "2nd"])
def test_a_model_may_have_a_hyphen_in_its_name(name: str) -> None:
    """What MLflow, a URL and a folder take."""
    found = read_settings({"project": {"name": "x"}, "model": {name: {"step": "demand", "holdout": "split.holdout"}}})
    assert found.model(name).name == name


@pytest.mark.parametrize("name", ["a/b", "..", "a@b", "", "démand", "-x"])
def test_a_name_that_no_version_can_have_is_refused(name: str) -> None:
    """Before anything is trained: a version of it could be written to the ledger and never be read again."""
    with pytest.raises(SettingsError, match=r"a model cannot be called so.*letters from A to Z, digits, _ and -"):
        read_settings({"project": {"name": "x"}, "model": {name: {"holdout": "split.holdout"}}})


def test_an_unknown_table_is_named() -> None:
    """So that a misspelt section is not silently without effect."""
    with pytest.raises(SettingsError, match="no setting 'serving'"):
        read_settings({"project": {"name": "x"}, "serving": {"port": 1}})


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    """With the place that the parser complains about."""
    (tmp_path / "kairos.toml").write_text("[project\n")
    with pytest.raises(SettingsError, match=r"kairos.toml is not TOML.*line 1"):
        load_settings(tmp_path)


def test_the_project_is_found_from_below(tmp_path: Path) -> None:
    """Commands work in every folder of a project; outside of one they say how to begin."""
    root = copy_example("bikes", tmp_path / "mine")
    assert find_root(root / "data") == root
    with pytest.raises(UsageError, match="kairos init"):
        find_root(tmp_path)


def test_an_unknown_model_is_named() -> None:
    """With those there are."""
    with pytest.raises(NotFound, match=r"no model 'demandd'.*demand"):
        settings().model("demandd")


def test_the_report_shows_no_password(world: World) -> None:
    """Of the MLflow server's address, it names what says which server it is."""
    with (world.root / "kairos.toml").open("a") as file:
        file.write('[tracking]\nmlflow = "https://ann:s3cret@mlflow.example/team"\n')
    version = world.live()
    world.day((version, 200.0))
    assert story_of(world.project).places["MLflow record"] == "https://mlflow.example/team"


@pytest.mark.parametrize("address", ["ann:s3cret@mlflow.example", "ftp://ann:s3cret@x", "http://[s3cret@", "x?s3cret"])
def test_an_address_that_is_refused_is_not_repeated_with_its_secret(tmp_path: Path, address: str) -> None:
    """However it is written, and whatever is wrong with it."""
    with pytest.raises(SettingsError, match="The address of the MLflow server") as refused:
        open_recorder(tmp_path, name="bikes", url=address)
    assert "s3cret" not in str(refused.value)


def test_a_pickle_is_allowed_to_the_model_that_says_so_and_to_no_other(tmp_path: Path, stock: Stock) -> None:
    """One model that needs pickles opens no door for the packages of another, nor for one that nobody registered."""
    trusting = SETTINGS.partition("[model.demand]")[2].replace("model.demand", "model.alpha")
    both = f"{SETTINGS}\n[model.alpha]\nallow_pickle = true\n{trusting}"
    world = World(tmp_path / "toy", stock, settings=both)
    demand, alpha = world.live(200.0), world.live(205.0, model="alpha")
    load = _Wiring(world.project).load
    allowed = {level: load(stock.packages[level]).allow_pickle for level in (200.0, 205.0, 260.0)}
    assert (str(demand), str(alpha)) == ("demand@1", "alpha@1")
    assert allowed == {200.0: False, 205.0: True, 260.0: False}


def test_control_is_set_for_all_models_and_key_by_key_for_one() -> None:
    """A list replaces a list."""
    both = {"freeze": ["fri 16:00..mon 08:00"], "approvals": 2, "rehearsed_within": "7d"}
    found = read_settings(
        {
            "project": {"name": "bikes"},
            "control": both,
            "model": {
                "demand": {"holdout": "x"},
                "supply": {"holdout": "x", "control": {"approvals": 1, "freeze": [], "way_back": "3s"}},
            },
        }
    )
    demand, supply = found.model("demand").control, found.model("supply").control
    assert (demand.approvals, [one.text for one in demand.freeze]) == (2, ["fri 16:00..mon 08:00"])
    assert (supply.approvals, supply.freeze, supply.way_back) == (1, (), timedelta(seconds=3))
    assert demand.rehearsed_within == supply.rehearsed_within == timedelta(days=7)
