"""Late truths as the prediction log keeps them: by prediction id, or by entity and time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kairos.serving.body import refuse
from kairos.serving.deployment import Deployment, LoadedVersion
from kairos.serving.label_body import LabelBody
from kairos.store.label_rows import said_rows
from kairos.store.records import EntityLabel, Label

__all__ = ["kept_labels"]


def kept_labels(
    found: Sequence[LabelBody], deployment: Deployment, *, at: datetime
) -> tuple[list[Label], list[EntityLabel]]:
    """The labels of one request, all of one kind.

    Args:
        found: As they were read.
        deployment: Knows how each model keeps entities.
        at: When they arrived.

    Raises:
        UsageError: both kinds are in one request, or an entity is named and the model keeps none.
        NotFound: no version of the model that a label names is live.
    """
    by_id = [
        Label(prediction_id=label.prediction_id, at=at, **said._asdict())
        for label in found
        if label.prediction_id is not None
        for said in said_rows(label.value)
    ]
    rows = [(row, label) for row, label in enumerate(found) if label.prediction_id is None]
    by_entity = [each for row, label in rows for each in _by_entity(row, label, deployment, at)]
    if by_id and by_entity:
        raise refuse("Labels of both kinds are in one request.", field="labels", accepted="one kind a request")
    return by_id, by_entity


def _by_entity(row: int, label: LabelBody, deployment: Deployment, at: datetime) -> list[EntityLabel]:
    champion = deployment.route(label.model).champion
    _check_item(row, label, champion)
    policy = champion.policy
    named = {"key": label.entity, "list_key": label.list, "item_key": label.item}
    kept = {name: policy.capture.apply({}, value).key for name, value in named.items()}
    for name, field in (("key", "entity"), ("list_key", "list"), ("item_key", "item")):
        if named[name] is not None and kept[name] is None:
            what = "an entity" if name == "key" else f"the {field} of a row"
            raise refuse(
                f"Label {row} names {what}, and those of {label.model!r} are not kept.",
                field=field,
                row=row,
                accepted="a prediction_id",
            )
    return [
        EntityLabel(
            model=label.model,
            about=label.time,
            at=at,
            within_s=policy.label_tolerance.total_seconds(),
            key=kept["key"],
            list_key=kept["list_key"],
            item_key=kept["item_key"],
            **said._asdict(),
        )
        for said in said_rows(label.value)
    ]


def _check_item(row: int, label: LabelBody, champion: LoadedVersion) -> None:
    """Refuses to guess which row of a list is meant, or what an item of a model without lists is."""
    if champion.rank_within is None and label.item is not None:
        raise refuse(
            f"Label {row} names an item, and {label.model!r} ranks no lists.",
            field="item",
            row=row,
            accepted="a prediction_id, or entity and time",
        )
    if champion.rank_within is not None and (label.item is None or champion.item is None):
        what = f"Label {row} does not say which row it is about: {label.model!r} ranks several rows of one entity"
        raise refuse(
            f"{what} at one time.",
            field="item",
            row=row,
            accepted="a prediction_id"
            if champion.item is None
            else "a prediction_id; list and item; or entity, time and item",
            hint=f'Set model.{label.model}.item = "COLUMN", train again, and have requests send it.'
            if champion.item is None
            else None,
        )
