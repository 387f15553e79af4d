"""A project's own checks and metrics: loaded from its files, carried out, and told without a path of this machine."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.errors import KairosError, SettingsError, without_addresses
from kairos.gates.behaviour import CheckFailed
from kairos.gates.evidence import CheckResult
from kairos.gates.policy import OwnMetric
from kairos.pipeline.calling import CalledFile
from kairos.pipeline.origins.secrets import note_environment, redacted
from kairos.pipeline.project import PipelineSource

__all__ = ["load_metrics", "run_checks"]

Predict = Callable[[Any], NDArray[np.float64]]

_ROWS_KEPT = 5
_LONGEST = 400
"""Letters of a message that are kept in the ledger."""


def load_metrics(root: Path, own: Mapping[str, OwnMetric]) -> dict[str, Callable[[NDArray[Any], NDArray[Any]], float]]:
    """The functions of a project's own metrics, by name.

    Raises:
        SettingsError: a file or a function is not there.
        StepFailed: a file cannot be loaded; it carries its own traceback.
    """
    found: dict[str, Callable[[NDArray[Any], NDArray[Any]], float]] = {}
    for name, metric in own.items():
        file, _, function = metric.function.rpartition(":")
        if not (root / file).is_file():
            raise SettingsError(f"There is no file for the metric {name!r}.", given=metric.function)
        called = CalledFile(PipelineSource(root=root, file=file))
        value = vars(called.module).get(function)
        if not callable(value):
            raise SettingsError(f"{file} has no function for the metric {name!r}.", given=function)
        found[name] = _Measured(called, value)
    return found


class _Measured:
    """A metric, called many thousand times: only one that imports a module late pays for the project's at hand."""

    def __init__(self, called: CalledFile, function: Callable[..., float]) -> None:
        self._called = called
        self._function = function
        self._imports_late = False

    def __call__(self, truth: NDArray[Any], answers: NDArray[Any]) -> float:
        if not self._imports_late:
            try:
                return self._function(truth, answers)
            except ModuleNotFoundError:
                self._imports_late = True
        with self._called.at_hand():
            return self._function(truth, answers)


def run_checks(root: Path, file: str, predict: Predict, rows: pl.DataFrame) -> tuple[CheckResult, ...]:
    """Calls each ``test_...(predict, rows)`` of a file, in the order in which they stand there.

    An ``AssertionError`` is a failed check. Any other error is a check that could not be carried out: that is not the
    version's fault.
    """
    name = Path(file).stem
    if not (root / file).is_file():
        return (CheckResult(name=name, state="broken", message=f"there is no file {file}"),)
    try:
        called = CalledFile(PipelineSource(root=root, file=file))
    except KairosError as error:
        return (CheckResult(name=name, state="broken", message=_short(error.what)),)
    found = {key: value for key, value in vars(called.module).items() if key.startswith("test_") and callable(value)}
    if not found:
        return (CheckResult(name=name, state="broken", message=f"{file} has no function that begins with test_"),)
    with called.at_hand():
        return tuple(_run(key, value, file, predict, rows) for key, value in found.items())


def _run(name: str, check: Callable[..., Any], file: str, predict: Predict, rows: pl.DataFrame) -> CheckResult:
    given = {"predict": predict, "rows": rows}
    wanted = list(inspect.signature(check).parameters)
    unknown = [parameter for parameter in wanted if parameter not in given]
    if unknown:
        message = f"it asks for {unknown[0]!r}; there are predict and rows"
        return CheckResult(name=name, state="broken", message=message)
    try:
        check(**{parameter: given[parameter] for parameter in wanted})
    except CheckFailed as failure:
        return CheckResult(name=name, state="failed", message=_short(str(failure)), rows=failure.rows[:_ROWS_KEPT])
    except AssertionError as failure:
        place = _place(failure, file)
        return CheckResult(name=name, state="failed", message=_short(f"{str(failure) or 'assertion'}{place}"))
    except Exception as error:  # whatever the project's own code raises
        return CheckResult(
            name=name, state="broken", message=_short(f"{type(error).__name__}: {error}{_place(error, file)}")
        )
    return CheckResult(name=name, state="passed")


def _place(error: BaseException, file: str) -> str:
    """The last line of the project's file on the way to an error, and what stands there."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(file)]
    return f" ({file}, line {frames[-1].lineno}: {frames[-1].line})" if frames else ""


def _short(message: str) -> str:
    note_environment()
    text = redacted(without_addresses(" ".join(message.split())))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 2]} …"
