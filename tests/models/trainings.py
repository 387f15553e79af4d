"""Tables, and the request that the pipeline makes after a ``@model`` step returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.package import Package, open_package
from kairos.values import Json

N = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """As ``kairos.models.ports.FinishRequest`` says."""

    returned: object
    inputs: dict[str, Any]
    workdir: Path
    step: str = "demand"
    target: str | None = "users"
    drop: Sequence[str] = ()
    params: dict[str, Json] = field(default_factory=lambda: {"max_iter": 5})
    seed: int | None = 0
    lineage: dict[str, Json] = field(default_factory=lambda: {"inputs": {"train": "0" * 32}})
    given: dict[str, Any] = field(default_factory=dict)
    targets: Sequence[str] = ()
    also: dict[str, Any] = field(default_factory=dict)


def hours(*, seed: int = 0) -> pl.DataFrame:
    """Rentals by the hour, as the bikes example has them: numbers only, and the weather is sometimes missing."""
    random = np.random.default_rng(seed)
    hour_of_day = np.arange(N) % 24
    temperature = random.normal(15.0, 8.0, N)
    casual = random.integers(0, 30, N)
    registered = 5 * hour_of_day + random.integers(0, 40, N)
    weather = random.integers(1, 5, N)
    start = datetime(2011, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "hour": pl.datetime_range(start, start.replace(month=3), "1h", eager=True).head(N),
            "hour_of_day": hour_of_day,
            "weather": pl.Series([None if w == 4 else int(w) for w in weather], dtype=pl.Int64),
            "temperature": temperature,
            "holiday": random.random(N) < 0.1,
            "casual": casual,
            "registered": registered,
            "users": casual + registered,
        }
    )


def seasons(*, seed: int = 0) -> pl.DataFrame:
    """Numbers and text, without the columns that leak."""
    words = np.random.default_rng(seed).choice(["spring", "summer", "winter"], N)
    return hours(seed=seed).select("hour_of_day", "temperature", "users", season=pl.Series(words.tolist()))


def to_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """Without pyarrow."""
    return pd.DataFrame({name: frame[name].to_list() for name in frame.columns})


def one_hot() -> Any:
    """A pipeline for ``seasons``."""
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["season"]), ("passthrough", ["hour_of_day", "temperature"])
    )
    return make_pipeline(columns, LinearRegression())


LEAKS = ("casual", "registered")
OPTIONS = ModelOptions(time="hour", lower=0.0, upper=5000.0)


def finish(folder: Path, returned: object, options: ModelOptions = OPTIONS, **inputs: Any) -> Path:
    """Finishes the model ``demand``; returns its package's folder."""
    drop = [name for name in LEAKS if name in inputs["train"].columns]
    return FinishModel(settings={"demand": options})(
        Request(returned=returned, inputs=inputs, workdir=folder, drop=drop)
    )


def finished(folder: Path, returned: object, options: ModelOptions = OPTIONS, **inputs: Any) -> Package:
    """The same, opened."""
    return open_package(finish(folder, returned, options, **inputs))
