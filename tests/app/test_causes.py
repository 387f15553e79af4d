"""From an alarm to its cause, on worlds in which the cause is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sklearn.dummy import DummyRegressor

from kairos.app.causes import Why, find_why
from kairos.app.watching import Watch
from kairos.cli import main
from kairos.errors import NotFound
from kairos.monitor.causes.evidence import Kind
from kairos.testing.troubles import Trouble, troubled_stream
from kairos.values import VersionRef, parse_moment
from tests.app.troubles import play, with_run
from tests.app.worlds import DAY, START, World, hourly, package_of

FIRST, DAYS = 16, 24


def why(world: World, **asked: Any) -> Why:
    """Looks as the loop does, and then asks."""
    model = world.project.settings.model("demand")
    Watch(world.project, model).look()
    return find_why(world.project, model, **asked)


def stream(trouble: Trouble, *, seed: int = 1) -> Any:
    """Twenty-four days, of which the last eight are bad."""
    return troubled_stream(trouble, days=DAYS, first=FIRST, rows_per_day=24, seed=seed)


@pytest.mark.parametrize(
    ("trouble", "kind", "column", "says"),
    [
        ("unit", "unit", "temperature", "looks like 1.8 x + 32 of what it was (Celsius to Fahrenheit)"),
        ("missing", "missing", "wind", "is missing in"),
        ("gone", "schema", "wind", "is no longer there"),
        ("unseen", "unseen", "station", "has levels that were never seen: 's-1"),
        ("mix", "mix", "station", "of the rows (before:"),
        ("concept", "concept", None, "the same inputs have other truths than before"),
        ("labels", "labels", None, "labels look like 10 x of what they were (times 10)"),
        ("serving", "serving", None, "answers the same captured inputs differently"),
    ],
)
def test_what_changed_is_named_first(world: World, trouble: Trouble, kind: Kind, column: str | None, says: str) -> None:
    """With the day on which it changed and nearly all of the rise; the alarm is the one that the loop wrote down."""
    world.live()
    play(world, stream(trouble), days=DAYS)
    found = why(world)
    assert found.finding is not None
    first = found.causes.first
    assert first is not None
    assert first.share is not None
    assert (first.kind, first.column) == (kind, column)
    assert says in first.what
    assert abs(first.since - (START + FIRST * DAY)) <= DAY
    assert 0.7 <= first.share.estimate <= 1.35
    assert first.what in found.sentence
    assert "it accounts for" in found.sentence


def deployed(world: World, ref: VersionRef) -> Why:
    """A version goes live on the first bad day, and is worse."""
    play(world, stream("deployment"), days=DAYS, deploys={FIRST: ref})
    return why(world)


def test_a_bad_deployment_is_named_first(world: World) -> None:
    """Nothing else is known to differ: the version itself, with its ledger entry."""
    world.live()
    found = deployed(world, world.passed(205.0))
    first = found.causes.first
    assert first is not None
    assert (first.kind, first.version) == ("deployment", "demand@2")
    assert first.what == "demand@2 went live in place of demand@1, with the same code, params and libraries"
    [*_, live] = [fact for fact in world.facts("stage.changed") if fact.body["to"] == "live"]
    assert (first.seq, first.since) == (live.seq, live.at)


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"libraries": {"scikit-learn": "1.9.1"}}, "library", "scikit-learn 1.8.0 -> 1.9.1"),
        ({"steps": {"code": "d" * 64}}, "code", "code of split"),
        ({"steps": {"params": {"holdout_days": 7}}}, "params", "param split.holdout_days 14 -> 7"),
    ],
)
def test_what_came_with_a_bad_deployment_is_named_first(
    world: World, changes: dict[str, Any], kind: Kind, says: str
) -> None:
    """A library, code or a param: whichever alone differs between the two runs."""
    usual: dict[str, Any] = {"libraries": {"scikit-learn": "1.8.0"}, "steps": {"params": {"holdout_days": 14}}}
    before = with_run(world, changes=usual)
    world.put(before, "live")
    both = {**usual, **{k: v for k, v in changes.items() if k != "steps"}}
    both["steps"] = {**usual["steps"], **changes.get("steps", {})}
    found = deployed(world, with_run(world, changes=both))
    first = found.causes.first
    assert first is not None
    assert (first.kind, first.together) == (kind, 1)
    assert first.what == f"{says} (came with demand@2: demand@2 went live in place of demand@1)"


def test_training_in_another_unit_is_found_in_what_the_version_learnt_from(world: World, tmp_path: Path) -> None:
    """Requests are as ever; the new version was trained in Fahrenheit, and on half of the rows."""
    world.live()
    train = hourly(START - 42 * DAY, 28, level=230.0).with_columns(pl.col("temperature") * 1.8 + 32)
    model = DummyRegressor(strategy="constant", constant=200.0)
    package = package_of(world.project.store, tmp_path / "fahrenheit", model, train.head(300))
    ref = world.register(package=package)
    world.gate(ref)
    found = deployed(world, ref)
    told = [(cause.kind, cause.what.partition(" (came")[0], cause.together) for cause in found.causes.causes[:2]]
    assert told == [
        (
            "unit",
            "column 'temperature' in the training data looks like 1.8 x + 32 of what it was (Celsius to Fahrenheit)",
            2,
        ),
        ("data", "trained on 300 rows (before: 672)", 2),
    ]
    assert found.sentence.endswith("with 1 more that came at once.")


def test_settings_that_came_with_a_deployment_are_named(world: World) -> None:
    """The same version is deployed once more, with another range for its answers."""
    world.live()
    play(world, stream("deployment"), days=FIRST)
    settings = world.root / "kairos.toml"
    settings.write_text(settings.read_text() + "\n[model.demand.output]\nrange = [0, 120]\n")
    again = world.again()
    again.put(VersionRef("demand", 1), "live")
    play(again, stream("deployment"), days=DAYS, since=FIRST)
    causes = why(again).causes
    assert causes.first is not None
    assert (causes.first.kind, causes.first.version) == ("settings", "demand@1")
    together = [cause.what for cause in causes.causes[: causes.first.together]]
    assert any(what.startswith("output.upper was not set and is 120") for what in together)


def test_a_version_that_is_wrong_from_its_first_answer_is_held_against_its_holdout(world: World) -> None:
    """There is no time before it: the holdout says what is usual, and it was in Celsius."""
    world.live()
    bad = troubled_stream("unit", days=8, first=0, rows_per_day=24, seed=1)
    as_warm = {**bad.inputs, "temperature": bad.inputs["temperature"] + 3 * 1.8}  # the holdout has 15 degrees
    play(world, replace(bad, inputs=as_warm), days=8)
    found = why(world)
    first = found.causes.first
    assert first is not None
    assert (found.causes.reference, first.kind, first.column) == ("holdout", "unit", "temperature")
    assert "(on its holdout: 2" in found.sentence


def test_a_version_that_did_no_worse_on_the_same_requests_is_not_blamed(world: World) -> None:
    """Both versions predicted each request for a week, and did as well; then the world changes as one takes over."""
    first, second = world.live(200.0), world.passed(205.0)
    for _ in range(9):
        world.day((first, 200.0))
    world.put(second, "shadow")
    for _ in range(7):
        world.day((first, 200.0), (second, 201.0))
    world.put(second, "live")
    for _ in range(8):
        world.day((second, 201.0), truth=130.0)
    causes = why(world).causes
    assert causes.first is not None
    assert causes.first.kind == "concept"
    [deployment] = [cause for cause in causes.causes if cause.version == "demand@2"]
    assert deployment.share is not None
    assert abs(deployment.share.estimate) < 0.05


def test_without_an_alarm_there_is_no_blame(world: World) -> None:
    """Nothing got worse; nothing is accused."""
    world.live()
    play(world, stream("none"), days=DAYS)
    found = find_why(world.project, world.project.settings.model("demand"))
    assert found.causes.since is None
    assert found.sentence.startswith("demand: no rise of the mean absolute error is to be seen in 24 days.")
    assert found.causes.first is None


def test_a_finding_is_looked_at_as_of_its_time(world: World) -> None:
    """Asked by its entry, also weeks later; other entries are refused, and say what to type."""
    world.live()
    play(world, stream("unit"), days=DAYS)
    now = why(world)
    assert now.seq is not None
    world.clock.move_to(START + 60 * DAY)
    model = world.project.settings.model("demand")
    later = find_why(world.project, model, seq=now.seq)
    assert (later.causes.first, later.seq) == (now.causes.first, now.seq)
    at = find_why(world.project, model, at=parse_moment(f"{START + (FIRST + 3) * DAY:%Y-%m-%d}"))
    assert at.seq is None
    assert at.causes.first is not None
    assert at.causes.first.kind == "unit"
    with pytest.raises(NotFound, match="is no finding about 'demand'"):
        find_why(world.project, model, seq=1)
    with pytest.raises(NotFound, match="is no finding"):
        find_why(world.project, model, seq=10_000)


def test_a_person_and_a_machine_are_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """`kairos why`: the alarm, two sentences, and every cause with its share; with ``--json`` the same as values."""
    world.live()
    play(world, stream("unseen"), days=DAYS)
    found = why(world)
    assert main(["-C", str(world.root), "why", "demand", "--finding", str(found.seq)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"alarm of entry {found.seq}: The mean absolute error rose to")
    assert f"\n{found.sentence}\n" in said
    assert "\nshare  95 %" in said
    assert "unseen: input 'station' has levels that were never seen" in said
    assert main(["-C", str(world.root), "why", "demand", "--finding", str(found.seq), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["seq"], told["sentence"], told["first"]["kind"]) == (found.seq, found.sentence, "unseen")
    assert told["causes"]["causes"][0]["share"]["estimate"] > 0.7
