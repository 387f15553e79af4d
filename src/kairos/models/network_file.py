"""A network as bytes: weights in the format of safetensors, and beside them what is computed, operation by operation.

It holds numbers and names, no code. PyTorch's own archive (``.pt2``) is not used: loading one unpickles what it likes,
and takes the names of functions from the file. This module loads no PyTorch; ``network`` does.

The list of operations is JSON in the header's ``__metadata__``, so that every reader of safetensors reads the weights.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kairos.errors import PackageError
from kairos.models.mlmodel import MODEL_FILES
from kairos.values import Json

__all__ = ["Named", "NetworkFile", "Operation", "Ref", "Weight", "read_network", "write_network"]

NETWORK_FORMATS = (1, 2)
"""Of one matrix; of arrays that differ in length."""
_KEY = "kairos.network"
_ALIGNED = 64
"""Where the weights begin, in bytes: a processor reads whole lines of its cache."""

_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""Of one number, in bytes, by safetensors' name of the data type."""

_NAMED = ("dtype", "layout", "device", "memory_format")


class Ref(NamedTuple):
    """The result of an operation, a weight, or the input, by its name."""

    name: str


class Named(NamedTuple):
    """A constant of PyTorch, such as the data type ``float32``."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One tensor of numbers."""

    dtype: str
    """Safetensors' own name, such as ``F32``."""
    shape: tuple[int, ...]
    data: np.ndarray[Any, Any]
    """Its bytes, shape (size,), uint8; a view of the file, not a copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One step of the computation: ``result = function(*args, **options)``."""

    result: str
    function: str
    """``aten.NAME.OVERLOAD``, or a function on whole numbers such as ``mul``."""
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFile:
    """What the file holds."""

    width: int
    """Columns of the input, float64 of shape (n, width), whose name is ``X``; 0 where ``shape`` says what it is."""
    operations: tuple[Operation, ...]
    answer: str
    """Name of the result that is the answer."""
    weights: Mapping[str, Weight]
    shape: tuple[int, ...] = ()
    """Of a row's array, with ``FREE`` where rows differ; the input is of shape (n, *shape), n rows of one shape."""


def write_network(network: NetworkFile) -> bytes:
    """Returns the file; equal bytes for equal networks."""
    plan = {
        "format": NETWORK_FORMATS[bool(network.shape)],
        "width": network.width,
        "answer": network.answer,
        "operations": [
            [o.result, o.function, [_plain(a) for a in o.args], {k: _plain(v) for k, v in o.options.items()}]
            for o in network.operations
        ],
    }
    if network.shape:
        plan["shape"] = list(network.shape)
    header: dict[str, Json] = {"__metadata__": {_KEY: json.dumps(plan, sort_keys=True, separators=(",", ":"))}}
    # Without holes, as the format asks; the widest types come first, so that each begins at a multiple of its size.
    place, parts = 0, []
    for name, weight in sorted(network.weights.items(), key=lambda item: (-_SIZES[item[1].dtype], item[0])):
        end = place + weight.data.nbytes
        header[name] = {"dtype": weight.dtype, "shape": list(weight.shape), "data_offsets": [place, end]}
        parts.append(weight.data.tobytes())
        place = end
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-(len(head) + 8) % _ALIGNED)
    return b"".join([struct.pack("<Q", len(head)), head, *parts])


def read_network(data: bytes | memoryview | np.ndarray[Any, Any]) -> NetworkFile:
    """Reads what ``write_network`` wrote; the weights are views of ``data``.

    Raises:
        PackageError: the bytes are not such a file.
    """
    file = MODEL_FILES["torch"]
    try:
        whole = np.frombuffer(data, dtype=np.uint8)
        (size,) = struct.unpack("<Q", whole[:8].tobytes())
        header = json.loads(whole[8 : 8 + size].tobytes())
        plan = json.loads(header.pop("__metadata__")[_KEY])
        if plan["format"] not in NETWORK_FORMATS:
            known = " and ".join(map(str, NETWORK_FORMATS))
            raise ValueError(f"format {plan['format']!r}; this version of Kairos reads {known}")
        body = whole[8 + size :]
        return NetworkFile(
            width=int(plan["width"]),
            answer=str(plan["answer"]),
            operations=tuple(_operation(item) for item in plan["operations"]),
            weights={name: _weight(name, entry, body) for name, entry in header.items()},
            shape=tuple(map(int, plan.get("shape", ()))),
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error) as error:
        raise PackageError(
            f"The file {file!r} of a model package cannot be read.",
            given=f"{type(error).__name__}: {error}",
            file=file,
        ) from error


def _weight(name: str, entry: Mapping[str, Json], body: np.ndarray[Any, Any]) -> Weight:
    start, end = entry["data_offsets"]
    shape = tuple(int(size) for size in entry["shape"])
    size = math.prod(shape) * _SIZES[entry["dtype"]]
    if min((start, *shape), default=0) < 0 or end - start != size or end > len(body):
        raise ValueError(f"the weight {name!r} lies outside of the file, or is of another size")
    return Weight(dtype=entry["dtype"], shape=shape, data=body[start:end])


def _operation(item: Sequence[Json]) -> Operation:
    result, function, args, options = item
    return Operation(
        result=str(result),
        function=str(function),
        args=tuple(_read(arg) for arg in args),
        options={str(key): _read(value) for key, value in options.items()},
    )


def _plain(value: Any) -> Json:
    if isinstance(value, Ref):
        return {"ref": value.name}
    if isinstance(value, Named):
        return {value.kind: value.name}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _read(value: Json) -> Any:
    if isinstance(value, list):
        return [_read(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, name),) = value.items()
    if kind == "float":
        return float(name)
    if kind == "ref":
        return Ref(str(name))
    if kind not in _NAMED:
        raise ValueError(f"an argument of the kind {kind!r}")
    return Named(kind, str(name))
