"""The Open Inference Protocol V2 over HTTP: JSON, and JSON with binary tensors behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from kairos.errors import InputRefused, KairosError, UsageError, did_you_mean
from kairos.models.outputs import ClassName
from kairos.models.signature import Signature
from kairos.serving.body import read_json, read_name, refuse
from kairos.serving.protocols.tensors import Tensor, datatype_of, from_bytes, from_json, rows_of, to_bytes
from kairos.serving.rows import Answers, Intake, Rows, Told, Written
from kairos.serving.wire_errors import message_of
from kairos.values import Json

__all__ = [
    "OUTPUTS",
    "Inference",
    "Wanted",
    "metadata",
    "outputs_of",
    "read_parameters",
    "read_wanted",
    "refusal_text",
    "tells",
]

HEADER_LENGTH = "inference-header-content-length"
"""How many bytes of a body are JSON; binary tensors follow."""

OUTPUTS: Mapping[str, str] = {"prediction": "FP64", "prediction_id": "BYTES", "version": "INT64", "guard": "BYTES"}
"""What every model gives, with its data type; ``guard`` is empty where an output was left as it was.

One of several outputs gives ``prediction.NAME`` for each of their names in place of ``prediction``, and
one that ranks ``rank`` as well."""

_ENCODER = msgspec.json.Encoder()
_PREDICTION = "prediction."
_PARTS = ("id", "parameters", "inputs", "outputs")
_IGNORED = ("model_name", "model_version")  # KServe's client repeats in the body what the path says


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One output that a request asks for."""

    name: str
    datatype: str
    is_binary: bool = False


class Inference:
    """The codec of ``/v2/models/MODEL/infer``; ``Rows.form`` holds the outputs that are ``Wanted``."""

    def decode(self, headers: Mapping[str, str], body: bytes, intake: Intake) -> Rows:
        """See ``Codec``."""
        head, binary = _split(headers, body)
        request = read_json(head)
        known = {*_PARTS, *_IGNORED}
        if not isinstance(request, dict) or not request.keys() <= known:
            given = None if not isinstance(request, dict) else ", ".join(sorted(request.keys() - known))[:100]
            what = "The request has not the protocol's form."
            raise refuse(what, field=None, given=given, accepted=", ".join(_PARTS))
        parameters = read_parameters(request.get("parameters"), "the request")
        rows = rows_of(_inputs(request.get("inputs"), binary), intake, parameters=parameters)
        request_id = request.get("id")
        if not isinstance(request_id, str | None):
            raise refuse("The id of the request is no text.", field="id", given=type(request_id).__name__)
        return Rows(
            columns=rows.columns,
            count=rows.count,
            entities=rows.entities,
            times=rows.times,
            lists=rows.lists,
            items=rows.items,
            request_id=None if not request_id else read_name("id", request_id, None),
            parameters=parameters,
            form=read_wanted(request.get("outputs"), parameters, tells(intake)),
        )

    def encode(self, rows: Rows, answers: Answers) -> Written:
        """See ``Codec``."""
        assert isinstance(rows.form, tuple)
        told: list[Json] = []
        binary: list[bytes] = []
        for wanted, tensor in zip(rows.form, outputs_of(answers, rows.form), strict=True):
            output = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
            if wanted.is_binary:
                binary.append(to_bytes(tensor))
                told.append({**output, "parameters": {"binary_data_size": len(binary[-1])}})
            else:
                told.append({**output, "data": tensor.values.tolist()})
        body: dict[str, Json] = {"model_name": answers.model, "model_version": str(answers.versions[0])}
        if rows.request_id is not None:
            body["id"] = rows.request_id
        if not answers.captured:
            body["parameters"] = {"captured": False}
        head = _ENCODER.encode({**body, "outputs": told})
        if not binary:
            return Written(headers={"content-type": "application/json"}, body=head)
        headers = {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
        return Written(headers=headers, body=b"".join([head, *binary]))

    def refuse(self, error: KairosError) -> Written:
        """See ``Codec``: ``{"error": text}``; what a client sent wrong is 400, as other servers of the protocol say."""
        headers = {"content-type": "application/json"}
        if error.http_status == 503:
            headers["retry-after"] = "1"
        status = 400 if isinstance(error, InputRefused) else error.http_status
        return Written(headers=headers, body=_ENCODER.encode({"error": refusal_text(error)}), status=status)


def refusal_text(error: KairosError) -> str:
    """What failed, was given, is accepted and helps, in one text: the protocol has no place of its own for each."""
    accepted = None if error.accepted is None else f"Accepted: {error.accepted}."
    return " ".join(part for part in (message_of(error)[:500], accepted, error.hint) if part)


def _split(headers: Mapping[str, str], body: bytes) -> tuple[bytes, bytes]:
    length = headers.get(HEADER_LENGTH)
    if length is None:
        return body, b""
    if not length.isascii() or not length.isdigit() or len(length) > 12 or int(length) > len(body):
        accepted = f"a number up to the {len(body)} bytes of the body"
        raise UsageError(f"The header {HEADER_LENGTH!r} cannot be read.", given=length[:40], accepted=accepted)
    return body[: int(length)], body[int(length) :]


def read_parameters(parameters: Json, what: str) -> Mapping[str, Json]:
    """Parameters of a request or of a tensor; none is none.

    Raises:
        InputRefused: they are no object, or ask for shared memory.
    """
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise refuse(f"The parameters of {what} are no object.", field="parameters", accepted='{"name": value}')
    if any(name.startswith("shared_memory") for name in parameters):
        raise refuse("Shared memory is not served.", field="parameters", accepted="data in the request")
    return parameters


def _inputs(inputs: Json, binary: bytes) -> list[Tensor]:
    if not isinstance(inputs, list) or not inputs or not all(isinstance(item, dict) for item in inputs):
        raise refuse("The inputs are no list of tensors.", field="inputs", accepted="a list of at least one tensor")
    if len(inputs) > 10_000:
        raise refuse("There are too many inputs.", field="inputs", accepted="one a column")
    tensors, at = [], 0
    for item in inputs:
        name = item.get("name")
        if not isinstance(name, str):
            raise refuse("An input has no name.", field="inputs", accepted='"name": text')
        size = read_parameters(item.get("parameters"), repr(name)).get("binary_data_size")
        if size is None:
            tensors.append(from_json(name, item.get("datatype"), item.get("shape"), item.get("data")))
            continue
        if type(size) is not int or not 0 <= size <= len(binary) - at:
            left = f"a number up to the {len(binary) - at} bytes that are left"
            raise refuse(f"The binary_data_size of {name!r} cannot be.", field=name, accepted=left)
        tensors.append(from_bytes(name, item.get("datatype"), item.get("shape"), binary[at : at + size]))
        at += size
    if at < len(binary):
        raise refuse("There are bytes that no input names.", field="inputs", given=f"{len(binary) - at} bytes")
    return tensors


def tells(intake: Intake) -> Mapping[str, str]:
    """The names of what a model gives, with their data types."""
    outputs = intake.signature.outputs
    if not outputs:
        return OUTPUTS if intake.rank_within is None else {**OUTPUTS, "rank": "INT64"}
    fields = [field for output in outputs for field in output.fields]
    own = {_PREDICTION + name: "BYTES" if is_text else "FP64" for name, is_text in fields}
    return own | {name: datatype for name, datatype in OUTPUTS.items() if name != "prediction"}


def read_wanted(outputs: Json, parameters: Mapping[str, Json], known: Mapping[str, str]) -> tuple[Wanted, ...]:
    """Which outputs a request asks for; all if it does not say.

    Raises:
        InputRefused: it asks for what no model gives, or for something twice.
    """
    is_binary = parameters.get("binary_data_output") is True
    if outputs is None or outputs == []:
        return tuple(Wanted(name=name, datatype=kind, is_binary=is_binary) for name, kind in known.items())
    if not isinstance(outputs, list) or not all(isinstance(item, dict) for item in outputs):
        raise refuse("The outputs are no list of tensors.", field="outputs", accepted='[{"name": "prediction"}]')
    found = []
    for item in outputs:
        name = item.get("name")
        check_output(name, known)
        wish = read_parameters(item.get("parameters"), repr(name)).get("binary_data", is_binary)
        found.append(Wanted(name=name, datatype=known[name], is_binary=wish is True))
    if len({wanted.name for wanted in found}) < len(found):
        raise refuse("An output is asked for more than once.", field="outputs", accepted="each output once")
    return tuple(found)


def check_output(name: Json, known: Mapping[str, str]) -> None:
    """Refuses the name of an output that the model does not give."""
    if not isinstance(name, str) or name not in known:
        given = repr(name[:40]) if isinstance(name, str) else type(name).__name__
        hint = did_you_mean(name, known) if isinstance(name, str) else None
        accepted = ", ".join(list(known)[:50])
        raise refuse("There is no such output.", field="outputs", given=given, accepted=accepted, hint=hint)


def outputs_of(answers: Answers, wanted: Sequence[Wanted]) -> list[Tensor]:
    """The outputs of that name, each of shape [rows]. What a row does not have is NaN, or no text.

    Rows of one request may be answered by versions of other outputs.
    """
    values: dict[str, Sequence[Any]] = {
        "prediction": answers.outputs,
        "prediction_id": answers.ids,
        "version": answers.versions,
        "guard": [action or "" for action in answers.actions],
        "rank": answers.ranks or [],
    }
    dtypes = {"FP64": np.float64, "INT64": np.int64, "BYTES": np.object_}
    found = []
    for each in wanted:
        column = values.get(each.name)
        if column is None or (each.name == "prediction" and any(isinstance(one, dict) for one in column)):
            name, nothing = each.name.removeprefix(_PREDICTION), "" if each.datatype == "BYTES" else math.nan
            column = [_of_row(told, name, nothing) for told in answers.outputs]
        array: np.ndarray[Any, Any] = np.array(column, dtype=dtypes[each.datatype])
        found.append(Tensor(name=each.name, datatype=each.datatype, shape=(len(array),), values=array))
    return found


def _of_row(told: Told, name: str, nothing: float | str) -> ClassName:
    if isinstance(told, dict):
        return told.get(name, nothing)
    return told if name == "prediction" else nothing


def metadata(model: str, versions: Sequence[int], intake: Intake) -> Json:
    """What the protocol tells of a model: every column is a tensor of shape [rows]."""
    return {
        "name": model,
        "versions": [str(number) for number in versions],
        "platform": "kairos",
        "inputs": [*_columns(intake.signature), *_about(intake)],
        "outputs": [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in tells(intake).items()],
    }


def _columns(signature: Signature) -> list[Json]:
    return [
        {"name": column.name, "datatype": datatype_of(column), "shape": [-1, *column.shape]}
        | ({} if column.required else {"parameters": {"optional": True}})
        for column in signature.columns
    ]


def _about(intake: Intake) -> list[Json]:
    optional = {"datatype": "BYTES", "shape": [-1], "parameters": {"optional": True}}
    return [{"name": name, **optional} for name in intake.beside]
