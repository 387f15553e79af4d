"""Tensors of the Open Inference Protocol: their data types, as JSON and as bytes, and how they become columns."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kairos.errors import InputRefused, did_you_mean
from kairos.models.signature import LARGEST_NUMBER, Column, ColumnKind
from kairos.serving.body import MOST_ROWS, check_count, read_entities, read_lists, read_times, refuse
from kairos.serving.protocols.array_tensors import has_texts, read_arrays, tensor_shape
from kairos.serving.rows import Intake, Rows
from kairos.values import Json

__all__ = [
    "DATATYPES",
    "DATATYPE_OF_KIND",
    "Tensor",
    "datatype_of",
    "from_bytes",
    "from_json",
    "read_shape",
    "rows_of",
    "to_bytes",
    "wrong_count",
]

DATATYPES: Mapping[str, str] = {
    "BOOL": "?",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "BYTES": "O",
}
"""The protocol's data types, with numpy's little-endian types; ``BYTES`` are texts in UTF-8."""

DATATYPE_OF_KIND: Mapping[ColumnKind, str] = {
    "number": "FP64",
    "integer": "INT64",
    "boolean": "BOOL",
    "category": "BYTES",
    "text": "BYTES",
    "array": "FP64",
}
"""What a column is said to be in a model's metadata; whatever else can be read as its kind is taken too."""


def datatype_of(column: Column) -> str:
    """The data type that a column is said to have."""
    return "INT64" if column.kind == "array" and column.is_whole else DATATYPE_OF_KIND[column.kind]


_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensor:
    """One named array of a request or an answer."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: np.ndarray[Any, Any]
    """The elements in a row, row by row; objects where JSON holds null."""


def read_shape(name: str, datatype: Json, shape: Json) -> tuple[str, tuple[int, ...], int]:
    """The data type, the shape, and how many elements that is.

    Raises:
        InputRefused: one of them is none, or there are too many rows.
    """
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        given = repr(datatype[:40]) if isinstance(datatype, str) else type(datatype).__name__
        hint = did_you_mean(datatype, DATATYPES) if isinstance(datatype, str) else None
        accepted = ", ".join(DATATYPES)
        raise refuse(f"The datatype of {name!r} is not known.", field=name, given=given, accepted=accepted, hint=hint)
    if not isinstance(shape, list) or len(shape) > 8 or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise refuse(f"The shape of {name!r} cannot be read.", field=name, accepted="a list such as [2] or [2, 4]")
    check_count(shape[0] if shape else 1)
    return datatype, tuple(shape), math.prod(shape)


def from_json(name: str, datatype: Json, shape: Json, data: Json) -> Tensor:
    """A tensor from JSON: ``data`` is flat or nested row by row; null is a missing value.

    Raises:
        InputRefused: the data are not of that type or shape.
    """
    datatype, shape, count = read_shape(name, datatype, shape)
    flat = _flat(name, data)
    if len(flat) != count:
        raise wrong_count(name, f"{len(flat)} elements", shape)
    for index, value in enumerate(flat):
        if value is not None and not _is_of(datatype, value):
            raise refuse(
                f"Element {index} of {name!r} is no {datatype}.",
                field=name,
                row=index // max(1, count // max(1, shape[0])),
                given=repr(value[:40]) if isinstance(value, str) else str(value)[:40],
            )
    has_null = any(value is None for value in flat)
    dtype = "O" if has_null else DATATYPES[datatype]
    with np.errstate(over="ignore"):  # what FP16 cannot hold is infinite, and refused as such
        values = np.array(flat, dtype=dtype)
    return Tensor(name=name, datatype=datatype, shape=shape, values=values)


def _flat(name: str, data: Json) -> list[Any]:
    if not isinstance(data, list):
        raise refuse(f"The data of {name!r} are not a list.", field=name, accepted="a list, flat or nested by row")
    flat: list[Any] = data
    while flat and all(type(item) is list for item in flat):
        flat = [inner for item in flat for inner in item]
    if any(type(item) in (list, dict) for item in flat):
        raise refuse(f"The data of {name!r} are nested unevenly.", field=name, accepted="a list, flat or nested by row")
    return flat


def _is_of(datatype: str, value: Json) -> bool:
    if datatype == "BYTES":
        return type(value) is str
    if datatype == "BOOL":
        return type(value) is bool
    if datatype.startswith("FP"):
        return type(value) is float or (type(value) is int and abs(value) < 2**1000)
    if type(value) is not int:
        return False
    limits = np.iinfo(DATATYPES[datatype])
    return bool(limits.min <= value <= limits.max)


def from_bytes(name: str, datatype: Json, shape: Json, data: bytes) -> Tensor:
    """A tensor from its binary form: little-endian elements, or texts each after its length in four bytes.

    Raises:
        InputRefused: the bytes are not of that type or shape.
    """
    datatype, shape, count = read_shape(name, datatype, shape)
    if datatype == "BYTES":
        values = _texts(name, data, count, shape)
    else:
        dtype = np.dtype(DATATYPES[datatype])
        if len(data) != count * dtype.itemsize:
            raise wrong_count(name, f"{len(data)} bytes", shape)
        if datatype == "BOOL" and data.translate(None, b"\x00\x01"):
            raise refuse(f"The bytes of {name!r} are no BOOL.", field=name, accepted="bytes 0 and 1")
        values = np.frombuffer(data, dtype=dtype)
    return Tensor(name=name, datatype=datatype, shape=shape, values=values)


def _texts(name: str, data: bytes, count: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    texts: list[str] = []
    at = 0
    while at + 4 <= len(data) and len(texts) < count:
        (length,) = _LENGTH.unpack_from(data, at)
        if at + 4 + length > len(data):
            break
        try:
            texts.append(data[at + 4 : at + 4 + length].decode())
        except UnicodeDecodeError:
            raise refuse(f"Element {len(texts)} of {name!r} is not UTF-8.", field=name, row=len(texts)) from None
        at += 4 + length
    if len(texts) != count or at != len(data):
        raise wrong_count(name, f"{len(data)} bytes, which are not so many texts", shape)
    return np.array(texts, dtype=np.object_)


def wrong_count(name: str, given: str, shape: Sequence[int]) -> InputRefused:
    """The refusal of data that are more or fewer than a shape says."""
    what = f"{name!r} has not as much data as its shape says."
    return refuse(what, field=name, given=given, accepted=f"{math.prod(shape)} elements, by the shape {list(shape)}")


def to_bytes(tensor: Tensor) -> bytes:
    """The binary form."""
    if tensor.datatype != "BYTES":
        return tensor.values.astype(DATATYPES[tensor.datatype]).tobytes()
    texts = [text.encode() for text in tensor.values.tolist()]
    return b"".join(_LENGTH.pack(len(text)) + text for text in texts)


def rows_of(tensors: Sequence[Tensor], intake: Intake, *, parameters: Mapping[str, Json]) -> Rows:
    """The rows in tensors: one a column, of shape [n] or [n, 1], of arrays [n, *shape]; or one [n, columns] for all.

    Arrays may be told as ``BYTES`` too, each row a text of JSON: so rows of one tensor may differ in length.

    Fields that say whom and when a row is about are tensors of ``BYTES`` too, or request parameters for all rows.

    Raises:
        InputRefused: the tensors do not fit the signature; ``facts`` hold ``field`` and ``row``.
    """
    by_name = {tensor.name: tensor for tensor in tensors}
    if len(by_name) < len(tensors):
        given = [tensor.name for tensor in tensors]
        twice = next(name for name in given if given.count(name) > 1)
        raise refuse(f"The input {twice!r} is there more than once.", field=twice, accepted="each input once")
    names = intake.signature.names
    if len(tensors) == 1 and tensors[0].name not in names and len(tensors[0].shape) == 2:
        by_name = _split(tensors[0], names)
    count = _count(by_name, {column.name: column for column in intake.signature.columns if column.shape})
    for name in by_name:
        if name not in names and name not in intake.beside:
            known = set(names) - by_name.keys()
            what = f"There is an input {name!r} that the model does not know."
            raise refuse(what, field=name, accepted=", ".join(names), hint=did_you_mean(name, known))
    about: list[dict[str, Json]] = [{} for _ in range(count)]
    for name in [each for each in intake.says if each in by_name]:
        for row, value in zip(about, by_name[name].values.tolist(), strict=True):
            row[name] = value
    lists, items = read_lists(parameters.get("list"), about, intake.rank_within, intake.item, columns=names)
    return Rows(
        columns={column.name: _column(column, by_name.get(column.name), count) for column in intake.signature.columns},
        count=count,
        entities=read_entities(parameters.get("entity"), about, intake.entity, columns=names),
        times=read_times(parameters.get("time"), about, intake.time, columns=names),
        lists=lists,
        items=items,
        parameters=parameters,
    )


def _split(tensor: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """The columns of a matrix, in the order of the signature; 0 and 1 in it may be booleans."""
    count, width = tensor.shape
    if width != len(names):
        what = f"The input {tensor.name!r} is no column of the model, and not all of them."
        raise refuse(what, field=tensor.name, given=f"shape {[count, width]}", accepted=f"shape [n, {len(names)}]")
    matrix = tensor.values.reshape(count, width)
    return {
        name: Tensor(name=name, datatype="matrix", shape=(count,), values=matrix[:, index])
        for index, name in enumerate(names)
    }


def _count(by_name: Mapping[str, Tensor], arrays: Mapping[str, Column]) -> int:
    count: int | None = None
    for name, tensor in by_name.items():
        if (own := arrays.get(name)) and not has_texts(tensor.datatype, tensor.shape):
            if not tensor.shape or not own.takes(tensor.shape[1:]):
                what = f"The input {name!r} is not of the shape of its column."
                raise refuse(
                    what, field=name, given=f"shape {list(tensor.shape)}", accepted=f"shape {tensor_shape(own)}"
                )
        elif len(tensor.shape) not in (1, 2) or tensor.shape[1:] not in ((), (1,)):
            accepted = "shape [n] or [n, 1], one row an element"
            what = f"The input {name!r} is no column."
            raise refuse(what, field=name, given=f"shape {list(tensor.shape)}", accepted=accepted)
        if count is not None and tensor.shape[0] != count:
            what = f"The input {name!r} has not as many rows as those before it."
            raise refuse(what, field=name, given=f"{tensor.shape[0]} rows", accepted=f"{count} rows")
        count = tensor.shape[0]
    if not count or count > MOST_ROWS:
        given = "no row" if not count else f"{count} rows"
        raise refuse("There is no row, or too many.", field=None, given=given, accepted=f"1 to {MOST_ROWS} rows")
    return count


def _column(column: Column, tensor: Tensor | None, count: int) -> np.ndarray[Any, Any]:
    if tensor is None:
        if column.required:
            kind = datatype_of(column) + (f" of shape {tensor_shape(column)}" if column.shape else "")
            raise refuse(f"The input {column.name!r} is missing.", field=column.name, accepted=f"a tensor of {kind}")
        return column.lacking(count)
    values = tensor.values
    if column.kind == "array":
        return read_arrays(column, values, (count, *tensor.shape[1:]), is_text=has_texts(tensor.datatype, tensor.shape))
    if column.kind == "boolean" and tensor.datatype == "matrix" and np.isin(values, (0, 1)).all():
        return values.astype(np.bool_).astype(column.dtype)
    if column.kind in ("number", "integer") and values.dtype.kind in "iuf":
        numbers = values.astype(np.float64)
        known = numbers[~np.isnan(numbers)] if column.nullable else numbers  # NaN is how this protocol writes null
        is_whole = column.kind == "number" or bool((known == np.floor(known)).all())
        if is_whole and (np.abs(known) <= LARGEST_NUMBER).all():
            return numbers.astype(column.dtype, copy=False)
    parsed = [column.parse(_null(value, column), row) for row, value in enumerate(values.tolist())]
    return np.array(parsed, dtype=column.dtype)


def _null(value: Json, column: Column) -> Json:
    return None if column.nullable and type(value) is float and math.isnan(value) else value
