"""Networks of PyTorch: traced when they are packaged, and run from a list of PyTorch's own operations.

Beside ``network_trace`` the only module that loads PyTorch, once a network is met. A network is traced to operations of
PyTorch's core set; neither its classes nor any other code of the project is needed to run it. Whatever a file says,
only operations of that set are run: they compute with numbers, and read and write no file.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from threadpoolctl import ThreadpoolController

from kairos.errors import PackageError
from kairos.models.arrays import by_groups, flat_matrix, like
from kairos.models.compiling.refusals import NotCompiled
from kairos.models.foreign import Foreign
from kairos.models.frames import column_names, read_column
from kairos.models.mlmodel import MODEL_FILES
from kairos.models.network_file import Named, Ref, Weight, read_network
from kairos.models.outputs import width_of
from kairos.models.signature import Signature
from kairos.models.spec import Serialization

if TYPE_CHECKING:
    from kairos.stats.recalibration import Recalibration  # it loads scipy

__all__ = ["DTYPE_NAMES", "INPUT", "KINDS", "ON_SIZES", "NetworkModel", "NetworkRunner", "function_of", "unfit"]

INPUT = "%X"
"""Results have a sign that no weight's name begins with."""
ON_SIZES: dict[str, Callable[..., Any]] = {
    name: getattr(operator, name) for name in ("add", "sub", "mul", "floordiv", "mod", "neg", "getitem")
}
"""Functions on whole numbers, such as the number of rows, and the choice of one result of several."""
_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
KINDS: dict[str, type] = {
    "dtype": torch.dtype, "layout": torch.layout, "memory_format": torch.memory_format, "device": torch.device,
}  # fmt: skip


class NetworkModel(Foreign):
    """A traced network; it never changes, so that threads and copies share it."""

    serialization: ClassVar[Serialization] = "torch"
    tolerance: ClassVar[float] = 1e-5
    precision: ClassVar[str] = "network"
    takes = "matrix"
    libraries = ("kairos-ml", "torch")

    def __init__(self, data: bytes | np.ndarray[Any, Any], program: Any = None, *, numbers: int = 1) -> None:
        """Takes the file, whose weights stay where they are, and what it was traced to, if it is packaged just now.

        ``numbers`` is how many it gives a row.

        Raises:
            PackageError: the file cannot be read, or asks for what is no operation of PyTorch's core set.
        """
        file = read_network(data)
        self._data = data
        self._program = program
        self._numbers = numbers
        self._shape = file.shape
        self._answer = file.answer
        self._weights = {name: _tensor(weight) for name, weight in file.weights.items()}
        self._operations = [
            (o.result, function_of(o.function), _constants(o.args), {k: _constants(v) for k, v in o.options.items()})
            for o in file.operations
        ]

    def predict(self, inputs: Any) -> np.ndarray[Any, Any]:
        """One number a row, shape (n,), float64, of a matrix or of a frame with the columns of training; or several.

        Of arrays that differ in length objects of shape (n,), each an array: those of one shape are asked together.
        """
        if not isinstance(inputs, np.ndarray):
            names = column_names(inputs)
            columns = {name: read_column(inputs, name).values for name in names}
            inputs = like(columns[names[0]], self._shape) if self._shape else _matrix(columns, names)
        return by_groups(self._together, inputs) if self._shape else self._together(inputs)

    def _together(self, inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The answers to rows of one shape."""
        rows, inputs = len(inputs), inputs.astype(np.float64, copy=False)
        with torch.inference_mode():
            values: dict[str, Any] = {**self._weights, INPUT: torch.from_numpy(inputs)}
            for result, function, args, options in self._operations:
                values[result] = function(*_filled(args, values), **{k: _filled(v, values) for k, v in options.items()})
            answer: np.ndarray[Any, Any] = values[self._answer].numpy()
        if self._numbers > 1:
            if answer.shape != (rows, self._numbers):
                raise PackageError(
                    f"A network has to give {self._numbers} numbers a row.",
                    given=f"shape {answer.shape} for {rows} rows",
                    accepted=f"shape ({rows}, {self._numbers})",
                )
            return np.array(answer, dtype=np.float64)
        if answer.shape not in ((rows,), (rows, 1)):
            raise PackageError(
                "A network has to give one number a row.",
                given=f"shape {answer.shape} for {rows} rows",
                accepted=f"shape ({rows},) or ({rows}, 1); of two classes the chance of the one written as 1",
            )
        return np.array(answer.reshape(rows), dtype=np.float64)

    def files(self) -> Mapping[str, bytes]:
        """One file, without pickle."""
        return {MODEL_FILES[self.serialization]: bytes(self._data)}

    def runner(self, *, signature: Signature, recalibration: Recalibration | None = None, **_: Any) -> NetworkRunner:
        """What predicts from plain arrays; it builds no frame and loads no scikit-learn."""
        return NetworkRunner(self, signature=signature, recalibration=recalibration)

    def compiled(self) -> bytes:
        """The ONNX file, by PyTorch's own exporter.

        Raises:
            NotCompiled: the exporter is not there.
        """
        if self._program is None:
            raise NotCompiled("It was not traced in this process.")
        from kairos.models.network_trace import to_onnx  # only where a network is packaged

        return to_onnx(self._program)

    def __deepcopy__(self, memo: object) -> NetworkModel:
        return self


class NetworkRunner:
    """Runs a network on one thread of its caller; safe to call from several threads at once."""

    def __init__(self, model: NetworkModel, *, signature: Signature, recalibration: Recalibration | None) -> None:
        self._model = model
        self._names = signature.names
        self._is_free = signature.columns[0].is_free
        self._width = width_of(signature.outputs)
        self._mend = recalibration
        # As for scikit-learn: OpenMP keeps its number of threads for each calling thread.
        self._threads = ThreadpoolController().select(user_api="openmp")

    def predict(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Returns one number a row, shape (n,), float64, or several, shape (n, numbers): what the network gives."""
        if len(columns[self._names[0]]) == 0:
            return np.empty(0 if self._width == 1 else (0, self._width))
        with self._threads.limit(limits=1):
            answer = self._model.predict(columns[self._names[0]] if self._is_free else _matrix(columns, self._names))
        return answer if self._mend is None else self._mend(answer)


def unfit(why: str) -> PackageError:
    """What is raised of a network that does more than compute."""
    return PackageError("A network cannot be packaged.", given=why, accepted="a network that only computes")


def _tensor(weight: Weight) -> torch.Tensor:
    if not weight.data.size:
        return torch.empty(weight.shape, dtype=_DTYPES[weight.dtype])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the file must not be written to; nothing writes to a weight
        flat = torch.from_numpy(weight.data)
    return flat.view(_DTYPES[weight.dtype]).reshape(weight.shape)


def function_of(name: str) -> Callable[..., Any]:
    """The operation of a name, if it is of PyTorch's core set, changes nothing and leaves nothing to chance."""
    if name in ON_SIZES:
        return ON_SIZES[name]
    library, _, rest = name.partition(".")
    base, _, overload = rest.partition(".")
    found = getattr(getattr(torch.ops.aten, base, None), overload, None) if library == "aten" else None
    if (
        not isinstance(found, torch._ops.OpOverload)
        or torch.Tag.core not in found.tags
        or torch.Tag.nondeterministic_seeded in found.tags
        or found._schema.is_mutable
    ):
        raise unfit(f"the operation {name!r}, which is not of PyTorch's core set, or leaves something to chance")
    checked: Callable[..., Any] = found
    return checked


def _constants(value: Any) -> Any:
    """The arguments as the file has them, PyTorch's constants looked up."""
    if isinstance(value, Named):
        found = torch.device("cpu") if value.kind == "device" else getattr(torch, value.name, None)
        if not isinstance(found, KINDS[value.kind]):
            raise unfit(f"the constant {value.name!r}")
        return found
    if isinstance(value, Ref):
        return value
    return [_constants(item) for item in value] if isinstance(value, (list, tuple)) else value


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if type(value) is Ref:
        return values[value.name]
    return [_filled(item, values) for item in value] if type(value) is list else value


def _matrix(columns: Mapping[str, np.ndarray[Any, Any]], names: Any) -> np.ndarray[Any, Any]:
    return flat_matrix([columns[name] for name in names])
