"""The Open Inference Protocol's messages in protobuf, made from their descriptor in a pool of their own.

So there is no generated code that a newer protobuf might refuse, and another library that brings the same messages,
such as a client, can be loaded into the same process. Loading this module needs the extra ``grpc``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from kairos.errors import UsageError

__all__ = ["CALLS", "SERVICE", "message", "read_message"]

DESCRIPTOR = Path(__file__).with_name("open_inference.binpb")
"""What protoc makes of ``open_inference.proto``, which says how."""

SERVICE = "inference.GRPCInferenceService"


def _load() -> DescriptorPool:
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(DESCRIPTOR.read_bytes()).file:
        pool.Add(file)
    return pool


_POOL = _load()

CALLS: Mapping[str, type[Message]] = {
    method.name: GetMessageClass(method.input_type) for method in _POOL.FindServiceByName(SERVICE).methods
}
"""The service's calls, with the message that each takes."""


def message(name: str, /, **fields: object) -> Any:
    """A message of that name, such as ``ModelInferResponse``, with these fields."""
    return GetMessageClass(_POOL.FindMessageTypeByName(f"inference.{name}"))(**fields)


def read_message(call: str, data: bytes) -> Any:
    """The message that a call takes.

    Raises:
        UsageError: the bytes are none.
    """
    try:
        return CALLS[call].FromString(data)
    except DecodeError:
        raise UsageError("The request is no message of this call.", given=f"{len(data)} bytes") from None
