"""Writes down what every version gave, before an answer leaves. What cannot be written is counted, never forgotten."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from kairos.clock import Clock
from kairos.errors import StoreError
from kairos.serving.layers import Layer, Outcome, Owed, Reply, Request, judge, predict
from kairos.serving.ports import PredictionSink
from kairos.serving.rows import told_columns
from kairos.store.batch import Predictions
from kairos.store.records import DROPPED

__all__ = ["Capture", "Recorder", "settle", "written"]

_log = logging.getLogger("kairos.serving")


class Recorder:
    """Turns outcomes into rows of the prediction log; safe from several threads.

    Args:
        sink: Takes the rows.
        on_loss: Told the outcomes that could not be written.
    """

    def __init__(self, sink: PredictionSink, *, on_loss: Callable[[Sequence[Outcome]], None]) -> None:
        self._sink = sink
        self._on_loss = on_loss
        self._is_failing = False

    def write(self, request: Request, outcomes: Sequence[Outcome]) -> bool:
        """Writes one row for each outcome; returns whether it is on record."""
        rows = written(request, outcomes)
        try:
            self._sink.append(rows)
        except StoreError as error:
            self._on_loss(outcomes)
            if not self._is_failing:
                _log.error("Predictions are answered but not captured: %s", error)
            self._is_failing = True
            return False
        self._is_failing = False
        return True


class Capture:
    """Writes the outcomes down, then lets the answer go."""

    def __init__(self, following: Layer, *, recorder: Recorder) -> None:
        self._next = following
        self._recorder = recorder

    def __call__(self, request: Request, rows: Sequence[int]) -> Reply:
        """The reply of the next layer, which is on record if ``captured`` says so."""
        reply = self._next(request, rows)
        return replace(reply, captured=self._recorder.write(request, reply.outcomes))


def settle(request: Request, owed: Owed, *, clock: Clock, recorder: Recorder) -> tuple[Outcome, ...]:
    """Lets a version that owes predictions make them, and writes them down."""
    outcomes = predict(owed.version, owed.role, request, owed.rows, clock, answers=False)
    judged = tuple(judge(outcome) for outcome in outcomes)
    recorder.write(request, judged)
    return judged


def written(request: Request, outcomes: Sequence[Outcome]) -> Predictions:
    """What is written down of a request: the champion's columns, so that its rows look alike whoever made them."""
    policy = request.route.champion.policy.capture
    inputs, keys = policy.apply_columns(
        told_columns(request.columns, request.route.champion.signature), request.entities
    )
    pairs = zip(keys, request.entities, strict=True)
    return Predictions(
        model=request.route.model,
        at=request.at,
        share=request.route.share,
        ids=list(request.ids),
        keys=[DROPPED if key is None and entity is not None else key for key, entity in pairs],
        abouts=list(request.times),
        inputs=inputs,
        sparse=policy.pseudonymise,
        rows=[outcome.row for outcome in outcomes],
        versions=[outcome.version.ref.number for outcome in outcomes],
        roles=[outcome.role for outcome in outcomes],
        answered=[outcome.answered for outcome in outcomes],
        raws=[outcome.raw for outcome in outcomes],
        outputs=[outcome.output for outcome in outcomes],
        violations=[outcome.violation for outcome in outcomes],
        actions=[outcome.action for outcome in outcomes],
        errors=[outcome.error for outcome in outcomes],
        latencies_us=[outcome.latency_us for outcome in outcomes],
    )
