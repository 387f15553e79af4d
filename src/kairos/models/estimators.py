"""What can be asked of any estimator that follows scikit-learn: its library, its last step, whether it is fitted."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from kairos.errors import PackageError
from kairos.models.foreign import Untried

__all__ = ["is_fitted", "is_of", "last_step"]


def is_of(estimator: Any, library: str) -> bool:
    """Whether its class is of a library."""
    return type(estimator).__module__.partition(".")[0] == library


def last_step(estimator: Any) -> Any:
    """What predicts: of a pipeline its last step, else the estimator itself."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return estimator


def is_fitted(estimator: Any) -> bool:
    """Whether an estimator has learnt already.

    Raises:
        PackageError: it is no estimator.
    """
    if isinstance(estimator, Untried):
        return True
    # CatBoost's follow scikit-learn without being its children.
    if not isinstance(estimator, BaseEstimator) and not is_of(estimator, "catboost"):
        raise PackageError(
            "A model step has to return an estimator.",
            given=f"a {type(estimator).__name__}",
            accepted="an estimator that follows scikit-learn, fitted or not",
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    last = last_step(estimator)
    if isinstance(last, BaseEstimator) and not get_tags(last).requires_fit:
        return hasattr(last, "n_features_in_")  # a Gaussian process predicts before it has seen a row
    return True
