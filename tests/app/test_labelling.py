"""Late truths from a file: all of it or nothing, and the line that is wrong is named."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import PoissonRegressor

from kairos.app.arriving import arrivals_of
from kairos.app.label_form import entity_policy
from kairos.app.labelling import LabelsTaken, take_labels
from kairos.app.project import Project
from kairos.app.serving import _Wiring
from kairos.errors import NotFound, UsageError
from kairos.models.truths import Truths
from kairos.store.predictions import Prediction
from kairos.values import Window
from tests.app.worlds import DAY, HOUR, SETTINGS, START, Stock, World, hourly, package_of


def taken(world: World) -> dict[str, float]:
    """What the log holds."""
    rows = world.project.predictions.labels()
    return dict(zip(rows["prediction_id"].to_list(), rows["value"].to_list(), strict=True))


def write(world: World, text: str, *, encoding: str = "utf-8") -> Path:
    """A file beside the project."""
    path = world.root.parent / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_file_is_taken_whole(world: World) -> None:
    """Columns in any order, others beside them, numbers as people write them, lines as Windows ends them."""
    text = "value,by,prediction_id\r\n1,x,a\r\n-2.5,y,b\r\n3e2,z,c\r\n 4 ,z,d\r\n"
    assert take_labels(world.project, write(world, text)).labels == 4
    assert taken(world) == {"a": 1.0, "b": -2.5, "c": 300.0, "d": 4.0}


@pytest.mark.parametrize("bad", ["", "nan", "inf", "-Infinity", "many", "1,5", "1e999", "0x10", "None"])
def test_one_bad_number_and_nothing_is_taken(world: World, bad: str) -> None:
    """The line is named as an editor counts it."""
    path = write(world, f'prediction_id,value\na,1\nb,"{bad}"\nc,3\n')
    with pytest.raises(UsageError, match=r"Line 3 of labels\.csv has no value.*a finite number"):
        take_labels(world.project, path)
    assert taken(world) == {}


@pytest.mark.parametrize("text", ["", "\n", "id,value\na,1\n", "prediction_id;value\na;1\n", "prediction_id\na\n"])
def test_a_file_without_the_columns_is_refused(world: World, text: str) -> None:
    """The message says which columns are needed."""
    with pytest.raises(UsageError, match="a header with prediction_id and value"):
        take_labels(world.project, write(world, text))


def test_a_line_that_is_cut_off_is_refused(world: World) -> None:
    """As the last line of a file is that was not copied to its end."""
    with pytest.raises(UsageError, match="Line 3"):
        take_labels(world.project, write(world, "prediction_id,value\na,1\nb"))
    assert taken(world) == {}


@pytest.mark.parametrize(
    ("header", "line"), [("value,prediction_id", "12.5"), ("prediction_id,value", ",5"), ("prediction_id,value", " ,5")]
)
def test_a_line_that_names_no_prediction_is_refused(world: World, header: str, line: str) -> None:
    """Cut off before the id, or with nothing in its place: nothing is kept, and watching goes on."""
    good = "1,a" if header.startswith("value") else "a,1"
    with pytest.raises(UsageError, match=r"Line 3 of labels\.csv names no prediction.*a prediction_id"):
        take_labels(world.project, write(world, f"{header}\n{good}\n{line}\n"))
    assert taken(world) == {}
    assert world.project.predictions.roll() == 0


def test_a_file_that_is_not_there_or_no_text_is_named(world: World) -> None:
    """Never a traceback of Python's."""
    with pytest.raises(NotFound, match=r"no such file.*nowhere\.csv"):
        take_labels(world.project, Path("nowhere.csv"))
    with pytest.raises(UsageError, match=r"labels\.csv is not text in UTF-8"):
        take_labels(world.project, write(world, "prediction_id,value\nä,1\n", encoding="latin-1"))


def test_the_last_truth_counts(world: World) -> None:
    """A correction replaces what was known, in one file and from file to file."""
    take_labels(world.project, write(world, "prediction_id,value\na,1\na,2\nb,5\n"))
    assert taken(world) == {"a": 2.0, "b": 5.0}
    world.clock.move_to(START + timedelta(hours=1))
    take_labels(world.project, write(world, "prediction_id,value\na,3\n"))
    assert taken(world) == {"a": 3.0, "b": 5.0}


def test_a_file_that_grew_adds_what_is_new_in_it(world: World) -> None:
    """What was taken before keeps the moment at which it was taken; a line that changed counts as new."""
    assert take_labels(world.project, write(world, "prediction_id,value\na,1\nb,5\n")).labels == 2
    world.clock.move_to(START + timedelta(days=90))
    for _ in range(2):
        assert take_labels(world.project, write(world, "prediction_id,value\na,1\nb,6\nc,7\n")).labels == 3
    assert world.project.predictions.roll() == 4, "of eight lines four were new"
    assert taken(world) == {"a": 1.0, "b": 6.0, "c": 7.0}
    assert world.project.predictions.labels(until=START)["prediction_id"].to_list() == ["a", "b"]


def test_a_truth_is_known_from_the_moment_it_was_taken_in_utc(world: World) -> None:
    """Whatever zone the clock speaks in: at 01:30 in Berlin it was still yesterday."""
    berlin = timezone(timedelta(hours=1))
    world.clock.move_to(datetime(2012, 1, 3, 1, 30, tzinfo=berlin))
    take_labels(world.project, write(world, "prediction_id,value\na,1\n"))
    moment = datetime(2012, 1, 3, 0, 30, tzinfo=UTC)
    assert world.project.predictions.labels()["at"].to_list() == [moment]
    assert world.project.predictions.labels(until=moment).height == 1
    assert world.project.predictions.labels(until=moment - timedelta(seconds=1)).height == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(width=64) | st.text(alphabet="0123456789.e+-x ", max_size=6), min_size=1, max_size=8))
def test_all_or_nothing(world: World, values: list[float | str]) -> None:
    """Every number is taken as Python reads it, or no line of the file is."""
    before = taken(world)
    name = f"n{len(before)}"
    rows = [f'{name}-{i},"{value}"' for i, value in enumerate(values)]
    path = write(world, "\n".join(["prediction_id,value", *rows]) + "\n")
    try:
        take_labels(world.project, path)
    except UsageError:
        assert taken(world) == before
        return
    new = {f"{name}-{i}": float(value) for i, value in enumerate(values)}
    assert all(math.isfinite(value) for value in new.values())
    assert taken(world) == before | new


STATIONS = SETTINGS.replace('time = "hour"', 'time = "hour"\nentity = "station"')


@pytest.fixture
def stations(tmp_path: Path, stock: Stock) -> World:
    """A project whose model is about stations; what was predicted for two of them at midnight and at one o'clock."""
    world = World(tmp_path / "toy", stock, STATIONS)
    policy = entity_policy(world.project, world.project.settings.model("demand"))
    rows = []
    for name in ("s1", "s2"):
        for hour in range(2):
            captured = policy.apply({}, name)
            rows.append(
                Prediction(
                    id=f"{name}-{hour}",
                    at=START + hour * HOUR,
                    model="demand",
                    version=1,
                    role="champion",
                    answered=True,
                    share=0.0,
                    key=captured.key,
                    inputs={},
                    raw=1.0,
                    output=1.0,
                    latency_us=1,
                )
            )
    world.keep(rows)
    world.clock.move_to(START + DAY)
    return world


def joined(world: World) -> dict[str, float]:
    """The truth of each prediction."""
    rows = world.project.predictions.labelled("demand", Window(START, START + DAY), as_of=START + 9 * DAY)
    return dict(zip(rows["id"], rows["label"], strict=True))


@pytest.mark.parametrize("header", ["entity,time,value", "station,hour,users"])
def test_labels_may_name_the_entity_and_the_time(stations: World, header: str) -> None:
    """In our words or the project's; the entity is looked for by its pseudonym, and what joins nothing is told."""
    text = f"{header}\ns1,2012-01-02T00:00,7\ns2,2012-01-02T02:00+01:00,8\ns3,2012-01-02,9\n"
    taken = take_labels(stations.project, write(stations, text))
    assert taken == LabelsTaken(labels=3, new=3, joined=2)
    assert taken.unmatched == 1
    assert joined(stations) == {"s1-0": 7.0, "s2-1": 8.0}
    assert "s1" not in str(stations.project.predictions.entity_labels("demand"))
    again = take_labels(stations.project, write(stations, text.replace(",7\n", ",17\n")))
    assert (again.labels, again.new) == (3, 1)
    assert joined(stations) == {"s1-0": 17.0, "s2-1": 8.0}
    found = arrivals_of(stations.project, stations.project.settings.model("demand"))
    assert (found.joined, found.ambiguous, found.unmatched) == (2, 0, 1)


def test_an_ambiguous_label_is_told(tmp_path: Path, stock: Stock, stations: World) -> None:
    """Half past twelve is as near to midnight as to one o'clock, with an hour's tolerance."""
    path = stations.root / "kairos.toml"
    path.write_text(path.read_text() + '[model.demand.monitor]\nlabel_tolerance = "1h"\n')
    text = "entity,time,value\ns1,2012-01-02T00:30,7\ns1,2012-01-02T01:45,8\n"
    with Project(stations.root, clock=stations.clock) as project:
        assert take_labels(project, write(stations, text)) == LabelsTaken(labels=2, new=2, joined=1, ambiguous=1)
    assert joined(stations) == {"s1-1": 8.0}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "labels.csv has no labels.*an empty file.*entity, time and value"),
        ("station,users\ns1,3\n", "labels.csv has no labels.*station, users"),
        ("station,hour,users\ns1,noon,3\n", "Line 2 of labels.csv has no time.*noon"),
        ("station,hour,users\n,2012-01-02,3\n", "Line 2 of labels.csv has no station"),
        ("station,hour,users\ns1,2012-01-02,many\n", "Line 2 of labels.csv has no value"),
    ],
)
def test_what_is_wrong_with_such_a_file_is_named(stations: World, text: str, complaint: str) -> None:
    """And nothing of it is taken."""
    with pytest.raises(UsageError, match=complaint):
        take_labels(stations.project, write(stations, text))
    assert stations.project.predictions.entity_labels("demand").is_empty()


def test_entities_that_are_not_kept_cannot_be_joined(tmp_path: Path, stock: Stock) -> None:
    """So labels have to name predictions; of a model that has no entity, the time is enough."""
    world = World(tmp_path / "toy", stock, STATIONS + '[model.demand.privacy]\nentity = "drop"\n')
    with pytest.raises(UsageError, match="those of 'demand' are not kept"):
        take_labels(world.project, write(world, "entity,time,value\ns1,2012-01-02,3\n"))


def test_of_a_model_without_entity_the_time_is_enough(world: World) -> None:
    """Every hour has one truth."""
    ref = world.live()
    world.day((ref, 200.0))
    taken = take_labels(world.project, write(world, "hour,users\n2012-01-02T05:00,7\n"), model="demand")
    assert (taken.labels, taken.joined) == (1, 1)
    with pytest.raises(NotFound, match="no model 'demnad'"):
        take_labels(world.project, write(world, "hour,users\n2012-01-02T05:00,7\n"), model="demnad")


def test_a_truth_that_the_live_version_cannot_be_judged_by_is_refused(world: World) -> None:
    """It learnt counts, and no count is below nothing; the server refuses the same. Nothing of the file is taken."""
    estimator = PoissonRegressor()
    package = package_of(world.project.store, world.root / "fit", estimator, hourly(START - 42 * DAY, 28, level=230.0))
    ref = world.register(package=package)
    world.gate(ref)
    path = write(world, "hour,users\n2012-01-02T05:00,7\n2012-01-02T06:00,-7\n")
    assert take_labels(world.project, path).new == 2, "nothing is live: every number can be true"
    world.put(ref, "live")
    with pytest.raises(UsageError, match=r"Line 3 .* cannot be judged by\. Given: -7\. Accepted: 0 or more"):
        take_labels(world.project, write(world, "hour,users\n2012-01-03T05:00,7\n2012-01-03T06:00,-7\n"))
    assert len(world.project.predictions.entity_labels("demand")) == 2
    wiring = _Wiring(world.project)
    [route] = wiring.routes(0) or []
    assert route.champion is not None
    policy = wiring.policy(route.champion, wiring.load(package).spec.signature)
    assert policy.truths == Truths(lower=0.0)
