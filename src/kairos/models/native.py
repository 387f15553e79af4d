"""A package's own model, as it was trained: the files that hold it, and what reads them, by the form they have."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from kairos.errors import PackageError
from kairos.models.foreign import Foreign
from kairos.models.mlmodel import MODEL_FILES
from kairos.models.outputs import width_of
from kairos.models.ports import Runner
from kairos.models.spec import Serialization
from kairos.models.weights import LARGE_BYTES
from kairos.values import canonical_json, plain

if TYPE_CHECKING:
    from kairos.models.package import Package
    from kairos.stats.recalibration import Recalibration  # it loads scipy

__all__ = ["native_runner", "read_model", "write_model"]

_RECALIBRATION = "kairos/recalibration.json"
"""Beside a model of another library that is put right; an estimator holds its own."""


def write_model(estimator: Any, *, allow_pickle: bool) -> tuple[dict[str, bytes], Serialization]:
    """Returns the files that hold a trained model, and their form.

    Raises:
        PackageError: it needs pickle, and ``allow_pickle`` is not set.
    """
    from kairos.models.recalibrated import Recalibrated  # it loads scikit-learn

    inner = estimator.estimator if isinstance(estimator, Recalibrated) else estimator
    if isinstance(inner, Foreign):
        files = dict(inner.files())
        if inner is not estimator:
            files[_RECALIBRATION] = canonical_json(plain(estimator.recalibration))
        return files, inner.serialization
    from kairos.models.estimator_file import write_estimator  # the same

    data, serialization = write_estimator(estimator, allow_pickle=allow_pickle)
    return {MODEL_FILES[serialization]: data}, serialization


def read_model(package: Package) -> Any:
    """The estimator, or the model of another library; put right if it was.

    Raises:
        PackageError: a file is damaged, of untrusted types, or runs code and that is not allowed.
    """
    if package.spec.serialization in ("skops", "pickle"):
        from kairos.models.estimator_file import read_estimator  # it loads scikit-learn, which takes a second

        data = package.read(MODEL_FILES[package.spec.serialization])
        return read_estimator(data, package.spec.serialization, allow_pickle=package.allow_pickle)
    model, mend = _foreign(package), _recalibration(package)
    if mend is None:
        return model
    from kairos.models.recalibrated import Recalibrated  # the same

    return Recalibrated(model, level=mend.level, slope=mend.slope, scale=mend.scale)


def native_runner(package: Package) -> Runner:
    """What predicts with the model itself.

    Raises:
        PackageError: as ``read_model``; or its library is not installed.
    """
    spec = package.spec
    if spec.serialization in ("skops", "pickle"):
        from kairos.models.runner import SklearnRunner  # it loads scikit-learn

        return SklearnRunner(read_model(package), signature=spec.signature, form=spec.form, method=spec.method)
    model = _foreign(package)
    return model.runner(signature=spec.signature, form=spec.form, recalibration=_recalibration(package))


def _foreign(package: Package) -> Foreign:
    if package.spec.serialization == "torch":
        return _network(package)
    if package.spec.serialization == "pyfunc":
        from kairos.models.pyfunc_model import read_pyfunc  # it loads MLflow and pandas

        return read_pyfunc(package)
    raise PackageError(
        "An estimator's form is not known.", given=package.spec.serialization, accepted=", ".join(MODEL_FILES)
    )


def _network(package: Package) -> Foreign:
    name = MODEL_FILES["torch"]
    path = package.locate(name)
    is_large = path is not None and path.stat().st_size >= LARGE_BYTES
    data = np.memmap(path, mode="r", dtype=np.uint8) if path is not None and is_large else package.read(name)
    if find_spec("torch") is None:
        return _Sealed(package.spec.model, bytes(data))
    from kairos.models.network import NetworkModel  # it loads PyTorch

    return NetworkModel(data, numbers=width_of(package.spec.signature.outputs))


class _Sealed(Foreign):
    """A network where there is no PyTorch: it can be packaged anew, as when it is put right, and not be run."""

    serialization = "torch"
    tolerance = 1e-5
    takes = "matrix"

    def __init__(self, model: str, data: bytes) -> None:
        self._model = model
        self._data = data

    def predict(self, inputs: Any) -> np.ndarray[Any, Any]:
        raise self._lacking()

    def files(self) -> dict[str, bytes]:
        return {MODEL_FILES[self.serialization]: self._data}

    def runner(self, **_: Any) -> Runner:
        raise self._lacking()

    def compiled(self) -> bytes:
        raise self._lacking()

    def _lacking(self) -> PackageError:
        return PackageError(
            f"The network of the model {self._model!r} needs PyTorch, which is not installed here.",
            hint="Type: pip install 'kairos-ml[torch]'; for a proven compiled form 'kairos-ml[compiled]' is enough.",
        )


def _recalibration(package: Package) -> Recalibration | None:
    if _RECALIBRATION not in package.files:
        return None
    from kairos.stats.recalibration import Recalibration  # see above

    return Recalibration(**json.loads(package.read(_RECALIBRATION)))
