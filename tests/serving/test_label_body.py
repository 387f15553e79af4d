"""Late truths as clients send them: about a prediction id, or about an entity and a time."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from kairos.errors import InputRefused
from kairos.serving.label_body import MOST_LABELS, LabelBody, read_labels

BY_ENTITY = {"model": "demand", "entity": "s1", "time": "2012-03-03T14:00Z", "value": 3}


def test_labels_are_read() -> None:
    """A label is an id and a finite number; 0 and 1 are numbers, true and false are not."""
    assert read_labels({"labels": [{"prediction_id": "p1", "value": 1}]}) == [LabelBody(prediction_id="p1", value=1.0)]
    assert read_labels({"labels": []}) == []


def test_a_label_may_name_an_entity_and_a_time_instead() -> None:
    """Or only a time, of a model whose requests name no entity; a whole number is a name."""
    about = datetime(2012, 3, 3, 14, tzinfo=UTC)
    (found,) = read_labels({"labels": [BY_ENTITY]})
    assert found == LabelBody(model="demand", entity="s1", time=about, value=3.0)
    (found,) = read_labels({"labels": [{**BY_ENTITY, "entity": None}]})
    assert (found.entity, found.time) == (None, about)
    (found,) = read_labels({"labels": [{"model": "demand", "time": "2012-03-03T14:00", "value": 3}]})
    assert (found.entity, found.time) == (None, about)
    (found,) = read_labels({"labels": [{**BY_ENTITY, "entity": 31}]})
    assert found.entity == "31"


@pytest.mark.parametrize(
    ("body", "field", "row"),
    [
        ([], "labels", None),
        ({"labels": 3}, "labels", None),
        ({"labels": [], "more": 1}, "labels", None),
        ({"labels": [{"prediction_id": "p", "value": 1}] * (MOST_LABELS + 1)}, "labels", None),
        ({"labels": [3]}, None, 0),
        ({"labels": [{"value": 3}]}, "prediction_id", 0),
        ({"labels": [{"prediction_id": "p"}]}, "value", 0),
        ({"labels": [{"prediction_id": "p", "value": 1, "at": 2}]}, "at", 0),
        ({"labels": [{"prediction_id": "p", "value": 1}, {"prediction_id": "p", "value": math.nan}]}, "value", 1),
        ({"labels": [{"prediction_id": "p", "value": True}]}, "value", 0),
        ({"labels": [{"prediction_id": "p", "value": "3"}]}, "value", 0),
        ({"labels": [{"prediction_id": "p", "value": 10**400}]}, "value", 0),
        ({"labels": [{"prediction_id": None, "value": 3}]}, "prediction_id", 0),
        ({"labels": [{**BY_ENTITY, "time": "noon"}]}, "time", 0),
        ({"labels": [{**BY_ENTITY, "time": 12}]}, "time", 0),
        ({"labels": [{**BY_ENTITY, "entity": ""}]}, "entity", 0),
        ({"labels": [{"entity": "s1", "time": "2012-03-03", "value": 3}]}, "model", 0),
        ({"labels": [{"model": "demand", "entity": "s1", "value": 3}]}, "time", 0),
        ({"labels": [{**BY_ENTITY, "prediction_id": "p"}]}, "model", 0),
    ],
)
def test_malformed_labels_name_the_field_and_the_row(body: Any, field: str | None, row: int | None) -> None:
    """One bad label refuses the whole request, and says which it was."""
    with pytest.raises(InputRefused) as caught:
        read_labels(body)
    assert (caught.value.facts["field"], caught.value.facts["row"]) == (field, row)
