"""Compiling a model and proving that the file answers as the native runner does, or saying in a sentence why not."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kairos.errors import PackageError
from kairos.models.compiled import Compilation, CompiledRunner, Proof, layout_of
from kairos.models.compiling.refusals import NotCompiled
from kairos.models.every import every_so_many
from kairos.models.foreign import Foreign, first_line
from kairos.models.ports import Runner
from kairos.models.signature import Signature
from kairos.models.spec import Method, TrainingForm

if TYPE_CHECKING:
    from kairos.models.compiling.trees import Ensemble

__all__ = ["COMPILER", "TOLERANCES", "can_compile", "compile_model", "prove"]

Columns = Mapping[str, np.ndarray[Any, Any]]

COMPILER = 1
"""Raised when the files that come out are others: packages are then made anew."""

TOLERANCES = {"float64": 1e-12, "float32": 1e-6, "network": 1e-5}
"""Largest difference, relative to the largest answer, by the precision in which the library of the model computes.

A network adds thousands of products in float32, each library in an order of its own."""


def can_compile() -> bool:
    """Whether all that compiles a model is installed."""
    return all(find_spec(name) is not None for name in ("onnx", "skl2onnx", "onnxruntime"))


def compile_model(
    estimator: Any,
    native: Runner,
    *,
    signature: Signature,
    form: TrainingForm,
    method: Method,
    train: Columns,
    holdout: Columns | None,
) -> tuple[Compilation, bytes]:
    """Returns what is to be said of the compiled form, and its file, which is empty if there is none.

    It never fails, whatever the estimator is: a model without a compiled form is served natively.

    Args:
        estimator: Fitted; it is not changed.
        native: Runs it; what the file has to answer.
        signature: Of the model.
        form: How the estimator wants its input.
        method: Of the estimator, that answers.
        train: Rows of training, one array a column.
        holdout: Rows kept back; ``None`` if the step takes none.
    """
    if not can_compile():
        return Compilation(why="What compiles a model is not installed: pip install 'kairos-ml[compile]'."), b""
    from kairos.models.compiling.graph import convert, read_ensemble  # it loads onnx
    from kairos.models.compiling.loops import refuse_loops

    every = every_so_many(_count(train))
    try:
        is_foreign = isinstance(estimator, Foreign)
        ensemble = None if is_foreign else read_ensemble(estimator, signature)
        if is_foreign:
            data = estimator.compiled()
        else:
            data = convert(estimator, signature, layout=layout_of(form), method=method)
        refuse_loops(data)
        precision = estimator.precision if is_foreign else "float64" if ensemble is None else ensemble.precision
        compiled = CompiledRunner(data, signature=signature, form=form)
        # Of a pipeline, or with codes of categories, the trees ask about what comes before them, not about columns.
        is_direct = not hasattr(estimator, "steps") and ensemble is not None and ensemble.coding is None
        direct = ensemble if is_direct else None
        proof = prove(
            native,
            compiled,
            signature=signature,
            rows={name: values[::every] for name, values in train.items()} if holdout is None else holdout,
            rows_from="train" if holdout is None else "holdout",
            every=every if holdout is None else 1,
            train=train,
            ensemble=direct,
            relative=TOLERANCES[precision],
        )
    except NotCompiled as refusal:
        return Compilation(why=str(refusal)), b""
    except PackageError as error:
        return Compilation(why=f"ONNX Runtime does not run it: {first_line(error.given or error)}"), b""
    except Exception as error:  # converters fail in ways of their own; the model is none the worse
        name = f"{type(error).__module__.partition('.')[0]}.{type(error).__name__}"
        # The words of an error may name values of a text column, which a package does not.
        has_text = any(column.kind in ("category", "text") for column in signature.columns)
        words = "" if has_text else f": {first_line(error)}"
        return Compilation(why=f"It cannot be converted, being of {_parts(estimator)}: {name}{words}"), b""
    return Compilation(proof=proof), data


def _parts(estimator: Any) -> str:
    """Names of the classes that an estimator is made of, one of which is at fault."""
    found: dict[str, None] = {}
    waiting = [estimator]
    for item in waiting:  # it grows while it is walked
        if isinstance(item, (list, tuple)):
            waiting.extend(item)
        elif hasattr(item, "get_params") and not isinstance(item, type):
            if not hasattr(item, "steps"):
                found[type(item).__name__] = None
            waiting.extend(item.get_params(deep=False).values())
    return ", ".join(found) or type(estimator).__name__


def prove(
    native: Runner,
    compiled: Runner,
    *,
    signature: Signature,
    rows: Columns,
    rows_from: Literal["holdout", "train"],
    train: Columns,
    ensemble: Ensemble | None,
    relative: float,
    every: int = 1,
) -> Proof:
    """Compares two runners on all ``rows``, and on rows made to part them.

    Args:
        native: What is right.
        compiled: What has to answer the same.
        signature: Of the model.
        rows: All rows that are kept to judge the model.
        rows_from: Where they are from.
        train: Rows from whose values others are made.
        ensemble: Trees that ask about the columns themselves.
        relative: Tolerance, as a share of the largest answer on these rows.
        every: The how-manyeth row of their table each of ``rows`` is; the worst one is named by its place there.

    Raises:
        NotCompiled: a difference is larger.
    """
    from kairos.models.compiling.made_rows import far_rows, near_rows

    difference, worst, scale = _compare(native, compiled, rows, relative, f"row {{}} of the {rows_from}", every)
    made = 0.0
    near, far = near_rows(signature, train, ensemble), far_rows(signature, train)
    for what, others in (("at its thresholds, nulls and levels", near), ("at the ends of its numbers", far)):
        largest, _, size = _compare(native, compiled, others, relative, f"made row {{}} {what}")
        made = max(made, largest / size if largest else 0.0)
    return Proof(
        rows=_count(rows),
        rows_from=rows_from,
        difference=difference,
        worst_row=worst * every,
        made_rows=_count(near) + _count(far),
        made_difference=made,
        tolerance=relative * scale,
    )


def _count(rows: Columns) -> int:
    return len(next(iter(rows.values())))


def _compare(
    native: Runner, compiled: Runner, rows: Columns, relative: float, where: str, every: int = 1
) -> tuple[float, int, float]:
    """The largest difference, its row, and the largest answer; of several those of the one that differs most."""
    expected, answer = native.predict(rows), compiled.predict(rows)
    if expected.shape != answer.shape:
        raise NotCompiled("The compiled form gives another number of numbers.")
    if expected.ndim == 1:
        return _compare_numbers(expected, answer, relative, where, every)
    each = [_compare_numbers(e, a, relative, where, every) for e, a in zip(expected.T, answer.T, strict=True)]
    return max(each, key=lambda found: found[0] / found[2] if found[0] else 0.0)


def _compare_numbers(
    expected: np.ndarray[Any, Any], answer: np.ndarray[Any, Any], relative: float, where: str, every: int
) -> tuple[float, int, float]:
    scale = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
    same = (expected == answer) | (np.isnan(expected) & np.isnan(answer))
    with np.errstate(invalid="ignore"):
        differences = np.where(same, 0.0, np.abs(answer - expected))
    differences = np.where(np.isnan(differences), np.inf, differences)
    worst = int(np.argmax(differences)) if len(differences) else 0
    largest = float(differences[worst]) if len(differences) else 0.0
    if largest > relative * scale:
        given = f"{answer[worst]:.17g} instead of {expected[worst]:.17g}"
        raise NotCompiled(f"The compiled form answers {where.format(worst * every)} with {given}.")
    return largest, worst, scale
