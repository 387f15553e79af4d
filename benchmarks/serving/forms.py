"""A model's answer to one row, and to 64 and 1,000: its native form beside its compiled form, kind by kind.

Run: ``python -m benchmarks.serving.forms``. No HTTP: what is timed is a package's runner with columns that are read
already, as the server calls it. The native form is ours too, and quicker than the estimator's own ``predict``, which is
timed beside them. In the table ``kairos`` is the compiled form. Ensembles have 150 trees; inputs are 11 numbers, in
two kinds with 2 texts beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from lightgbm import LGBMRegressor
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBRegressor

from benchmarks.side_by_side import US, Figure, Sample, Setting, Turn, main, take_turns
from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.package import Package, open_package
from kairos.models.score import score_columns
from kairos.values import Json

ROWS = (1, 64, 1000)
TEXTS = ("season", "station")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """As ``kairos.models.ports.FinishRequest`` says."""

    returned: object
    inputs: dict[str, Any]
    workdir: Path
    step: str = "demand"
    target: str | None = "users"
    targets: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    params: dict[str, Json] = field(default_factory=dict)
    seed: int | None = 0
    lineage: dict[str, Json] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    also: dict[str, Any] = field(default_factory=dict)


def kinds() -> dict[str, tuple[Any, bool]]:
    """Estimators by name, and whether texts are among their inputs."""
    texts = (OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(TEXTS))
    return {
        "histogram boosting": (HistGradientBoostingRegressor(max_iter=150), False),
        "random forest": (RandomForestRegressor(150, max_depth=8), False),
        "lightgbm": (LGBMRegressor(n_estimators=150, verbose=-1), False),
        "xgboost": (XGBRegressor(n_estimators=150), False),
        "ridge, scaled": (make_pipeline(StandardScaler(), Ridge()), False),
        "ridge, one-hot": (make_pipeline(make_column_transformer(texts, remainder="passthrough"), Ridge()), True),
        "boosting, one-hot": (
            make_pipeline(
                make_column_transformer(texts, remainder="passthrough"), HistGradientBoostingRegressor(max_iter=150)
            ),
            True,
        ),
    }


def table(rows: int) -> pl.DataFrame:
    """Rentals whose number follows from nine numbers and two texts, and from chance."""
    random = np.random.default_rng(0)
    columns: dict[str, Any] = {f"number_{i}": random.normal(size=rows) for i in range(11)}
    columns["season"] = random.choice(["spring", "summer", "autumn", "winter"], rows).tolist()
    columns["station"] = random.choice([f"station {i}" for i in range(40)], rows).tolist()
    users = sum(10.0 * columns[f"number_{i}"] for i in range(9)) + random.normal(size=rows)
    return pl.DataFrame({**columns, "users": users})


def measure(setting: Setting) -> list[Figure]:
    """One kind after the other; its forms take turns."""
    data = table(600 if setting.quick else 10_000)
    figures: list[Figure] = []
    for number, (name, (estimator, has_texts)) in enumerate(kinds().items()):
        seen = data if has_texts else data.drop(*TEXTS)
        package = _packaged(setting.folder / str(number), estimator, seen)
        figures += take_turns(_contenders(name, package, seen, setting), setting.rounds)
    return figures


def _packaged(folder: Path, estimator: Any, data: pl.DataFrame) -> Package:
    options = {"demand": ModelOptions(allow_pickle=True)}
    request = Request(returned=estimator, inputs={"train": data}, workdir=folder)
    package = open_package(FinishModel(settings=options)(request), allow_pickle=True)
    if not package.compilation.is_proven:
        raise SystemExit(f"error: {type(estimator).__name__} has no compiled form: {package.compilation.why}")
    return package


def _contenders(name: str, package: Package, data: pl.DataFrame, setting: Setting) -> dict[str, Turn]:
    columns, frame = score_columns(package, data), data.drop("users")
    own, native, compiled = package.estimator(), package.native_runner(), package.compiled_runner()
    cut = partial(_cut, columns)
    return {
        US: partial(_turn, name, lambda n: partial(compiled.predict, cut(n)), setting),
        "native form": partial(_turn, name, lambda n: partial(native.predict, cut(n)), setting),
        "estimator.predict": partial(_turn, name, lambda n: partial(own.predict, frame.head(n)), setting),
    }


def _cut(columns: Mapping[str, np.ndarray[Any, Any]], rows: int) -> dict[str, np.ndarray[Any, Any]]:
    return {name: values[:rows] for name, values in columns.items()}


def _turn(name: str, call: Callable[[int], Callable[[], object]], setting: Setting) -> Iterator[Sample]:
    for rows in ROWS:
        predict = call(rows)
        predict()
        times = []
        for _ in range(5 if setting.quick else 200):
            started = perf_counter()
            predict()
            times.append(perf_counter() - started)
        yield Sample(f"{name}, {rows} row{'s' * (rows > 1)}", median(times) * 1e3, "ms")


if __name__ == "__main__":
    raise SystemExit(main("One model's answer by its form", [], measure, rounds=3))
