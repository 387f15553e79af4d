"""Streams of numbers with a truth that comes later, and models of scikit-learn that learn from parts of them."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.decisions.streams import Floats
from kairos.app.backtest.past import Change, Cut, Past, answering, change_cost, lived

__all__ = ["Change", "Cut", "Learner", "TimedStream", "answering", "change_cost", "lived"]


class Learner(Protocol):
    """Anything of scikit-learn that can be fitted; with ``predict_proba`` it answers chances."""

    def fit(self, inputs: Floats, label: Floats, /) -> Any:
        """Learns."""
        ...

    def predict(self, inputs: Floats, /) -> Any:
        """Answers."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class TimedStream(Past):
    """A past whose inputs are numbers."""

    name: str
    inputs: Floats
    """Shape (n, inputs)."""
    learner: Callable[[], Learner]
    bounds: tuple[float, float] = (-math.inf, math.inf)
    """What leaves the service is clipped to this."""
    is_real: bool = False
    """Whether it was observed, and not made up."""

    def work_out(self, cut: Cut) -> NDArray[np.float32]:
        """What the model of a cut says about every row; NaN about rows before its ``until``."""
        return _kept(self, cut)


def _kept(stream: TimedStream, cut: Cut) -> NDArray[np.float32]:
    """Answers, from the folder ``KAIROS_REGRET_KEEP`` if there is one and they were worked out before."""
    folder = os.environ.get("KAIROS_REGRET_KEEP")
    if folder is None:
        return _work_out(stream, cut)
    what = hashlib.sha256(np.ascontiguousarray(stream.inputs).tobytes() + stream.label.tobytes()).hexdigest()[:16]
    file = Path(folder) / f"{stream.name}-{what}-{cut.until:g}-{cut.days:g}.npy".replace(" ", "_")
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, _work_out(stream, cut))
    return np.asarray(np.load(file))


def _work_out(stream: TimedStream, cut: Cut) -> NDArray[np.float32]:
    """NaN before ``until``; single precision is enough, and there are many."""
    known, later = stream.learns(cut), stream.rows(cut.until, math.inf)
    out = np.full(stream.day.size, np.nan, dtype=np.float32)
    model = stream.learner()
    model.fit(stream.inputs[known], stream.label[known])
    raw = (
        model.predict_proba(stream.inputs[later])[:, 1]
        if hasattr(model, "predict_proba")
        else model.predict(stream.inputs[later])
    )
    out[later] = np.clip(raw, *stream.bounds)
    return out
