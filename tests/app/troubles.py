"""Streams with one known trouble, served and labelled in a world: what the log and the ledger hold afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kairos.store.predictions import Label, Prediction
from kairos.testing.troubles import TroubledStream
from kairos.values import VersionRef
from tests.app.worlds import DAY, START, World

__all__ = ["play", "with_run"]


def play(
    world: World,
    stream: TroubledStream,
    *,
    days: int,
    since: int = 0,
    deploys: Mapping[int, VersionRef] | None = None,
) -> None:
    """Serves the stream from ``START`` on, day by day, each truth a day later, and stays at the end of the last day.

    Args:
        world: Where something is live already.
        stream: What is asked, answered and true.
        days: Up to which of its days, that one not included.
        since: From which on.
        deploys: Versions that go live at the beginning of a day, by its number.
    """
    names = list(stream.inputs)
    per_day = int((stream.day == 0).sum())
    for day in range(since, days):
        if deploys and day in deploys:
            world.put(deploys[day], "live")
        champion = world.model().champion_ref
        assert champion is not None
        rows, labels = [], []
        for number in (stream.day == day).nonzero()[0].tolist():
            at = START + day * DAY + (number % per_day) * DAY / per_day
            inputs = {name: _plain(stream.inputs[name][number]) for name in names}
            rows.append(_row(champion, f"p{number:06}", at, inputs, float(stream.output[number])))
            labels.append(Label(prediction_id=f"p{number:06}", value=float(stream.label[number]), at=at + DAY))
        world.keep(rows, labels)
        world.clock.move_to(START + (day + 1) * DAY)


def with_run(world: World, *, changes: Mapping[str, Any], level: float = 200.0) -> VersionRef:
    """Registers the next version, whose run differs from those of the world in what is named."""
    ref = world.register(level)
    [*_, run] = world.facts("run.finished")
    body = {**run.body, **{k: v for k, v in changes.items() if k != "steps"}}
    steps: Sequence[Mapping[str, Any]] = run.body["steps"]
    body["steps"] = [{**step, **changes.get("steps", {})} for step in steps]
    world.project.tell("run.finished", subject=run.subject, body=body)
    world.gate(ref)
    return ref


def _row(ref: VersionRef, name: str, at: Any, inputs: dict[str, Any], output: float) -> Prediction:
    return Prediction(
        id=name,
        at=at,
        model=ref.model,
        version=ref.number,
        role="champion",
        answered=True,
        share=0.0,
        inputs=inputs,
        raw=output,
        output=output,
        latency_us=100,
    )


def _plain(value: Any) -> Any:
    return None if value is None or value != value else value if isinstance(value, str) else float(value)
