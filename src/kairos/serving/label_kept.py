"""Late truths as the prediction log keeps them: by prediction id, or by entity and time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kairos.serving.body import refuse
from kairos.serving.deployment import Deployment
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
    policy = deployment.route(label.model).champion.policy
    if policy.ranks:
        raise refuse(
            f"Label {row} names no prediction, and {label.model!r} ranks several rows of one entity at one time.",
            field="prediction_id",
            row=row,
            accepted="a prediction_id",
        )
    key = policy.capture.apply({}, label.entity).key
    if label.entity is not None and key is None:
        raise refuse(
            f"Label {row} names an entity, and those of {label.model!r} are not kept.",
            field="entity",
            row=row,
            accepted="a prediction_id",
        )
    assert label.time is not None  # of a label without a prediction id
    return [
        EntityLabel(
            model=label.model,
            key=key,
            about=label.time,
            at=at,
            within_s=policy.label_tolerance.total_seconds(),
            **said._asdict(),
        )
        for said in said_rows(label.value)
    ]
