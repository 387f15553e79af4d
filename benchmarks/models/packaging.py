"""A model of 1,000,000 rows and 50 columns is packaged: the profile, the simple models beside it, all of the package.

Run: ``python -m benchmarks.models.packaging``. 40 columns are numbers, five whole numbers of 20 values and five text of
four levels, with a time and an entity; the estimator is a fitted histogram boosting of 100 trees, so that its own fit
is not in the figures. *compiled* leaves out nothing: the form is made and proven on all rows. Each part is timed alone,
one after the other, in one process on one thread; the whole is ``FinishModel`` as a run's worker calls it.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingRegressor

from benchmarks.side_by_side import US, Figure, Findings, Goal, Setting, main
from kairos.models.baselines.choosing import Series, fit_baselines
from kairos.models.baselines.names import BASELINES
from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.frames import read_column
from kairos.models.package import open_package
from kairos.models.profile import Profile

ROWS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """As ``kairos.models.ports.FinishRequest`` says."""

    returned: object
    inputs: Mapping[str, Any]
    workdir: Path
    step: str = "demand"
    target: str | None = "y"
    targets: Sequence[str] = ()
    drop: Sequence[str] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = 0
    lineage: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    also: Mapping[str, Any] = field(default_factory=dict)


def table(rows: int) -> pl.DataFrame:
    """The training table."""
    random = np.random.default_rng(0)
    columns: dict[str, Any] = {f"number_{at}": random.normal(size=rows) for at in range(40)}
    columns |= {f"whole_{at}": random.integers(0, 20, rows) for at in range(5)}
    columns |= {f"kind_{at}": random.choice(["a", "b", "c", "d"], rows) for at in range(5)}
    start = datetime(2024, 1, 1, tzinfo=UTC)
    columns["at"] = pl.datetime_range(start, start + timedelta(minutes=rows - 1), "1m", eager=True)
    columns["who"] = random.integers(0, 5_000, rows)
    columns["y"] = columns["number_0"] + random.normal(size=rows)
    return pl.DataFrame(columns)


def measure(setting: Setting) -> Findings:
    """Parts first, then the whole."""
    os.environ.update(setting.environment)
    rows = 2_000 if setting.quick else ROWS
    train = table(rows)
    names = [name for name in train.columns if name not in ("at", "who", "y")]
    features = train.select(names).with_columns(pl.col("^kind_.*$").cast(pl.Enum(["a", "b", "c", "d"])))
    train = features.hstack(train.select("at", "who", "y"))
    estimator = HistGradientBoostingRegressor(max_iter=100, random_state=0, categorical_features="from_dtype")
    estimator.fit(features, train["y"].to_numpy())
    before = perf_counter()
    columns = {name: read_column(train, name) for name in names}
    read_s = perf_counter() - before
    target = train["y"].to_numpy()
    before = perf_counter()
    plain = {name: (column.kind, column.values) for name, column in columns.items()}
    Profile.fit(plain, target=target, prediction=target, prediction_on="train")
    profile_s = perf_counter() - before
    before = perf_counter()
    series = Series(time="at", entity="who", delay_s=3600.0)
    fit_baselines(train, columns, target, (), loss="absolute_error", asked=BASELINES, series=series)
    baselines_s = perf_counter() - before
    options = ModelOptions(target="y", time="at", entity="who", label_delay_s=3600.0)
    request = _Request(returned=estimator, inputs={"train": train}, workdir=setting.folder)
    before, used = perf_counter(), process_time()
    folder = FinishModel(settings={"demand": options})(request)
    whole_s, used_s = perf_counter() - before, process_time() - used
    size = (folder / "kairos" / "profile.json").stat().st_size
    form = open_package(folder).form
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    shape = f"{rows:,} x {len(names)}"
    figures = [
        Figure(job=f"columns of {shape} rows read", who=US, unit="s", values=(read_s,)),
        Figure(job=f"profile of {shape}", who=US, unit="s", values=(profile_s,)),
        Figure(job=f"simple models of {shape}", who=US, unit="s", values=(baselines_s,)),
        Figure(job=f"package of {shape}, all of it", who=US, unit="s", values=(whole_s,)),
        Figure(job=f"package of {shape}, processor", who=US, unit="s", values=(used_s,)),
        Figure(job=f"size of the profile of {shape}", who=US, unit="kB", values=(size / 1e3,)),
        Figure(job="memory of the process", who=US, unit="MB", values=(peak_mb,)),
    ]
    goals = [Goal(what=f"package of {shape}, all of it, seconds", value=whole_s, most=10.0)]
    return Findings(figures=figures, goals=goals, notes=[f"form: {form}"])


if __name__ == "__main__":
    raise SystemExit(main("A model is packaged", (), measure, rounds=1))
