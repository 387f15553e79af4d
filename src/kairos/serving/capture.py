"""Writes down what every version gave, before an answer leaves. What cannot be written is counted, never forgotten."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from kairos.clock import Clock
from kairos.errors import StoreError
from kairos.serving.layers import Layer, Outcome, Owed, Reply, Request, judge, predict
from kairos.serving.ports import PredictionSink
from kairos.store.records import DROPPED, Prediction

__all__ = ["Capture", "Recorder", "settle"]

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
        names = request.route.champion.signature.names
        rows = [_prediction(request, outcome, names) for outcome in outcomes]
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


def _prediction(request: Request, outcome: Outcome, names: Sequence[str]) -> Prediction:
    row = request.rows[outcome.row]
    # The champion's columns, so that rows of one request look the same whichever version made them.
    inputs = {name: row.get(name) for name in names}
    entity = request.entities[outcome.row]
    captured = request.route.champion.policy.capture.apply(inputs, entity)
    return Prediction(
        id=request.ids[outcome.row],
        at=request.at,
        model=request.route.model,
        version=outcome.version.ref.number,
        role=outcome.role,
        answered=outcome.answered,
        share=request.route.share,
        key=DROPPED if captured.key is None and entity is not None else captured.key,
        inputs=captured.inputs,
        raw=outcome.raw,
        output=outcome.output,
        violation=outcome.violation,
        action=outcome.action,
        error=outcome.error,
        latency_us=outcome.latency_us,
        about=request.times[outcome.row],
    )
