"""Bytes that only one key opens: AES-256-GCM with a random nonce, bound to what they belong to.

``cryptography`` is loaded with the first seal; it is an extra (``pip install 'kairos-ml[privacy]'``).
"""

from __future__ import annotations

import secrets
from typing import Any

from kairos.errors import AdapterMissing

__all__ = ["new_key", "seal", "unseal"]

_NONCE_BYTES = 12


def new_key() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(32)


def seal(key: bytes, data: bytes, context: bytes) -> bytes:
    """Nonce, text and tag: 28 bytes longer than ``data``.

    A nonce drawn at random may be drawn twice: seal no more than some billion times with one key.

    Args:
        key: 32 bytes.
        data: What nobody without the key may read.
        context: What the bytes belong to; it is not kept, and must be given again.

    References:
        NIST SP 800-38D, section 8.3, for the number of seals.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + bytes(_cipher(key).encrypt(nonce, data, context))


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes | None:
    """What was sealed, or ``None`` if key, bytes or context are not what they were."""
    cipher = _cipher(key)
    from cryptography.exceptions import InvalidTag

    try:
        return bytes(cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context))
    except (InvalidTag, ValueError):  # ValueError: too short for a nonce
        return None


def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise AdapterMissing(
            "The library 'cryptography' is not installed.", hint="Type: pip install 'kairos-ml[privacy]'"
        ) from error
    return AESGCM(key)
