"""Prediction logs of a made-up model: hourly requests, late labels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.models.profile import Profile
from kairos.store.predictions import Label, Prediction, PredictionLog

START = datetime(2012, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def prediction(hour: int, output: float | None, **changes: Any) -> Prediction:
    """What version 1 gave, as champion, for the request of an hour since 2012."""
    given: dict[str, Any] = {
        "id": f"p{hour}",
        "at": START + hour * HOUR,
        "model": "demand",
        "version": 1,
        "role": "champion",
        "answered": True,
        "share": 0.0,
        "inputs": {},
        "raw": output,
        "output": output,
        "latency_us": 100,
    }
    return Prediction(**given | changes)


def label(hour: int, value: float, *, delay: timedelta = DAY) -> Label:
    """The truth about the request of an hour."""
    return Label(prediction_id=f"p{hour}", value=value, at=START + hour * HOUR + delay)


def write(log: PredictionLog, records: Sequence[Prediction | Label]) -> None:
    """Appends records and rolls them."""
    writer = log.writer("w")
    writer.append([row for row in records if isinstance(row, Prediction)])
    writer.append_labels([row for row in records if isinstance(row, Label)])
    writer.close()
    log.roll()


def new_log(folder: Path) -> PredictionLog:
    """A log in a folder; the same folder gives the same log, as after a restart."""
    return PredictionLog(folder / "predictions")


def truth(rng: np.random.Generator, days: int, level: float = 200.0) -> NDArray[np.float64]:
    """Hourly demand with a daily swing, around a level."""
    swing = 1 + 0.6 * np.sin(np.arange(24) / 24 * 2 * np.pi)
    return level * np.tile(swing, days) * rng.gamma(25.0, 1 / 25, size=24 * days)


def profile_of(temperature: NDArray[np.float64], answers: NDArray[np.float64], target: NDArray[np.float64]) -> Profile:
    """The profile of a model with one number and one category as inputs."""
    kind = np.array(["work", "free"] * (len(temperature) // 2), dtype=object)
    return Profile.fit(
        {"temp": ("number", temperature), "kind": ("category", kind)},
        target=target,
        prediction=answers,
        prediction_on="holdout",
    )
