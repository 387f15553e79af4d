"""Records of the prediction log as bytes in a spool, and back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kairos.errors import StoreError, UsageError
from kairos.store.batch import Predictions
from kairos.store.records import EntityLabel, Label, Prediction, Record

__all__ = ["decode", "decode_together", "encode"]

# The first byte of a payload says what the array behind it holds; a new format gets a new letter, so old spools stay
# readable.
_PREDICTIONS, _TOGETHER, _LABELS, _ENTITY_LABELS = b"p", b"c", b"l", b"e"
_ENCODER = msgspec.msgpack.Encoder()
_PREDICTIONS_DECODER = msgspec.msgpack.Decoder(list[Prediction])
_TOGETHER_DECODER = msgspec.msgpack.Decoder(Predictions)
_LABELS_DECODER = msgspec.msgpack.Decoder(list[Label])
_ENTITY_LABELS_DECODER = msgspec.msgpack.Decoder(list[EntityLabel])


def encode(records: Sequence[Record] | Predictions) -> bytes:
    """Writes records of one kind, at least one, as one payload of the spool.

    Raises:
        UsageError: a field holds what cannot be stored, such as an integer of more than 64 bits.
    """
    if isinstance(records, Predictions):
        return _TOGETHER + _encode_one(records)
    kinds = {Prediction: _PREDICTIONS, Label: _LABELS, EntityLabel: _ENTITY_LABELS}
    kind = kinds[type(records[0])]
    return kind + _ENCODER.encode([msgspec.Raw(_encode_one(record)) for record in records])


def _encode_one(record: Record | Predictions) -> bytes:
    try:
        return _ENCODER.encode(record)
    except (OverflowError, TypeError, ValueError) as error:
        name = getattr(record, "id", None) or getattr(record, "prediction_id", None) or getattr(record, "key", None)
        raise UsageError(f"The record {name!r} cannot be written to the prediction log.", given=str(error)) from error


def decode(payload: bytes) -> Sequence[Record]:
    """Reads a payload of the spool, row by row; see ``decode_together``."""
    records = decode_together(payload)
    return list(records) if isinstance(records, Predictions) else records


def decode_together(payload: bytes) -> Sequence[Record] | Predictions:
    """Reads a payload of the spool as it was written, by row or by column; times come back in UTC.

    Raises:
        StoreError: the payload is sound, but of a format that this release does not know, or a record is malformed.
    """
    kind, body = payload[:1], memoryview(payload)[1:]
    try:
        if kind == _PREDICTIONS:
            return _PREDICTIONS_DECODER.decode(body)
        if kind == _TOGETHER:
            return _TOGETHER_DECODER.decode(body).checked()
        if kind == _LABELS:
            return _LABELS_DECODER.decode(body)
        if kind == _ENTITY_LABELS:
            return _ENTITY_LABELS_DECODER.decode(body)
    except (msgspec.MsgspecError, UsageError) as error:
        raise StoreError("Records of the prediction log cannot be read.", given=str(error)) from error
    raise StoreError(
        "Records of the prediction log have an unknown format.", given=kind, accepted="b'p', b'c', b'l' or b'e'"
    )
