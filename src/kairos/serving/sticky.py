"""Who is answered by the challenger, and what a prediction is called. Both follow from the request alone."""

from __future__ import annotations

import hashlib

__all__ = ["is_in_share", "prediction_id"]

_SPAN = float(2**64)


def is_in_share(salt: str, key: str, share: float) -> bool:
    """Whether the request with this routing key goes to the challenger.

    The key's place is SHA-256 of salt and key, read as a number in [0, 1). It depends on nothing else, so a key stays
    with its version over time, restarts and instances, and a growing share only ever adds keys.

    Args:
        salt: Differs from trial to trial, so that the same people are not the first every time.
        key: The entity, or else the request id, or else the prediction id.
        share: The challenger's share of keys, in [0, 1].

    Examples:
        >>> is_in_share("t1", "ann", 1.0), is_in_share("t1", "ann", 0.0)
        (True, False)
    """
    place = hashlib.sha256(f"{len(salt)}:{salt}:{key}".encode()).digest()[:8]
    return int.from_bytes(place, "big") < share * _SPAN


def prediction_id(seed: str, model: str, request: str) -> str:
    """The repeatable id that a replay gives to a prediction: the same seed and request, the same id.

    Examples:
        >>> prediction_id("7", "demand", "1")
        'p4c94facae233bd58cfe8b928'
    """
    text = f"{seed}\0{model}\0{request}"
    return "p" + hashlib.sha256(text.encode()).hexdigest()[:24]
