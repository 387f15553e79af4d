"""Keyed pseudonyms: the same person gets the same name, and nobody without the key can find out whose it is.

It is pseudonymisation in the sense of GDPR Art. 4(5), not anonymisation: who holds the key can test a guess.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from kairos.errors import UsageError

__all__ = ["load_or_make_key", "pseudonym"]

_KEY_BYTES = 32


def pseudonym(value: str, *, key: bytes, purpose: str) -> str:
    """A stable name for ``value``: HMAC-SHA-256 cut to 128 bits, hexadecimal.

    Args:
        value: What must not be kept as it is.
        key: At least 16 secret bytes, kept outside the data it protects.
        purpose: Pseudonyms of different purposes cannot be joined.

    Raises:
        UsageError: the key is too short.

    Examples:
        >>> pseudonym("ann@example.org", key=bytes(32), purpose="entity") == pseudonym(
        ...     "ann@example.org", key=bytes(32), purpose="entity")
        True
        >>> len(pseudonym("ann@example.org", key=bytes(32), purpose="entity"))
        32
    """
    if len(key) < 16:
        raise UsageError("A pseudonym needs a longer key.", given=f"{len(key)} bytes", accepted="16 bytes or more")
    message = f"{len(purpose)}:{purpose}:{value}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:32]


def load_or_make_key(path: Path) -> bytes:
    """The key kept in ``path``, readable by its owner only; made of random bytes the first time.

    Two processes that make it at once get the same key.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, secrets.token_bytes(_KEY_BYTES).hex().encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(draft, path)  # fails if somebody was faster: theirs is the key
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return _read(path)


def _read(path: Path) -> bytes:
    text = path.read_text().strip()
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UsageError(
            f"The key file {path.name} cannot be read.",
            accepted="hexadecimal digits",
            hint="Restore it from a backup; a new key makes old pseudonyms unjoinable.",
        ) from None
