"""Which predictions a label by entity and time is about; what fits twice or not at all is told, and joins nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import UsageError
from kairos.store.frames import entity_label_frame, prediction_frame
from kairos.store.matching import Matches, match
from kairos.store.predictions import EntityLabel, Label, Prediction, PredictionLog
from kairos.values import Window

START = datetime(2011, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ALL = Window(START - 100 * DAY, START + 100 * DAY)


def asked(name: str, minute: float, key: str | None = "a", **changes: Any) -> Prediction:
    """What was predicted for an entity at a minute."""
    given: dict[str, Any] = {
        "id": name,
        "at": START + minute * MINUTE,
        "model": "demand",
        "version": 1,
        "role": "champion",
        "answered": True,
        "share": 0.0,
        "key": key,
        "inputs": {},
        "raw": 1.0,
        "output": 1.0,
        "latency_us": 1,
    }
    return Prediction(**given | changes)


def truth(
    minute: float, value: float, key: str | None = "a", *, within: float = 0.0, after: float = 60.0
) -> EntityLabel:
    """A label about an entity at a minute, with a tolerance and a delay in minutes."""
    return EntityLabel(
        model="demand",
        key=key,
        about=START + minute * MINUTE,
        value=value,
        at=START + (minute + after) * MINUTE,
        within_s=60 * within,
    )


def matched(requests: Sequence[Prediction], labels: Sequence[EntityLabel]) -> Matches:
    return match(prediction_frame(requests), entity_label_frame(labels))


def pairs(found: pl.DataFrame) -> list[tuple[str, float]]:
    return list(zip(found["prediction_id"], found["value"], strict=True))


def of_list(list_key: str, item_key: str, value: float, after: float = 60.0) -> EntityLabel:
    """A label about an item of a list, with a delay in minutes."""
    at = START + after * MINUTE
    return EntityLabel(model="demand", key=None, about=None, list_key=list_key, item_key=item_key, value=value, at=at)


def test_a_label_may_name_a_list_and_an_item() -> None:
    """It is about every prediction of both, whenever they were made; what is in no list is not meant."""
    requests = [
        asked("p", 0, list_key="s", item_key="a"),
        asked("q", 0, list_key="s", item_key="b"),
        asked("r", 999, list_key="s", item_key="a"),
        asked("n", 0),
    ]
    given = [of_list("s", "a", 1.0), of_list("s", "c", 2.0), of_list("t", "a", 3.0)]
    found = matched(requests, given)
    assert pairs(found.truths) == [("p", 1.0), ("r", 1.0)]
    assert found.unmatched["value"].to_list() == [2.0, 3.0]
    assert matched([asked("n", 0)], given).unmatched.height == 3
    both = matched(requests, [*given, truth(0, 7.0, key="x")])
    assert sorted(both.unmatched["value"]) == [2.0, 3.0, 7.0]


def test_an_item_is_one_of_the_rows_of_an_entity_at_a_time() -> None:
    """Not the others, and not a row that names none; where no row does, nothing is meant."""
    requests = [asked("p", 0, item_key="a", list_key="s"), asked("q", 0, item_key="b", list_key="s"), asked("n", 0)]
    label = replace(truth(0, 5.0), item_key="b")
    assert pairs(matched(requests, [label]).truths) == [("q", 5.0)]
    assert matched([asked("n", 0)], [label]).unmatched.height == 1


def test_labels_of_lists_are_read_from_the_log(tmp_path: Path) -> None:
    """Rolled or not, and beside files from before there were such; of equal ones the latest counts."""
    log = PredictionLog(tmp_path)
    with closing(log.writer("w")) as writer:
        writer.append_entity_labels([truth(0, 1.0)])
        writer.append([asked("o", 0)])
        log.roll()
        writer.append([asked("p", 0, list_key="s", item_key="a")])
        writer.append_entity_labels([of_list("s", "a", 1.0), of_list("s", "a", 4.0, after=70.0)])
        for _ in range(2):
            rows = log.labelled("demand", ALL, as_of=START + DAY)
            assert dict(zip(rows["id"], rows["label"], strict=True)) == {"o": 1.0, "p": 4.0}
            assert log.matches("demand").unmatched.is_empty()
            assert log.find("p")[0].item_key == "a"
            log.roll()


def test_the_entity_and_the_time_have_to_fit() -> None:
    """Not another entity's, and not the one that named none."""
    requests = [asked("p", 0), asked("q", 0, "b"), asked("r", 0, None), asked("s", 5)]
    found = matched(requests, [truth(0, 7.0), truth(0, 8.0, None), truth(0, 9.0, "c"), truth(1, 10.0)])
    assert pairs(found.truths) == [("p", 7.0), ("r", 8.0)]
    assert found.unmatched["value"].to_list() == [9.0, 10.0]
    assert found.ambiguous.is_empty()


def test_the_time_is_the_one_that_the_request_named() -> None:
    """A forecast of noon that was asked for at eight gets the truth of noon."""
    noon = START + 240 * MINUTE
    found = matched([asked("p", 0, about=noon), asked("q", 240)], [truth(240, 7.0), truth(0, 8.0)])
    assert pairs(found.truths) == [("p", 7.0), ("q", 7.0)]
    assert found.unmatched["value"].to_list() == [8.0]


def test_a_request_that_was_repeated_has_the_same_truth() -> None:
    """And so have two versions that answered the same request."""
    requests = [asked("p", 0), asked("q", 0), asked("p", 0, version=2, role="challenger", answered=False)]
    assert pairs(matched(requests, [truth(0, 7.0)]).truths) == [("p", 7.0), ("q", 7.0)]


def test_a_tolerance_finds_the_one_time_that_is_near() -> None:
    """The exact one goes first; of two that are near, none is taken: nobody knows which was meant."""
    requests = [asked("p", 0), asked("q", 10), asked("r", 60)]
    near = [truth(2, 1.0, within=5), truth(10, 2.0, within=30), truth(5, 3.0, within=5), truth(30, 4.0, within=5)]
    found = matched(requests, near)
    assert pairs(found.truths) == [("p", 1.0), ("q", 2.0)]
    assert found.ambiguous["value"].to_list() == [3.0]
    assert found.unmatched["value"].to_list() == [4.0]


TIMES = st.integers(0, 8)
KEYS = st.sampled_from(["a", "b", None])


@given(
    st.lists(st.tuples(TIMES, KEYS), max_size=12),
    st.lists(st.tuples(TIMES, KEYS, st.integers(0, 3)), max_size=12),
    st.randoms(use_true_random=False),
)
def test_every_label_has_one_fate_and_order_does_not_matter(
    times: list[tuple[int, str | None]], labels: list[tuple[int, str | None, int]], random: Any
) -> None:
    """Joined, ambiguous or about nothing: as counting by hand says, whatever the order of rows and labels."""
    requests = [asked(f"p{n}", minute, key) for n, (minute, key) in enumerate(times)]
    given = [truth(minute, float(n), key, within=within) for n, (minute, key, within) in enumerate(labels)]
    found = matched(requests, given)
    expected = []
    for n, (minute, key, within) in enumerate(labels):
        near = {m for m, k in times if k == key and abs(m - minute) <= within}
        near = {minute} if minute in near else near
        if len(near) == 1:
            expected += [(f"p{p}", float(n)) for p, (m, k) in enumerate(times) if k == key and m in near]
        assert (float(n) in found.ambiguous["value"].to_list()) == (len(near) > 1)
        assert (float(n) in found.unmatched["value"].to_list()) == (not near)
    assert sorted(pairs(found.truths)) == sorted(expected)
    random.shuffle(requests)
    random.shuffle(given)
    assert sorted(pairs(matched(requests, given).truths)) == sorted(expected)


def written(folder: Path, records: Iterable[Prediction | Label | EntityLabel]) -> PredictionLog:
    log = PredictionLog(folder / "predictions")
    writer = log.writer("w")
    for record in records:
        if isinstance(record, Prediction):
            writer.append([record])
        elif isinstance(record, Label):
            writer.append_labels([record])
        else:
            writer.append_entity_labels([record])
    writer.close()
    return log


def known(log: PredictionLog, minute: float, **limits: Any) -> dict[str, float]:
    rows = log.labelled("demand", ALL, as_of=START + minute * MINUTE, **limits)
    return dict(zip(rows["id"], rows["label"], strict=True))


def test_the_latest_label_of_a_prediction_wins_however_it_names_it(tmp_path: Path) -> None:
    """By entity, corrected by entity, corrected by id, rolled or not; what was known before stays known for then."""
    by_id = Label(prediction_id="p", value=3.0, at=START + 90 * MINUTE)
    log = written(tmp_path, [truth(0, 1.0), asked("p", 0), asked("q", 0), truth(0, 2.0, after=70), by_id])
    for _ in range(2):
        assert known(log, 59) == {}
        assert known(log, 60) == {"p": 1.0, "q": 1.0}
        assert known(log, 80) == {"p": 2.0, "q": 2.0}
        assert known(log, 90) == {"p": 3.0, "q": 2.0}
        assert log.truth_of(asked("p", 0)) == 3.0
        assert log.entity_labels("demand")["value"].to_list() == [2.0]
        rows = log.arrivals("demand", ALL, as_of=START + 90 * MINUTE)
        assert rows["label_at"].to_list() == [START + 60 * MINUTE] * 2
        log.roll()


def test_a_label_may_come_before_what_it_is_about(tmp_path: Path) -> None:
    """It waits, is told of as unmatched, and joins once the prediction is there."""
    log = written(tmp_path, [truth(100, 1.0, after=-40)])
    assert log.matches("demand").unmatched.height == 1
    log.roll()
    log = written(tmp_path, [asked("p", 100)])
    assert known(log, 200) == {"p": 1.0}
    assert log.matches("demand").unmatched.is_empty()
    assert log.known_ids(["p", "nobody"]) == {"p"}


def test_a_window_does_not_hide_what_makes_a_label_ambiguous(tmp_path: Path) -> None:
    """A prediction just outside of it is as near; a label that comes too late for its day changes nothing."""
    log = written(tmp_path, [asked("p", 0), asked("q", 10), truth(5, 1.0, within=6), asked("r", 60), truth(60, 2.0)])
    for window in (ALL, Window(START, START + 5 * MINUTE), Window(START + 5 * MINUTE, START + DAY)):
        rows = log.labelled("demand", window, as_of=START + DAY)
        assert "p" not in rows["id"].to_list()
        assert "q" not in rows["id"].to_list()
    late = written(tmp_path, [truth(60, 9.0, after=60 * 24 * 9)])
    assert known(late, 60 * 24 * 30, within=timedelta(days=7)) == {"r": 2.0}
    assert known(late, 60 * 24 * 30) == {"r": 9.0}


def test_labels_of_another_model_join_nothing_and_old_ones_are_pruned(tmp_path: Path) -> None:
    """By the day of their arrival, like the others."""
    log = written(tmp_path, [asked("p", 0), truth(0, 1.0), asked("q", 0, model="other")])
    assert log.labelled("other", ALL, as_of=START + DAY).is_empty()
    log.prune(START + 3 * DAY)
    assert log.entity_labels("demand").is_empty()


@pytest.mark.parametrize(
    "changes", [{"key": ""}, {"within_s": -1.0}, {"model": "a/b"}, {"about": START.replace(tzinfo=None)}]
)
def test_a_label_names_an_entity_of_a_model(changes: dict[str, Any]) -> None:
    """What nothing can join is refused before it can reach a spool; a key that was not kept names nobody."""
    given: dict[str, Any] = {"model": "demand", "key": "a", "about": START, "value": 1.0, "at": START}
    with pytest.raises(UsageError):
        EntityLabel(**given | changes)
