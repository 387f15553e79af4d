"""One model of each kind that a step may return, and the table it is trained on."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor

from kairos.models.finish import ModelOptions
from kairos.models.package import Package, open_package
from tests.models.trainings import LEAKS, finish, hours, one_hot, seasons, to_pandas

GOLDEN = Path(__file__).parents[1] / "golden/network"
NUMBERS = hours().drop("hour", *LEAKS)
FULL = NUMBERS.drop_nulls()
WORDS = FULL.with_columns(
    users=pl.when(pl.col("users") < 60).then(pl.lit("few")).when(pl.col("users") > 120).then(pl.lit("many"))
    .otherwise(pl.lit("some"))
)  # fmt: skip
BUSY = FULL.with_columns(users=(pl.col("users") > 80).cast(pl.Int64))


class Own(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator of a project, which only pickle holds."""

    def fit(self, frame: Any, target: Any) -> Own:
        """Learns nothing."""
        self.fitted_ = True
        return self

    def predict(self, frame: Any) -> Any:
        """One column."""
        return np.asarray(frame["hour_of_day"]) * 5.0


class Predicts:
    """An object that is no estimator."""

    def predict(self, frame: Any) -> Any:
        """One column."""
        return np.asarray(frame["hour_of_day"]) * 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A model and its table."""

    returned: Any
    table: Any
    loss: str = "absolute_error"
    needs_leave: bool = False
    nullable: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "matrix": Kind(
        returned=HistGradientBoostingRegressor(max_iter=9, random_state=0), table=NUMBERS, nullable=("weather",)
    ),
    "chances": Kind(returned=HistGradientBoostingClassifier(max_iter=9, random_state=0), table=BUSY, loss="log_loss"),
    "forest": Kind(returned=RandomForestRegressor(9, random_state=0, n_jobs=2), table=FULL),
    "line": Kind(returned=make_pipeline(StandardScaler(), LogisticRegression()), table=BUSY, loss="log_loss"),
    "classes": Kind(returned=make_pipeline(StandardScaler(), LogisticRegression()), table=WORDS, loss="log_loss"),
    "more classes": Kind(returned=LGBMClassifier(n_estimators=3, verbose=-1), table=WORDS, loss="brier"),
    "polars": Kind(returned=one_hot(), table=seasons()),
    "pandas": Kind(returned=one_hot(), table=to_pandas(seasons())),
    "lightgbm": Kind(returned=LGBMRegressor(n_estimators=9, verbose=-1), table=NUMBERS, nullable=("weather",)),
    "xgboost": Kind(returned=XGBRegressor(n_estimators=9), table=NUMBERS, nullable=("weather",)),
    "pickle": Kind(returned=Own(), table=FULL, needs_leave=True),
    "mlflow": Kind(returned=Predicts(), table=NUMBERS, needs_leave=True, nullable=("weather",)),
}


@cache
def _made(kind: str, folder: Path) -> tuple[Path, Any]:
    case = KINDS[kind]
    returned = copy.deepcopy(case.returned)  # an estimator is fitted where it is
    options = ModelOptions(loss=case.loss, allow_pickle=case.needs_leave)
    return finish(folder / kind, returned, options, train=case.table), returned


def packaged(kind: str, folder: Path) -> Path:
    """The package of a kind, made once below a folder."""
    return _made(kind, folder)[0]


def opened(kind: str, folder: Path) -> Package:
    """The same, opened with leave if it needs leave."""
    return open_package(packaged(kind, folder), allow_pickle=KINDS[kind].needs_leave)


def expected(kind: str, folder: Path) -> np.ndarray[Any, Any]:
    """What the model itself, asked by its own means, answers to the rows it was trained on."""
    case, model = KINDS[kind], _made(kind, folder)[1]
    frame = case.table[[name for name in case.table.columns if name != "users"]]
    if kind in ("classes", "more classes"):
        return np.asarray(model.predict_proba(frame), dtype=np.float64)
    answers = model.predict_proba(frame)[:, 1] if case.loss == "log_loss" else model.predict(frame)
    return np.asarray(answers, dtype=np.float64)
