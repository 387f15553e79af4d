"""The compiled form of a package: an ONNX file beside the estimator, what was compared to prove it, and its runner.

Loads numpy and, for the runner, ONNX Runtime; no scikit-learn, pandas, Polars or MLflow. How the file is made and
proven is in ``compiling``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kairos.errors import PackageError
from kairos.models.signature import Signature
from kairos.values import Json, unplain

if TYPE_CHECKING:
    from kairos.stats.recalibration import Recalibration  # it loads scipy, which a server of other models does without

__all__ = [
    "COMPILED_FILE", "MISSING_TEXT", "NOT_TRIED", "Compilation", "CompiledRunner", "Layout", "Proof", "can_run",
    "inputs_of",
]  # fmt: skip

COMPILED_FILE = "kairos/compiled.onnx"

MISSING_TEXT = "\0missing"
"""What a missing text is in a compiled model, which knows no null text; no request holds this."""

Layout = Literal["matrix", "columns"]
"""One input of shape (n, columns), or one input of shape (n, 1) for each column."""

Columns = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was compared with the native runner before the file was kept."""

    rows: int
    """All rows of the holdout, or of the training table where the step takes no holdout."""
    rows_from: Literal["holdout", "train"]
    difference: float
    """Largest difference of an answer on these rows, in the answer's unit."""
    worst_row: int
    """Where it is, 0-based."""
    made_rows: int
    """Rows made beside them: at thresholds, with nulls and levels never seen where accepted, at the ends of numbers."""
    made_difference: float
    """The largest on these, as a share of the largest answer to them."""
    tolerance: float
    """Largest difference that is accepted on the rows above, in the answer's unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """Whether a package has a compiled form; with a proof, or else the reason why not."""

    proof: Proof | None = None
    why: str | None = None
    """One sentence, if there is no proof."""
    layout: Layout = "matrix"
    recalibration: Recalibration | None = None
    """What is done to each answer of the file."""

    @property
    def is_proven(self) -> bool:
        """Whether the file is there."""
        return self.proof is not None

    @classmethod
    def from_plain(cls, value: Json) -> Compilation:
        """Reads what ``plain`` wrote; fields that a later version added are left aside.

        Raises:
            PackageError: the value is not a compilation.
        """
        try:
            value = dict(unplain(value))
            proof, mend = value["proof"], value["recalibration"]
            names = {field.name for field in fields(Proof)}
            return cls(
                proof=None if proof is None else Proof(**{k: v for k, v in proof.items() if k in names}),
                why=value["why"],
                layout=value["layout"],
                recalibration=None if mend is None else _recalibration(mend),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise PackageError("What a package says of its compiled form cannot be read.", given=str(error)) from error

    def put_right(self, recalibration: Recalibration) -> Compilation:
        """The same of the model whose answers are put right.

        What is equal stays equal, and a straight line carries a difference with it. Between log-odds a small difference
        may become a large one, so that the proof is lost there.
        """
        if self.proof is None:
            return self
        largest = max(self.proof.difference, self.proof.made_difference)
        if recalibration.scale != "plain" and largest > 0.0:
            return Compilation(why="Its answers are put right between log-odds, where a small difference can grow.")
        slope = abs(recalibration.slope) if recalibration.scale == "plain" else 1.0
        proof = Proof(
            rows=self.proof.rows,
            rows_from=self.proof.rows_from,
            difference=slope * self.proof.difference,
            worst_row=self.proof.worst_row,
            made_rows=self.proof.made_rows,
            made_difference=self.proof.made_difference,
            tolerance=slope * self.proof.tolerance,
        )
        return Compilation(proof=proof, layout=self.layout, recalibration=recalibration)


def _recalibration(value: Json) -> Recalibration:
    from kairos.stats.recalibration import Recalibration  # see above

    return Recalibration(**value)


NOT_TRIED = Compilation(why="It was packaged by a version of Kairos, or in an installation, that does not compile.")


def can_run() -> bool:
    """Whether ONNX Runtime is installed here."""
    return find_spec("onnxruntime") is not None


class CompiledRunner:
    """Runs the ONNX file of a package on one thread of its caller; safe to call from several threads at once."""

    def __init__(self, data: bytes, *, signature: Signature, compilation: Compilation) -> None:
        """Loads the file.

        Raises:
            PackageError: ONNX Runtime is not installed, or cannot load the file.
        """
        self._session = _session(data)
        self._mend = compilation.recalibration
        taken = {each.name for each in self._session.get_inputs()}
        self._read = inputs_of(signature, compilation.layout, taken=taken)
        self._output = [self._session.get_outputs()[-1].name]

    def predict(self, columns: Columns) -> np.ndarray[Any, Any]:
        """Returns one number a row, shape (n,), float64: a value, or the positive class's probability."""
        rows = len(next(iter(columns.values())))
        if rows == 0:
            return np.empty(0)
        (answer,) = self._session.run(self._output, self._read(columns))
        flat = answer.reshape(rows, -1)[:, -1]  # of two classes the second
        flat = np.ascontiguousarray(flat, dtype=np.float64)
        return flat if self._mend is None else self._mend(flat)


def _session(data: bytes) -> Any:
    try:
        import onnxruntime  # only where a compiled form is run: it is 78 MB
    except ImportError as error:
        raise PackageError(
            "The compiled form of a model needs ONNX Runtime.", hint="Type: pip install 'kairos-ml[compiled]'."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more threads wait for each other longer than a row takes
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class of its own for each cause
        raise PackageError(
            f"The file {COMPILED_FILE!r} of a model package cannot be loaded.",
            given=f"{type(error).__name__}: {error}",
            file=COMPILED_FILE,
        ) from error


def inputs_of(
    signature: Signature, layout: Layout, *, taken: Collection[str]
) -> Callable[[Columns], dict[str, np.ndarray[Any, Any]]]:
    """Returns what makes the file's inputs from columns as ``Signature.parse_rows`` gives them.

    Args:
        signature: Of the model.
        layout: Of the file.
        taken: Names of the file's inputs; a column that the model does not look at is not among them.
    """
    names = signature.names
    if layout == "matrix":

        def matrix(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
            inputs = np.empty((len(columns[names[0]]), len(names)))
            for index, name in enumerate(names):
                inputs[:, index] = columns[name]
            return {"X": inputs}

        return matrix
    # Inputs are named by their place: a column's name may be anything, a name in ONNX may not.
    readers = [
        (f"c{index}", column.name, _texts if column.kind in ("category", "text") else _numbers)
        for index, column in enumerate(signature.columns)
        if f"c{index}" in taken
    ]

    def apart(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
        return {key: read(columns[name])[:, None] for key, name, read in readers}

    return apart


def _texts(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    found = np.empty(len(values), dtype=object)
    found[:] = [MISSING_TEXT if value is None else value for value in values]
    return found


def _numbers(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return values.astype(np.float64)  # None becomes NaN
