"""The Open Inference Protocol V2 in protobuf messages, as gRPC carries them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kairos.errors import KairosError
from kairos.serving.body import read_name, refuse
from kairos.serving.protocols.inference import outputs_of, read_parameters, read_wanted, refusal_text, tells
from kairos.serving.protocols.messages import message
from kairos.serving.protocols.tensors import DATATYPES, Tensor, from_bytes, read_shape, rows_of, to_bytes, wrong_count
from kairos.serving.rows import Answers, Intake, Rows, Written
from kairos.values import Json

__all__ = ["InferenceMessage"]

_CONTENTS: Mapping[str, tuple[str, str]] = {
    "BOOL": ("bool_contents", "?"),
    **dict.fromkeys(("INT8", "INT16", "INT32"), ("int_contents", "i8")),
    "INT64": ("int64_contents", "i8"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), ("uint_contents", "u8")),
    "UINT64": ("uint64_contents", "u8"),
    "FP32": ("fp32_contents", "f4"),
    "FP64": ("fp64_contents", "f8"),
    "BYTES": ("bytes_contents", "O"),
}
"""The field that holds a data type's elements, and what numpy reads them as; FP16 has none, it is raw."""


class InferenceMessage:
    """The codec of one ``ModelInfer`` call, whose message was read already, because the model's name is in it."""

    def __init__(self, request: Any) -> None:
        self._request = request

    def decode(self, headers: Mapping[str, str], body: bytes, intake: Intake) -> Rows:
        """See ``Codec``; headers and body are not looked at."""
        request = self._request
        parameters = read_parameters(_values(request.parameters), "the request")
        rows = rows_of(_tensors(request), intake, parameters=parameters)
        outputs: Json = [{"name": each.name, "parameters": _values(each.parameters)} for each in request.outputs]
        return Rows(
            columns=rows.columns,
            count=rows.count,
            entities=rows.entities,
            times=rows.times,
            lists=rows.lists,
            items=rows.items,
            request_id=read_name("id", request.id, None) if request.id else None,
            parameters=parameters,
            form=read_wanted(outputs, {}, tells(intake)),
        )

    def encode(self, rows: Rows, answers: Answers) -> Written:
        """See ``Codec``; tensors are raw if those of the request were."""
        assert isinstance(rows.form, tuple)
        is_raw = bool(self._request.raw_input_contents)
        tensors = outputs_of(answers, rows.form)
        answer = message(
            "ModelInferResponse",
            model_name=answers.model,
            model_version=str(answers.versions[0]),
            id=rows.request_id or "",
            outputs=[_output(tensor, is_raw=is_raw) for tensor in tensors],
            raw_output_contents=[to_bytes(tensor) for tensor in tensors] if is_raw else [],
        )
        if not answers.captured:
            answer.parameters["captured"].bool_param = False
        return Written(headers={"content-type": "application/grpc"}, body=answer.SerializeToString())

    def refuse(self, error: KairosError) -> Written:
        """See ``Codec``: the text that stands beside gRPC's status."""
        body = refusal_text(error).encode()
        return Written(headers={"content-type": "text/plain; charset=utf-8"}, body=body, status=error.http_status)


def _values(parameters: Mapping[str, Any]) -> dict[str, Json]:
    chosen = {name: (each, each.WhichOneof("parameter_choice")) for name, each in parameters.items()}
    return {name: None if kind is None else getattr(each, kind) for name, (each, kind) in chosen.items()}


def _tensors(request: Any) -> list[Tensor]:
    inputs, raw = request.inputs, request.raw_input_contents
    if not inputs or len(inputs) > 10_000:
        given = f"{len(inputs)} inputs"
        raise refuse("There is no input, or too many.", field="inputs", given=given, accepted="one a column")
    for item in inputs:
        read_parameters(_values(item.parameters), repr(item.name))
    if not raw:
        return [_from_contents(item) for item in inputs]
    if len(raw) != len(inputs) or any(item.HasField("contents") for item in inputs):
        accepted = "raw contents for every input and nothing else, or none"
        given = f"{len(raw)} for {len(inputs)} inputs"
        raise refuse("The raw contents do not fit the inputs.", field="inputs", given=given, accepted=accepted)
    return [from_bytes(item.name, item.datatype, [*item.shape], data) for item, data in zip(inputs, raw, strict=True)]


def _from_contents(item: Any) -> Tensor:
    datatype, shape, count = read_shape(item.name, item.datatype, [*item.shape])
    field, wide = _CONTENTS.get(datatype, (None, ""))
    if field is None:
        what = f"{item.name!r} is {datatype}, which has no contents."
        raise refuse(what, field=item.name, accepted="its bytes in raw_input_contents")
    for found, _ in item.contents.ListFields():
        if found.name != field:
            what = f"The contents of {item.name!r} are not where those of {datatype} are."
            raise refuse(what, field=item.name, given=found.name, accepted=field)
    elements = getattr(item.contents, field)
    if len(elements) != count:
        raise wrong_count(item.name, f"{len(elements)} elements", shape)
    if datatype == "BYTES":
        values = np.array([_text(item.name, row, each) for row, each in enumerate(elements)], dtype=np.object_)
    else:
        read = np.array(elements, dtype=wide)
        with np.errstate(over="ignore"):
            values = read.astype(DATATYPES[datatype])
        if read.dtype.kind in "iu" and not (values == read).all():
            row = int(np.argmin(values == read))
            raise refuse(f"Element {row} of {item.name!r} is no {datatype}.", field=item.name, given=str(read[row]))
    return Tensor(name=item.name, datatype=datatype, shape=shape, values=values)


def _text(name: str, row: int, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise refuse(f"Element {row} of {name!r} is not UTF-8.", field=name, row=row) from None


def _output(tensor: Tensor, *, is_raw: bool) -> Any:
    found = message(
        "ModelInferResponse.InferOutputTensor", name=tensor.name, datatype=tensor.datatype, shape=tensor.shape
    )
    if not is_raw:
        values = tensor.values.tolist()
        field = _CONTENTS[tensor.datatype][0]
        texts = [text.encode() for text in values] if tensor.datatype == "BYTES" else values
        getattr(found.contents, field).extend(texts)
    return found
