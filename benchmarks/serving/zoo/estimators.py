"""Models of several kinds that predict the same number from the same rows."""

import polars as pl
from lightgbm import LGBMRegressor
from rows import rentals, split
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kairos import model

__all__ = ["boosting", "lightgbm", "onehot", "rentals", "ridge", "split"]


@model(target="users", drop=["hour", "season", "weather"])
def boosting(train: pl.DataFrame, *, seed: int = 0) -> HistGradientBoostingRegressor:
    """Trees."""
    return HistGradientBoostingRegressor(max_iter=150, random_state=seed)


@model(target="users", drop=["hour", "season", "weather"])
def ridge(train: pl.DataFrame) -> Pipeline:
    """A line, over scaled numbers."""
    return make_pipeline(StandardScaler(), Ridge())


@model(target="users", drop=["hour", "season", "weather"])
def lightgbm(train: pl.DataFrame, *, seed: int = 0) -> LGBMRegressor:
    """Trees of another library."""
    return LGBMRegressor(n_estimators=150, n_jobs=1, random_state=seed, verbose=-1)


@model(target="users", drop=["hour"])
def onehot(train: pl.DataFrame) -> Pipeline:
    """A line that takes texts."""
    words = (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["season", "weather"])
    return make_pipeline(make_column_transformer(words, remainder="passthrough"), Ridge())
