"""Writes down what every version gave, before an answer leaves. What cannot be written is counted, never forgotten."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, TypeVar, cast

import numpy as np
from msgspec.structs import replace

from kairos.clock import Clock
from kairos.errors import StoreError
from kairos.models.arrays import to_log
from kairos.models.outputs import Output, lead_of, told_row
from kairos.models.signature import Signature
from kairos.privacy import CapturePolicy
from kairos.serving.calling import predict
from kairos.serving.deployment import LoadedVersion
from kairos.serving.guard import Said
from kairos.serving.guarding import judge
from kairos.serving.layers import Layer
from kairos.serving.outcomes import Outcomes, Owed, Reply, Request
from kairos.serving.ports import PredictionSink
from kairos.serving.rows import told_column
from kairos.store.batch import Answer, Packed, Predictions, Scalar
from kairos.store.records import DROPPED
from kairos.store.spool import Commit

__all__ = ["Capture", "Recorder", "settle", "unkept", "written"]

_log = logging.getLogger("kairos.serving")

T = TypeVar("T")

_FEW = 8
"""Rows up to which numbers are written down one by one."""


class Recorder:
    """Turns outcomes into rows of the prediction log; safe from several threads.

    Args:
        sink: Takes the rows.
        on_loss: Told the outcomes that could not be written.
    """

    def __init__(self, sink: PredictionSink, *, on_loss: Callable[[Sequence[Outcomes]], None]) -> None:
        self._sink = sink
        self._on_loss = on_loss
        self._is_failing = False

    def write(self, request: Request, outcomes: Sequence[Outcomes]) -> tuple[bool, Commit | None]:
        """Writes one row for each outcome; whether it is on record, and what to wait for before an answer leaves."""
        rows = written(request, outcomes)
        try:
            commit = self._sink.append(rows)
        except StoreError as error:
            self.lost(unkept(outcomes) if self._sink.is_durable else outcomes)
            if not self._is_failing:
                what = "refused because they cannot be" if self._sink.is_durable else "answered but not"
                _log.error("Predictions are %s captured: %s", what, error)
            self._is_failing = True
            return False, None
        self._is_failing = False
        return True, commit

    def lost(self, outcomes: Sequence[Outcomes]) -> None:
        """Counts outcomes that may be in no log."""
        self._on_loss(outcomes)


class Capture:
    """Writes the outcomes down, then lets the answer go; with a durable sink, once the commit has ended."""

    def __init__(self, following: Layer, *, recorder: Recorder) -> None:
        self._next = following
        self._recorder = recorder

    def __call__(self, request: Request, rows: Sequence[int]) -> Reply:
        """The reply of the next layer, which is on record if ``captured`` says so."""
        reply = self._next(request, rows)
        captured, commit = self._recorder.write(request, reply.outcomes)
        return replace(reply, captured=captured, commit=commit)


def unkept(outcomes: Sequence[Outcomes]) -> tuple[Outcomes, ...]:
    """The outcomes, none of which leaves, because they are not safely on record."""
    return tuple(replace(each, answered=[False] * len(each)) for each in outcomes)


def settle(request: Request, owed: Owed, *, clock: Clock, recorder: Recorder) -> tuple[Outcomes, ...]:
    """Lets a version that owes predictions make them, and writes them down."""
    outcomes = predict(owed.version, owed.role, request, owed.rows, clock, answers=False)
    judged = tuple(judge(each) for each in outcomes)
    _, commit = recorder.write(request, judged)
    if commit is not None:  # nobody waits for it, but what is lost is counted
        commit.add_done_callback(lambda ended: recorder.lost(judged) if ended.exception() is not None else None)
    return judged


def written(request: Request, outcomes: Sequence[Outcomes]) -> Predictions:
    """What is written down of a request: the champion's columns, so that its rows look alike whoever made them."""
    policy = request.route.champion.policy.capture
    inputs, keys = policy.apply_columns(_told(request.columns, request.route.champion.signature), request.entities)
    return Predictions(
        model=request.route.model,
        at=request.at,
        share=request.route.share,
        ids=list(request.ids),
        keys=_told_keys(keys, request.entities),
        abouts=list(request.times),
        lists=_list_keys(request, policy),
        items=[] if request.lists is None else policy.apply_columns({}, [each.item for each in request.lists])[1],
        inputs=cast("dict[str, list[Scalar] | Packed]", inputs),
        sparse=policy.pseudonymise,
        rows=_all([each.rows for each in outcomes]),
        versions=_all([[each.version.ref.number] * len(each) for each in outcomes]),
        roles=_all([[each.role] * len(each) for each in outcomes]),
        answered=_all([each.answered for each in outcomes]),
        raws=_all([_leads(each.version, each.raws) for each in outcomes]),
        outputs=_all([_leads(each.version, each.outputs) for each in outcomes]),
        told=_told_outputs(outcomes),
        violations=_all([each.violations for each in outcomes]),
        actions=_all([each.actions for each in outcomes]),
        errors=_all([[each.error] * len(each) for each in outcomes]),
        latencies_us=_all([[each.latency_us] * len(each) for each in outcomes]),
    )


def _told(columns: Mapping[str, np.ndarray[Any, Any]], signature: Signature) -> Mapping[str, list[Scalar] | Packed]:
    """Columns as they are written down: numbers of many rows as they are, all else as JSON has it."""
    told: dict[str, list[Scalar] | Packed] = {}
    for column in signature.columns:
        values = columns[column.name]
        if column.shape:  # the numbers of a cell in a row: the signature has the shape
            told[column.name] = [to_log(cell, column.shape) for cell in values]
        elif len(values) <= _FEW or values.dtype.kind not in "fi":
            told[column.name] = told_column(values, column)
        elif values.dtype.kind == "i":
            told[column.name] = Packed(kind="integer", data=values.astype("<i8", copy=False).tobytes())
        else:
            kind: Literal["number", "whole"] = "whole" if column.kind == "integer" else "number"
            told[column.name] = Packed(kind=kind, data=values.astype("<f8", copy=False).tobytes())
    return told


def _leads(version: LoadedVersion, said: Sequence[Said | None]) -> Sequence[float | None]:
    """One number for each answer; of several that are not all finite NaN."""
    outputs = version.signature.outputs
    if not outputs:
        return cast("Sequence[float | None]", said)
    return [_lead(outputs, cast("tuple[float, ...] | None", each)) for each in said]


def _lead(outputs: Sequence[Output], numbers: tuple[float, ...] | None) -> float | None:
    if numbers is None:
        return None
    return lead_of(outputs, numbers) if math.isfinite(sum(numbers)) else math.nan


def _told_outputs(outcomes: Sequence[Outcomes]) -> dict[str, list[Answer]]:
    """What may leave of versions with several outputs, by name; nothing of one that gives one number."""
    names = {name for each in outcomes for output in each.version.signature.outputs for name, _ in output.fields}
    if not names:
        return {}
    found: dict[str, list[Answer]] = {name: [] for name in sorted(names)}
    for each in outcomes:
        for said in each.outputs:
            told = told_row(each.version.signature.outputs, said) if isinstance(said, tuple) else {}
            for name, values in found.items():
                values.append(told.get(name))
    return found


def _told_keys(keys: list[str | None], entities: Sequence[str | None]) -> list[str | None]:
    if None not in keys or all(entity is None for entity in entities):
        return keys
    return [DROPPED if key is None and entity is not None else key for key, entity in zip(keys, entities, strict=True)]


def _list_keys(request: Request, policy: CapturePolicy) -> list[str | None]:
    """What rows of one list have in common; a name that may not be kept leaves the request, and which list of it."""
    lists = request.lists or []
    names = policy.apply_columns({}, [each.name for each in lists])[1]
    unnamed: dict[tuple[str, str | None], str] = {}
    return [
        unnamed.setdefault(each.whole, f"{each.request}/{len(unnamed)}") if name is None else name
        for each, name in zip(lists, names, strict=True)
    ]


def _all(columns: Sequence[Sequence[T]]) -> list[T]:
    """One after the other; mostly there is one."""
    return list(columns[0]) if len(columns) == 1 else list(chain.from_iterable(columns))
