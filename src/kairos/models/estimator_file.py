"""Estimators as bytes: skops with a fixed allow-list, and the same bytes for equal estimators.

skops names objects by their address in memory and stamps the hour; both are replaced here, so that training twice gives
one digest. Pickle is read and written only where the project's settings allow it.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Collection
from typing import Any

import skops.io

from kairos.errors import PackageError
from kairos.models.mlmodel import MODEL_FILES
from kairos.models.spec import Serialization
from kairos.values import Json

__all__ = ["TRUSTED_TYPES", "read_estimator", "untrusted_types", "write_estimator"]

_DISTANCES = ("Canberra", "Chebyshev", "Euclidean", "Haversine", "Manhattan", "Minkowski", "SEuclidean")
"""Distances of neighbours, but for those that call a function of the user."""
_KERNELS = (
    "ConstantKernel", "DotProduct", "ExpSineSquared", "Exponentiation", "Matern", "Product", "RBF", "RationalQuadratic",
    "Sum", "WhiteKernel",
)  # fmt: skip

TRUSTED_TYPES: tuple[str, ...] = (
    "catboost.core.CatBoostClassifier",
    "catboost.core.CatBoostRanker",
    "catboost.core.CatBoostRegressor",
    "collections.OrderedDict",
    "functools.partial",  # the function inside is checked by itself
    "kairos.models.recalibrated.Recalibrated",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRanker",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.feature_selection._univariate_selection.r_regression",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    *(f"sklearn.gaussian_process.kernels.{kernel}" for kernel in _KERNELS),
    *(f"sklearn.metrics._dist_metrics.{distance}Distance{bits}" for distance in _DISTANCES for bits in (32, 64)),
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRFClassifier",
    "xgboost.sklearn.XGBRFRegressor",
    "xgboost.sklearn.XGBRanker",
    "xgboost.sklearn.XGBRegressor",
)
"""Trusted besides what skops itself trusts. A crafted tree can crash the process that loads it; it runs no code. The
boosters of LightGBM, XGBoost and CatBoost hold bytes that their own library reads, as numbers."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_estimator(estimator: object, *, allow_pickle: bool = False) -> tuple[bytes, Serialization]:
    """Returns the estimator's bytes and their form: skops, or pickle if skops cannot and ``allow_pickle``.

    Raises:
        PackageError: the estimator holds types outside the allow-list, and pickle is not allowed.
    """
    _take_time_out(estimator)
    try:
        data = _same_bytes(skops.io.dumps(estimator))
        outside = untrusted_types(data)
    except Exception as error:  # skops raises many kinds for what it cannot write
        outside = [f"{type(error).__name__}: {error}"]
    if not outside:
        return data, "skops"
    if allow_pickle:
        return pickle.dumps(estimator, protocol=5), "pickle"
    raise PackageError(
        f"An estimator of type {type(estimator).__name__} cannot be packaged without pickle.",
        given=", ".join(outside),
        accepted="types of scikit-learn, numpy, LightGBM, XGBoost and CatBoost",
        hint="Loading a pickle runs code. If you accept that for this model, set allow_pickle = true.",
        types=outside,
    )


def read_estimator(data: bytes, serialization: str, *, allow_pickle: bool = False) -> Any:
    """Returns the estimator that ``write_estimator`` wrote.

    Raises:
        PackageError: the bytes are damaged, hold types outside the allow-list, or are a pickle that is not allowed.
    """
    if serialization not in MODEL_FILES:
        raise PackageError("An estimator's form is not known.", given=serialization, accepted="'skops' or 'pickle'")
    file = MODEL_FILES[serialization]
    if serialization == "pickle" and not allow_pickle:
        raise PackageError(
            f"The file {file!r} of a model package is a pickle, and loading one runs code.",
            accepted="packages in the skops form",
            hint="Set allow_pickle = true for this model if you trust who made it.",
            file=file,
        )
    try:
        if serialization == "pickle":
            return pickle.loads(data)
        outside = untrusted_types(data)
        if not outside:
            return skops.io.loads(data, trusted=list(TRUSTED_TYPES))
    except Exception as error:  # damaged bytes raise many kinds
        raise PackageError(
            f"The file {file!r} of a model package cannot be read.",
            given=f"{type(error).__name__}: {error}",
            file=file,
        ) from error
    raise PackageError(
        f"The file {file!r} of a model package holds types that are not trusted; nothing of it was loaded.",
        given=", ".join(outside),
        accepted="types of scikit-learn, numpy, LightGBM, XGBoost and CatBoost",
        file=file,
        types=outside,
    )


def untrusted_types(data: bytes, *, trusted: Collection[str] = TRUSTED_TYPES) -> list[str]:
    """Names the types in skops bytes that are neither trusted by skops nor in ``trusted``, sorted."""
    return sorted(set(skops.io.get_untrusted_types(data=data)) - set(trusted))


_ADDRESS = "_stop_words_id"
"""Where scikit-learn's vectorisers of text remember by an address in memory which stop words they have looked at."""


def _same_bytes(data: bytes) -> bytes:
    """Renames the members of a skops archive by order of appearance, and takes the time and addresses out."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        schema = json.loads(source.read("schema.json"))
        numbers: dict[object, int] = {}
        files: dict[str, str] = {}
        _renumber(schema, numbers, files)
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for old, new in files.items():
                _write(archive, new, source.read(old))
            _write(archive, "schema.json", json.dumps(schema, separators=(",", ":")).encode())
    return target.getvalue()


def _take_time_out(estimator: object) -> None:
    """CatBoost writes the time and a random name into a model, and a search how long each of its trials took."""
    for item in [estimator, *(step for _, step in getattr(estimator, "steps", ()))]:
        for name, values in getattr(item, "cv_results_", {}).items():
            if name.endswith("_time"):
                values[:] = 0.0
        if hasattr(item, "refit_time_"):
            item.refit_time_ = 0.0
    if type(estimator).__module__.partition(".")[0] == "catboost":
        about = estimator.get_metadata()  # type: ignore[attr-defined]
        about["model_guid"] = about["train_finish_time"] = ""


def _renumber(node: Json, numbers: dict[object, int], files: dict[str, str]) -> None:
    """Gives ``__id__`` and ``file`` names by order of appearance; plain values never share a number."""
    if isinstance(node, dict):
        if "__id__" in node:
            # Whether two equal constants are one object is chance; only shared containers and arrays matter on load.
            key = object() if node.get("is_json") else node["__id__"]
            node["__id__"] = numbers.setdefault(key, len(numbers) + 1)
        if isinstance(node.get("file"), str) and "__loader__" in node:
            old = node["file"]
            node["file"] = files.setdefault(old, f"{len(files) + 1}{old[old.rindex('.') :]}")
        for name, value in node.items():
            if name == _ADDRESS and isinstance(value, dict) and "content" in value:
                value["content"] = "0"
            _renumber(value, numbers, files)
    elif isinstance(node, list):
        for value in node:
            _renumber(value, numbers, files)


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, date_time=_EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    archive.writestr(info, data, compresslevel=1)
