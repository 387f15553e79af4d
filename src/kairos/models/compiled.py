"""The compiled form of a package: an ONNX file beside the estimator, what was compared to prove it, and its runner.

Loads numpy and, for the runner, ONNX Runtime; no scikit-learn, pandas, Polars or MLflow. How the file is made and
proven is in ``compiling``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kairos.errors import PackageError
from kairos.models.arrays import by_groups, flat_matrix
from kairos.models.onnx_session import open_session
from kairos.models.outputs import width_of
from kairos.models.signature import Column, Signature
from kairos.models.spec import TrainingForm
from kairos.models.spread import spread_columns, spread_signature
from kairos.values import Json, unplain

if TYPE_CHECKING:
    from kairos.stats.recalibration import Recalibration  # it loads scipy, which a server of other models does without

__all__ = [
    "COMPILED_FILE",
    "MISSING_TEXT",
    "NOT_TRIED",
    "Compilation",
    "CompiledRunner",
    "Proof",
    "can_run",
    "layout_of",
]

COMPILED_FILE = "kairos/compiled.onnx"

MISSING_TEXT = "\0missing"
"""What a missing text is in a compiled model, which knows no null text; no request holds this."""

FIXED_TYPES = ("Enum", "category")
"""Of Polars and of pandas: data types with fixed levels."""

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

    @property
    def sentence(self) -> str:
        """How near it is, as a person is told."""
        rows = f"{self.rows:,} rows of the {self.rows_from} and {self.made_rows:,} made ones"
        if self.difference == self.made_difference == 0.0:
            return f"equal to the last bit on {rows}"
        return (
            f"on {rows} it answers as the estimator does; the largest difference is {self.difference:.2g} (row "
            f"{self.worst_row}), {self.tolerance:.2g} is tolerated"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """Whether a package has a compiled form; with a proof, or else the reason why not."""

    proof: Proof | None = None
    why: str | None = None
    """One sentence, if there is no proof."""
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
                recalibration=None if mend is None else _recalibration(mend),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise PackageError("What a package says of its compiled form cannot be read.", given=str(error)) from error

    @property
    def sentence(self) -> str:
        """What a person is told: what was compared, or why there is no compiled form."""
        if self.proof is None:
            return f"native: {self.why}"
        return f"compiled: {self.proof.sentence}"

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
        return Compilation(proof=proof, recalibration=recalibration)


def _recalibration(value: Json) -> Recalibration:
    from kairos.stats.recalibration import Recalibration  # see above

    return Recalibration(**value)


NOT_TRIED = Compilation(why="It was packaged by a version of Kairos, or in an installation, that does not compile.")


def can_run() -> bool:
    """Whether ONNX Runtime is installed here."""
    return find_spec("onnxruntime") is not None


class CompiledRunner:
    """Runs the ONNX file of a package on one thread of its caller; safe to call from several threads at once."""

    is_bounded = True  # a graph without loops

    def __init__(
        self,
        data: bytes,
        *,
        signature: Signature,
        form: TrainingForm,
        recalibration: Recalibration | None = None,
        weights: Path | bytes | None = None,
    ) -> None:
        """Loads the file.

        Args:
            data: Of the file.
            signature: Of the model.
            form: How the estimator wants its input.
            recalibration: What is done to each answer.
            weights: What does not lie in the file itself; mapped from their own, if they have one.

        Raises:
            PackageError: ONNX Runtime is not installed, or cannot load the file.
        """
        self._session = open_session(data, weights, file=COMPILED_FILE)
        self._mend = recalibration
        self._width = width_of(signature.outputs)
        taken = {each.name for each in self._session.get_inputs()}
        self._read = _inputs_of(signature, form, taken)
        self._free = next((column.name for column in signature.columns if column.is_free), None)
        self._output = [self._session.get_outputs()[-1].name]

    def predict(self, columns: Columns) -> np.ndarray[Any, Any]:
        """Returns one number a row, shape (n,), float64: a value, or the positive class's probability.

        Of a model of several outputs all their numbers, shape (n, numbers).
        """
        rows = len(next(iter(columns.values())))
        if rows == 0:
            return np.empty(0 if self._width == 1 else (0, self._width))
        if self._free is None:
            return self._mended(self._run(self._read(columns), rows))
        # The file takes rows of one shape.
        return self._mended(by_groups(self._together, columns[self._free]))

    def _together(self, cells: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return self._run({"X": cells.astype(np.float64)}, len(cells))

    def _run(self, inputs: dict[str, np.ndarray[Any, Any]], rows: int) -> np.ndarray[Any, Any]:
        (answer,) = self._session.run(self._output, inputs)
        if self._width > 1:
            return self._all(answer.reshape(rows, -1))
        return np.ascontiguousarray(answer.reshape(rows, -1)[:, -1], dtype=np.float64)  # of two classes the second

    def _mended(self, answers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return answers if self._mend is None or self._width > 1 else self._mend(answers)

    def _all(self, answer: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        numbers = np.ascontiguousarray(answer, dtype=np.float64)
        if numbers.shape[1] == 1:  # of two classes the chance of the second
            return np.hstack([1.0 - numbers, numbers])
        return numbers


def layout_of(form: TrainingForm) -> Layout:
    """How a file takes its inputs."""
    return "matrix" if form.kind == "matrix" else "columns"


def _inputs_of(
    signature: Signature, form: TrainingForm, taken: Collection[str]
) -> Callable[[Columns], dict[str, np.ndarray[Any, Any]]]:
    """Returns what makes the file's inputs from columns as ``Signature.parse_rows`` gives them.

    ``taken`` are the names of these inputs; a column that the model does not look at is not among them.
    """
    names = signature.names
    has_arrays = any(column.shape for column in signature.columns)
    if layout_of(form) == "matrix":

        def matrix(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
            if has_arrays:
                return {"X": flat_matrix([columns[name] for name in names])}
            inputs = np.empty((len(columns[names[0]]), len(names)))
            for index, name in enumerate(names):
                inputs[:, index] = columns[name]
            return {"X": inputs}

        return matrix
    # Inputs are named by their place: a column's name may be anything, a name in ONNX may not.
    readers = [
        (f"c{index}", column.name, _reader(column, form.dtypes[column.name]))
        for index, column in enumerate(spread_signature(signature).columns)
        if f"c{index}" in taken
    ]

    def apart(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
        numbers = spread_columns(signature, columns) if has_arrays else columns
        return {key: read(numbers[name])[:, None] for key, name, read in readers}

    return apart


def _reader(column: Column, dtype: str) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    if column.kind not in ("category", "text"):
        return _numbers
    if dtype not in FIXED_TYPES:
        return _texts
    named = frozenset(column.levels)  # what a data type with fixed levels does not hold is missing in it
    return lambda values: _texts([value if value in named else None for value in values])


def _texts(values: Iterable[str | None]) -> np.ndarray[Any, Any]:
    return np.array([MISSING_TEXT if value is None else value for value in values], dtype=object)


def _numbers(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return values.astype(np.float64)  # None becomes NaN
