"""Late truths as clients send them: about a prediction id, or about an entity and a time."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from kairos.errors import InputRefused
from kairos.models.outputs import Output
from kairos.models.truths import AnyTruths, NamedTruths, Truths
from kairos.serving.label_body import MOST_LABELS, LabelBody, read_labels, refuse_untrue
from kairos.store.label_rows import Said

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
        ({"labels": [{"prediction_id": "p", "value": ""}]}, "value", 0),
        ({"labels": [{"prediction_id": "p", "value": "c" * 1001}]}, "value", 0),
        ({"labels": [{"prediction_id": "p", "value": {}}]}, "value", 0),
        ({"labels": [{"prediction_id": "p", "value": {"h1": "3"}}]}, "value", 0),
        ({"labels": [{"prediction_id": "p", "value": {"h1": math.nan}}]}, "value", 0),
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


COUNTS, CHANCES, NUMBERS = Truths(lower=0.0), Truths(classes=(0.0, 1.0)), Truths()
KINDS = NamedTruths(outputs=(Output(name="kind", kind="class", classes=("cat", "dog")),))
STEPS = NamedTruths(outputs=(Output(name="h1"), Output(name="h2")))


def about(model: str | None, value: Said) -> LabelBody:
    """A label of that model, or of a prediction's id."""
    if model is None:
        return LabelBody(value=value, prediction_id="p")
    return LabelBody(value=value, model=model, time=datetime(2012, 3, 3, tzinfo=UTC))


@pytest.mark.parametrize(
    ("model", "value", "truths"),
    [
        (None, -1.0, {"demand": [NUMBERS]}),
        (None, -1.0, {}),
        (None, -1.0, {"demand": [COUNTS], "other": [NUMBERS]}),
        (None, 0.5, {"demand": [COUNTS], "other": [CHANCES]}),
        ("demand", 2.0, {"demand": [CHANCES, Truths(classes=(0.0, 1.0, 2.0))]}),
        ("demand", 0.0, {"demand": [COUNTS], "other": [CHANCES]}),
        ("demand", "dog", {"demand": [KINDS]}),
        (None, {"h2": 3.0}, {"demand": [STEPS], "b": [NUMBERS]}),
    ],
)
def test_a_value_is_taken_if_a_version_can_be_judged_by_it(
    model: str | None, value: Said, truths: dict[str, list[AnyTruths]]
) -> None:
    """An id does not say whose it is: one model is enough. A version on trial may have learnt a class more."""
    refuse_untrue([about(model, value)], truths, is_all=True)


@pytest.mark.parametrize(
    ("model", "value", "truths", "message"),
    [
        (
            None,
            -1.0,
            {"demand": [COUNTS]},
            "Label 1 has a value that the model 'demand' can never be.*-1.*0 or",
        ),
        (
            None,
            7.0,
            {"demand": [CHANCES], "b": [CHANCES]},
            "no live model can be judged by.*: 7.*: 0 or 1",
        ),
        ("demand", -1.0, {"demand": [COUNTS], "other": [NUMBERS]}, "the model 'demand' can never"),
        ("demand", 3.0, {"demand": [CHANCES, CHANCES]}, r"Accepted: 0 or 1\.$"),
        ("demand", "3", {"demand": [NUMBERS]}, "'3'.*a finite number"),
        (None, {"h1": 1.0}, {"demand": [NUMBERS], "b": [KINDS]}, "h1=1"),
    ],
)
def test_a_value_that_cannot_be_true_is_named(
    model: str | None, value: Said, truths: dict[str, list[AnyTruths]], message: str
) -> None:
    """With the label, what was given, and what can be true."""
    with pytest.raises(InputRefused, match=message) as caught:
        refuse_untrue([about(model, 1.0), about(model, value)], truths, is_all=True)
    assert caught.value.facts == {"field": "value", "row": 1}


def test_an_id_may_be_of_a_model_that_could_not_be_loaded() -> None:
    """Its label is taken, for nobody knows what that model takes; one that names its model is looked at."""
    refuse_untrue([about(None, -1.0)], {"demand": [COUNTS]}, is_all=False)
    with pytest.raises(InputRefused):
        refuse_untrue([about("demand", -1.0)], {"demand": [COUNTS]}, is_all=False)


@pytest.mark.parametrize(
    ("value", "truths", "message"),
    [
        ("bird", KINDS, "Given: 'bird'. Accepted: 'cat' or 'dog'"),
        (1.0, KINDS, "Given: 1. Accepted: 'cat' or 'dog'"),
        ({"h3": 1.0}, STEPS, "Given: h3=1. Accepted: a finite number for one or more of h1, h2"),
        (1.0, STEPS, "Given: 1. Accepted: a finite number for one or more of h1, h2"),
    ],
)
def test_what_cannot_be_true_of_several_outputs_is_named(value: Said, truths: NamedTruths, message: str) -> None:
    """A class by its name, targets by theirs."""
    with pytest.raises(InputRefused, match=re.escape(message)):
        refuse_untrue([about("demand", value)], {"demand": [truths]}, is_all=True)
