"""What a model accepts and gives: its columns in their order, and what reads rows of them.

Pure Python and numpy; the model server parses every request here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from kairos.errors import PackageError, did_you_mean
from kairos.models.column import LARGEST_NUMBER, LONGEST_TEXT, Column, ColumnKind, accepts, refuse
from kairos.models.outputs import Output
from kairos.models.truths import Truths
from kairos.values import Json, unplain

__all__ = ["LARGEST_NUMBER", "LONGEST_TEXT", "Column", "ColumnKind", "OutputSpec", "Signature"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSpec:
    """The range that may leave the server of a model's number, or of each of several; and what labels can be."""

    kind: Literal["number"] = "number"
    lower: float | None = None
    upper: float | None = None
    truths: Truths = field(default_factory=Truths)
    """What its labels can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A model's columns, in the order of training, and its output."""

    columns: tuple[Column, ...]
    output: OutputSpec
    outputs: tuple[Output, ...] = ()
    """What it gives of a model of several numbers a row; none: one number."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in the order of training."""
        return tuple(column.name for column in self.columns)

    def parse_rows(self, rows: Sequence[Mapping[str, Json]]) -> dict[str, np.ndarray[Any, Any]]:
        """Reads rows of JSON into one array a column, each of shape (n,), in the order of training.

        Numbers become float64 with NaN for null; integers int64, or float64 if the column is nullable; booleans bool,
        or objects if nullable; categories and text objects (``str`` or ``None``); arrays one array (n, *shape), or
        where they differ in length objects, each an array.

        Raises:
            InputRefused: a row does not fit; ``facts`` hold ``row`` (0-based) and ``field``.
        """
        known = set(self.names)
        for index, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise refuse("A row is not an object.", index, None, given=row, accepted='an object such as {"a": 1}')
            if not row.keys() <= known:
                name = min(map(str, row.keys() - known))
                raise refuse(
                    f"Row {index} has a column {name!r} that the model does not know.",
                    index,
                    name,
                    accepted=", ".join(self.names),
                    hint=did_you_mean(name, known - row.keys()),
                )
        return {column.name: _parse_column(column, rows) for column in self.columns}

    @classmethod
    def from_plain(cls, value: Json) -> Signature:
        """Reads what ``plain`` wrote.

        Raises:
            PackageError: the value is not a signature of this format.
        """
        try:
            value = unplain(value)
            columns = tuple(_column(item) for item in value["columns"])
            output = {**value["output"], "truths": Truths.from_plain(value["output"].get("truths", {"classes": ()}))}
            outputs = tuple(Output.from_plain(item) for item in value.get("outputs", ()))
            return cls(columns=columns, output=OutputSpec(**output), outputs=outputs)
        except (KeyError, TypeError) as error:
            raise PackageError("A model's signature cannot be read.", given=str(error)) from error


def _column(item: Mapping[str, Json]) -> Column:
    spans = {name: tuple(map(tuple, item.get(name, ()))) for name in ("seen", "taken")}
    return Column(**{**item, "levels": tuple(item["levels"]), "shape": tuple(item.get("shape", ())), **spans})


def _parse_column(column: Column, rows: Sequence[Mapping[str, Json]]) -> np.ndarray[Any, Any]:
    values: list[Any] = []
    name = column.name
    for index, row in enumerate(rows):
        if name in row:
            values.append(column.parse(row[name], index))
        elif column.required:
            raise refuse(f"Row {index} lacks the column {name!r}.", index, name, accepted=accepts(column))
        else:
            values.append(column.null)
    return column.gather(values)
