"""Contracts of Pandera at the boundary of a step. The only place that knows Pandera; a project that does not is let be.

A parameter, the result, or a field of a ``NamedTuple`` that is annotated with ``DataFrame[Model]`` of
``pandera.typing.polars`` (or ``pandera.typing``, for pandas) is checked: inputs before the step is called, its result
before anybody else sees it.
"""

from __future__ import annotations

import sys
import types
import typing
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kairos.errors import DataRefused
from kairos.pipeline.hints import hints_of
from kairos.store import Store
from kairos.values import Digest

__all__ = ["check_inputs", "check_result", "is_at_hand"]

_MOST_KEPT = 10_000
_MOST_CASES = 200_000
_MOST_TOLD = 8
_OF_COLUMNS = {"column_in_dataframe": "is missing", "column_in_schema": "is not declared"}
"""Checks of Pandera whose failure is a column's name."""


def is_at_hand() -> bool:
    """Whether the project's code has loaded Pandera; without it there is nothing to check, and nothing is lost."""
    return "pandera" in sys.modules


def check_inputs(store: Store, function: Callable[..., Any], inputs: Mapping[str, Any]) -> None:
    """Checks what a step is given.

    Raises:
        DataRefused: a table breaks its contract; the rows that do are in the store, named in ``facts['kept']``.
    """
    schemas = _schemas(function)
    for name, value in inputs.items():
        if name in schemas:
            _check(store, schemas[name], value, f"The input {name!r} of step {function.__name__!r}")


def check_result(store: Store, function: Callable[..., Any], returned: Any) -> None:
    """Checks what a step returned.

    Raises:
        DataRefused: as for ``check_inputs``.
    """
    hints = hints_of(function).read
    whole = hints.get("return")
    step = f"step {function.__name__!r}"
    if _model(whole) is not None:
        _check(store, _model(whole), returned, f"What {step} returned")
        return
    fields = hints_of(whole).read if isinstance(whole, type) and hasattr(whole, "_fields") else {}
    for field in fields:
        model = _model(fields.get(field))
        if model is not None and hasattr(returned, field):
            _check(store, model, getattr(returned, field), f"Field {field!r} of what {step} returned")


def _schemas(function: Callable[..., Any]) -> dict[str, Any]:
    found = {name: _model(hint) for name, hint in hints_of(function).read.items() if name != "return"}
    return {name: model for name, model in found.items() if model is not None}


def _model(hint: Any) -> Any:
    """The model in ``DataFrame[Model]`` of Pandera, also where ``None`` may stand for it; or ``None``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        models = [model for each in arguments if (model := _model(each)) is not None]
        return models[0] if len(models) == 1 and len(arguments) == 2 and type(None) in arguments else None
    if origin is None or not str(getattr(origin, "__module__", "")).startswith("pandera.") or len(arguments) != 1:
        return None
    return arguments[0] if hasattr(arguments[0], "to_schema") else None


def _check(store: Store, model: Any, table: Any, what: str) -> None:
    if table is None:  # an optional one; if it is not, nobody can use it
        return
    from pandera.errors import SchemaErrors, SchemaWarning

    schema = model.to_schema()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", SchemaWarning)
            schema.validate(table, lazy=True)
    except SchemaErrors as error:
        cases = [_told(case, schema.unique or ()) for case in _cases(error)]
        raise _refused(store, model.__name__, table, what, cases) from None
    for warning in warned:
        if issubclass(warning.category, SchemaWarning):
            print(
                f"warning: {what} strays from its contract {model.__name__}: {_first(warning.message)}", file=sys.stderr
            )
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _first(message: object) -> str:
    """What failed, without the values: Pandera prints rows behind it."""
    return str(message).partition("failure case")[0].strip(" :\n")[:200]


def _cases(error: Any) -> list[dict[str, Any]]:
    """What failed, one for each check and row; Pandera tells them as a table of the library that was checked."""
    cases = error.failure_cases.head(_MOST_CASES)
    found: list[dict[str, Any]] = cases.to_dicts() if hasattr(cases, "to_dicts") else cases.to_dict("records")
    return found


@dataclass(frozen=True, slots=True)
class _Case:
    column: str
    check: str
    row: int | None


def _told(case: Mapping[str, Any], unique: Sequence[str]) -> _Case:
    """One thing that failed; no values of rows, only the name of a column that is missing or too many."""
    column, check, index = str(case.get("column") or ""), str(case.get("check") or ""), case.get("index")
    if check in _OF_COLUMNS:
        column, check = str(case.get("failure_case")), _OF_COLUMNS[check]
    elif check == "multiple_fields_uniqueness":
        column, check = ", ".join(unique), "not unique"
    is_row = isinstance(index, int | float) and index == index
    return _Case(column, check, int(index) if is_row else None)  # type: ignore[arg-type]


def _refused(store: Store, name: str, table: Any, what: str, cases: Sequence[_Case]) -> DataRefused:
    """Values of rows stay out of the message: they are kept aside, for who may look."""
    counts = Counter((case.column, case.check) for case in dict.fromkeys(cases))  # one case for each column of a key
    rows = {case.row for case in cases if case.row is not None}
    told = [
        f"{column!r} {check}{f' ({count:,} rows)' if count > 1 else ''}" for (column, check), count in counts.items()
    ]
    kept = _kept(store, table, sorted(rows)[:_MOST_KEPT])
    many = f"{len(rows):,} row{'s' if len(rows) != 1 else ''}{' or more' if len(cases) >= _MOST_CASES else ''}"
    more = f"; and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    return DataRefused(
        f"{what} breaks its contract {name}{f' in {many}' if rows else ''}.",
        given="; ".join(told[:_MOST_TOLD]) + more,
        hint=f"Look at the rows: kairos data show {kept}" if kept else None,
        columns=sorted({column for column, _ in counts if column}),
        rows=len(rows),
        kept=kept,
    )


def _kept(store: Store, table: Any, rows: list[int]) -> Digest | None:
    if not rows:
        return None
    from kairos.pipeline.frames import encode_frame  # loads Polars

    is_polars = hasattr(table, "with_columns")
    some = table[rows] if is_polars else table[table.index.isin(rows)].reset_index(drop=True)  # pandas tells labels
    return encode_frame(store, some, name="refused").digest
