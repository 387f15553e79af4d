"""Predictions of one call, column by column: what a server writes down at once costs little for each row."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterator, Sized
from datetime import datetime
from typing import Any, Literal

import msgspec

from kairos.errors import UsageError
from kairos.store.records import Prediction, check_moment
from kairos.values import MODEL_NAMES, is_model_name

__all__ = ["Answer", "Packed", "Predictions", "Scalar"]

Scalar = float | int | str | bool | list[float] | None
"""Of an array the numbers in a row."""

Answer = float | int | str | bool | None


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of many rows as the machine has them: they are written down quicker than they are read one by one."""

    kind: Literal["number", "whole", "integer"]
    """What they are: floats; floats that stand for whole numbers; whole numbers of 64 bits."""
    data: bytes
    """8 bytes each, the lowest first; of floats NaN stands for no value."""

    def __len__(self) -> int:
        return len(self.data) // 8

    def __iter__(self) -> Iterator[Scalar]:
        return iter(self.values())

    def values(self) -> list[Scalar]:
        """One a row."""
        packed: array[Any] = array("q" if self.kind == "integer" else "d")
        packed.frombytes(self.data)
        if sys.byteorder == "big":
            packed.byteswap()
        values: list[Any] = packed.tolist()
        if self.kind == "integer":
            return values
        make = int if self.kind == "whole" else float
        if math.isnan(sum(values)):
            return [None if value != value else make(value) for value in values]
        return [int(value) for value in values] if self.kind == "whole" else values


class Predictions(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the prediction log that have model, time and share in common. What is said of a row is in ``Prediction``.

    ``ids``, ``keys``, ``abouts`` and the ``inputs`` have one item for each row that was asked about; everything else
    has one for each answer of a version, and ``rows`` says which row that is about.
    """

    model: str
    at: datetime
    share: float
    ids: list[str]
    keys: list[str | None]
    abouts: list[datetime | None]
    inputs: dict[str, list[Scalar] | Packed]
    sparse: frozenset[str] = frozenset()
    """Inputs that a row does not have where there is no value."""
    rows: list[int]
    versions: list[int]
    roles: list[Literal["champion", "challenger", "previous"]]
    answered: list[bool]
    raws: list[float | None]
    outputs: list[float | None]
    violations: list[str | None]
    actions: list[str | None]
    errors: list[str | None]
    latencies_us: list[int]
    told: dict[str, list[Answer]] = {}
    """What left of an answer of several outputs, by name."""
    lists: list[str | None] = []
    """Of a model that ranks one for each row that was asked about, as ``ids``; empty: it ranks nothing."""
    items: list[str | None] = []
    """The same."""

    def __post_init__(self) -> None:
        check_moment("predictions", self.model, self.at)
        if not is_model_name(self.model):
            raise UsageError(
                "A prediction's model cannot be the name of a folder.", given=self.model, accepted=MODEL_NAMES
            )

    def checked(self) -> Predictions:
        """The same, if all of its columns fit each other.

        Raises:
            UsageError: they do not, or a time says no zone.
        """
        listed = [each for each in (self.lists, self.items) if each]
        asked: tuple[Sized, ...] = (self.keys, self.abouts, *listed, *self.inputs.values())
        given: tuple[Sized, ...] = (
            self.versions, self.roles, self.answered, self.raws, self.outputs, self.violations, self.actions,
            self.errors, self.latencies_us, *self.told.values(),
        )  # fmt: skip
        if any(len(each.data) % 8 for each in self.inputs.values() if isinstance(each, Packed)):
            raise UsageError("Numbers are not whole.", given=self.model)
        if any(len(each) != len(self.ids) for each in asked) or any(len(each) != len(self.rows) for each in given):
            raise UsageError("Columns of predictions are not of the same length.", given=self.model)
        if self.rows and not 0 <= min(self.rows) <= max(self.rows) < len(self.ids):
            raise UsageError("Predictions are about rows that are not there.", given=self.model)
        for name, about in zip(self.ids, self.abouts, strict=True):
            if about is not None:
                check_moment("prediction", name, about)
        return self

    def unpacked(self) -> dict[str, list[Scalar]]:
        """The inputs' values."""
        return {name: v.values() if isinstance(v, Packed) else v for name, v in self.inputs.items()}

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Prediction]:
        """Each answer as a row of the log."""
        inputs = self.unpacked()
        for at, row in enumerate(self.rows):
            yield Prediction(
                id=self.ids[row],
                at=self.at,
                model=self.model,
                version=self.versions[at],
                role=self.roles[at],
                answered=self.answered[at],
                share=self.share,
                key=self.keys[row],
                inputs={
                    name: values[row]
                    for name, values in inputs.items()
                    if values[row] is not None or name not in self.sparse
                },
                raw=self.raws[at],
                output=self.outputs[at],
                violation=self.violations[at],
                action=self.actions[at],
                error=self.errors[at],
                latency_us=self.latencies_us[at],
                about=self.abouts[row],
                told={name: values[at] for name, values in self.told.items() if values[at] is not None},
                list_key=self.lists[row] if self.lists else None,
                item_key=self.items[row] if self.items else None,
            )
