"""Late truths from a file: all of it or nothing, and the line that is wrong is named."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kairos.app.labelling import take_labels
from kairos.errors import NotFound, UsageError
from tests.app.worlds import START, World


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
    assert take_labels(world.project, write(world, text)) == 4
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
    assert take_labels(world.project, write(world, "prediction_id,value\na,1\nb,5\n")) == 2
    world.clock.move_to(START + timedelta(days=90))
    for _ in range(2):
        assert take_labels(world.project, write(world, "prediction_id,value\na,1\nb,6\nc,7\n")) == 3
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
