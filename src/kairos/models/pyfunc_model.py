"""Whatever MLflow can pack: its ``PythonModel``, another object that predicts, or a folder that it saved.

The only module of this room that loads MLflow, once such a model is met. Loading one runs code that its folder names:
it is allowed like a pickle, and to the same models, those whose settings say ``allow_pickle``.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import cloudpickle
import numpy as np
import yaml
from threadpoolctl import ThreadpoolController

from kairos.errors import PackageError
from kairos.models.arrays import is_free
from kairos.models.compiling.refusals import NotCompiled
from kairos.models.desk import desk_of
from kairos.models.foreign import Foreign, Untried, first_line
from kairos.models.frame_building import build_frame
from kairos.models.frames import FrameKind, as_pandas, column_names, frame_kind, read_column
from kairos.models.outputs import width_of
from kairos.models.own_code import own_code_inside
from kairos.models.quiet import quietly
from kairos.models.signature import Signature
from kairos.models.spec import Serialization, TrainingForm

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow, being loaded, warns of type hints in its own code
    import mlflow.pyfunc

if TYPE_CHECKING:
    from kairos.models.package import Package
    from kairos.models.training import TrainingData  # it loads scikit-learn
    from kairos.stats.recalibration import Recalibration  # it loads scipy

__all__ = ["PyfuncModel", "PyfuncRunner", "UntriedModel", "read_pyfunc"]

_FOLDER = "model/"
"""Where MLflow's own folder lies in the package."""

_OF_ONE_SAVING = ("utc_time_created", "model_uuid", "model_id", "run_id", "artifact_path")
"""What MLflow writes into ``MLmodel`` that is another thing each time."""

Taken = Literal["array"] | FrameKind
"""What such a model is given: a frame, or the only column as one array, or as a list of those that differ in length."""

_DISTRIBUTIONS = {"sklearn": "scikit-learn"}


class PyfuncModel(Foreign):
    """A loaded MLflow model, and the files that it is loaded from."""

    serialization: ClassVar[Serialization] = "pyfunc"
    tolerance: ClassVar[float] = 1e-9

    def __init__(
        self,
        files: Mapping[str, bytes],
        *,
        kind: Taken,
        libraries: Sequence[str] = (),
        numbers: int = 1,
        shape: tuple[int, ...] = (),
    ) -> None:
        """Writes the files into a folder of its own, which stays as long as the model, and loads them.

        Args:
            files: By their path in MLflow's folder.
            kind: Which frame it is given; ``array``: its only column, as one array, or as a list of arrays that
                differ in length.
            libraries: Distributions that it needs.
            numbers: How many it gives a row.
            shape: Of the cells of that column.

        Raises:
            PackageError: MLflow cannot load it.
        """
        self._files = dict(files)
        self.takes: Taken = kind
        self.libraries = tuple(libraries)
        self._numbers = numbers
        self._shape = shape
        folder = desk_of(self)
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        try:
            with quietly("mlflow"):
                self._model = mlflow.pyfunc.load_model(str(folder))
        except Exception as error:  # of MLflow, or of whatever library made the model
            raise PackageError(
                "MLflow cannot load a model.", given=f"{type(error).__name__}: {first_line(error)}", file=_FOLDER
            ) from error

    def predict(self, inputs: Any) -> np.ndarray[Any, Any]:
        """One number a row, shape (n,), float64, of a frame with the columns of training; or several, (n, numbers)."""
        if self.takes == "array":
            if not isinstance(inputs, np.ndarray):
                inputs = read_column(inputs, column_names(inputs)[0]).values
            if is_free(self._shape):
                inputs = list(inputs)
        elif self.takes == "pandas" and frame_kind(inputs) == "polars":
            inputs = as_pandas(inputs)
        rows = len(inputs)
        answer = np.asarray(self._model.predict(inputs))
        if self._numbers > 1:
            return _several(answer, rows, self._numbers)
        if answer.shape not in ((rows,), (rows, 1)) or answer.dtype.kind not in "iufb":
            raise PackageError(
                "A model has to give one number a row.",
                given=f"{answer.dtype} of shape {answer.shape} for {rows} rows",
                accepted=f"numbers of shape ({rows},) or ({rows}, 1); of two classes the chance of the one that is 1",
            )
        return np.array(answer.reshape(rows), dtype=np.float64)

    def files(self) -> Mapping[str, bytes]:
        """MLflow's folder."""
        return {_FOLDER + name: data for name, data in self._files.items()}

    def runner(
        self, *, signature: Signature, form: TrainingForm, recalibration: Recalibration | None = None
    ) -> PyfuncRunner:
        """What predicts from plain arrays: it builds the frame that the model wants."""
        return PyfuncRunner(self, signature=signature, form=form, recalibration=recalibration)

    def compiled(self) -> bytes:
        """There is none.

        Raises:
            NotCompiled: always.
        """
        raise NotCompiled("It is a model of MLflow's python_function, whose code is not looked into.")

    def __deepcopy__(self, memo: object) -> PyfuncModel:
        return self


class PyfuncRunner:
    """Runs an MLflow model; as safe to call from several threads as the model itself is."""

    def __init__(
        self, model: PyfuncModel, *, signature: Signature, form: TrainingForm, recalibration: Recalibration | None
    ) -> None:
        self._model = model
        self._dtypes = {name: form.dtypes[name] for name in signature.names}
        self._levels = {column.name: column.levels for column in signature.columns}
        self._width = width_of(signature.outputs)
        self._mend = recalibration
        # As for scikit-learn, whatever library is inside: OpenMP keeps its number of threads for each calling thread.
        self._threads = ThreadpoolController().select(user_api="openmp")

    def predict(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Returns one number a row, shape (n,), float64; or several, shape (n, numbers)."""
        if len(next(iter(columns.values()))) == 0:
            return np.empty(0 if self._width == 1 else (0, self._width))
        takes = self._model.takes
        if takes == "array":
            frame = next(iter(columns.values()))
        else:
            frame = build_frame(takes, columns, self._dtypes, self._levels)
        with self._threads.limit(limits=1):
            answer = self._model.predict(frame)
        return answer if self._mend is None else self._mend(answer)


class UntriedModel(Untried):
    """What a step returned: a ``PythonModel``, another object with ``predict``, or the folder of a saved model."""

    def __init__(self, returned: Any, *, step: str, allow_pickle: bool) -> None:
        """Saves it as MLflow does, if it is no folder.

        Raises:
            PackageError: it is not allowed, or no such folder, or cannot be saved.
        """
        if not allow_pickle:
            raise PackageError(
                f"The model of step {step!r} is packaged by MLflow, and loading that runs code.",
                given=f"a {type(returned).__name__}",
                accepted="without that: estimators of scikit-learn, LightGBM, XGBoost and CatBoost; networks",
                hint="If you accept that for this model, set allow_pickle = true in its section of kairos.toml.",
            )
        try:
            with quietly("mlflow"):
                self._files = _folder_files(returned) if isinstance(returned, Path) else _saved(returned)
                about = yaml.safe_load(self._files["MLmodel"])
        except Exception as error:  # whatever the object, or MLflow, raises
            raise PackageError(
                f"The model that step {step!r} returned cannot be packaged by MLflow.",
                given=f"{type(error).__name__}: {first_line(error)}",
                accepted="the Path of a folder that MLflow saved, or a trained object that cloudpickle can write",
            ) from error
        self._is_plain = not isinstance(returned, (Path, mlflow.pyfunc.PythonModel))
        roots = {type(returned).__module__.partition(".")[0], *about["flavors"]} - {"python_function", "pathlib"}
        self._libraries = ("kairos-ml", *sorted(_DISTRIBUTIONS.get(root, root) for root in roots))
        inputs = (about.get("signature") or {}).get("inputs")
        named = [item.get("name") for item in yaml.safe_load(inputs)] if isinstance(inputs, str) else []
        self.features = tuple(map(str, named)) if named and None not in named else None

    def bound(self, data: TrainingData, *, step: str) -> tuple[PyfuncModel, TrainingData]:
        """Finds the frame that the model takes: the table's own for an object that is none of MLflow's, else pandas.

        Raises:
            PackageError: it predicts from neither.
        """
        failure = ""
        kinds: list[Taken] = ["pandas"]
        if self._is_plain and data.kind == "polars":
            kinds.insert(0, "polars")
        if [column.kind for column in data.columns.values()] == ["array"]:
            kinds.insert(0, "array")
        for kind in kinds:
            numbers = width_of(data.outputs)
            shape = next(iter(data.columns.values())).shape if kind == "array" else ()
            model = PyfuncModel(self._files, kind=kind, libraries=self._libraries, numbers=numbers, shape=shape)
            try:
                model.predict(data.features)
            except Exception as error:  # whatever the model raises
                failure = failure or f"{type(error).__name__}: {first_line(error)}"
                continue
            return model, data.in_pandas() if kind == "pandas" else data
        raise PackageError(
            f"The model that step {step!r} returned cannot predict its training table.",
            given=failure,
            accepted="a trained model that takes a data frame with these columns, or the array of a single column of "
            "arrays, and gives one number a row: " + ", ".join(data.columns),
        )


def read_pyfunc(package: Package) -> PyfuncModel:
    """Loads what a package holds.

    Raises:
        PackageError: it is not allowed, or a file is damaged, or MLflow cannot load it.
    """
    if not package.allow_pickle:
        raise PackageError(
            f"The folder {_FOLDER!r} of a model package is a model of MLflow, and loading one runs code.",
            accepted="models that settings allow it to",
            hint="Set allow_pickle = true for this model if you trust who made it.",
            file=_FOLDER,
        )
    names = sorted(name for name in package.files if name.startswith(_FOLDER))
    form = package.spec.form.kind
    kind: Taken = "pandas" if form == "matrix" else form
    libraries = [name for name in package.spec.libraries if name not in ("numpy", "pandas", "polars")]
    numbers = width_of(package.spec.signature.outputs)
    shape = package.spec.signature.columns[0].shape if kind == "array" else ()
    files = {n.removeprefix(_FOLDER): package.read(n) for n in names}
    return PyfuncModel(files, kind=kind, libraries=libraries, numbers=numbers, shape=shape)


def _several(answer: np.ndarray[Any, Any], rows: int, numbers: int) -> np.ndarray[Any, Any]:
    if answer.shape != (rows, numbers) or answer.dtype.kind not in "iufb":
        raise PackageError(
            f"A model has to give {numbers} numbers a row.",
            given=f"{answer.dtype} of shape {answer.shape} for {rows} rows",
            accepted=f"numbers of shape ({rows}, {numbers}), such as a data frame with a column for each",
        )
    return np.array(answer, dtype=np.float64)


def _saved(returned: Any) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder, own_code_inside(returned):
        place, alone = Path(folder) / "model", Path(folder) / "model.pkl"
        how: dict[str, Any] = {"python_model": returned}
        if not isinstance(returned, mlflow.pyfunc.PythonModel):
            alone.write_bytes(cloudpickle.dumps(returned))
            how = {"loader_module": "kairos.models.predicting", "data_path": str(alone)}
        # What it needs is in the package's own requirements; to find it out, MLflow would start a process and load it.
        mlflow.pyfunc.save_model(str(place), pip_requirements=[f"mlflow=={mlflow.__version__}"], **how)
        return _folder_files(place)


def _folder_files(folder: Path) -> dict[str, bytes]:
    """All files by their path, without what differs from one saving to the next."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    about = yaml.safe_load(found["MLmodel"])
    kept = {key: value for key, value in about.items() if key not in _OF_ONE_SAVING}
    return {**found, "MLmodel": yaml.safe_dump(kept, sort_keys=True).encode()}
