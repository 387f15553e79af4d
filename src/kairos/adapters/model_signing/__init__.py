"""Signatures of packages by OpenSSF's ``model-signing``: elliptic keys in files, nothing is asked online.

The only place that imports ``model_signing``. What it writes is a bundle of Sigstore, which its own command takes too:
``model_signing verify key``.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from model_signing import hashing, signing, verifying

from kairos.errors import PackageError, UsageError

__all__ = ["ModelSigning", "open_signer"]

_DIFFERS = re.compile(r"Hash mismatch for '([^']+)'")
_NAMES = re.compile(r"(Extra|Missing) files (?:found )?in model '[^']*': ([^'\"\]]+)")
_KEY_HINT = (
    "Make a pair: openssl ecparam -name prime256v1 -genkey -noout -out team.key; openssl ec -in team.key -pubout "
    "-out team.pub"
)
_PASSWORD_HINT = "Set KAIROS_SIGNING_PASSWORD to its password."
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


def open_signer() -> ModelSigning:
    """What the entry point names."""
    return ModelSigning()


class ModelSigning:
    """Signs folders and verifies signatures; keeps what ``models.ports.Signer`` promises."""

    def sign(self, folder: Path, key: Path, *, password: str | None = None) -> bytes:
        """Returns the signature of every file of a folder.

        Raises:
            UsageError: the key cannot be read, or is of a kind that the library does not sign with.
        """
        secret: Any = _password_of(key, password)  # the library hands it on, and bytes are wanted there
        with tempfile.TemporaryDirectory(prefix="kairos-sign-") as place:
            bundle = Path(place) / "bundle.sig"
            config = signing.Config().set_hashing_config(_all_files())
            try:
                config.use_elliptic_key_signer(private_key=key, password=secret)
            except (OSError, ValueError, TypeError, AttributeError) as error:  # of a key that is read above
                raise _no_key(key, "private", f"{type(error).__name__}: {error}") from None
            config.sign(folder, bundle)
            return bundle.read_bytes()

    def verify(self, folder: Path, signature: bytes, key: Path) -> None:
        """Returns if a key signed every file of the folder as it is, and no other.

        Raises:
            UsageError: the key cannot be read.
            PackageError: another key signed it, the signature is damaged, or a file is not the one that was signed; it
                is named.
        """
        with tempfile.TemporaryDirectory(prefix="kairos-sign-") as place:
            bundle = Path(place) / "bundle.sig"
            bundle.write_bytes(signature)
            config = verifying.Config().set_hashing_config(_all_files())
            _public(key)
            try:
                config.use_elliptic_key_verifier(public_key=key)
            except (OSError, ValueError, TypeError, AttributeError) as error:
                raise _no_key(key, "public", f"{type(error).__name__}: {error}") from None
            try:
                config.verify(folder, bundle)
            except Exception as error:  # the library raises whatever its own libraries do
                what = _told(str(error)) or type(error).__name__
                raise PackageError(
                    f"A package's signature does not hold for the key {key.name!r}.", given=what
                ) from error

    def name_of(self, key: Path) -> str:
        """The SHA-256 of a public key, in hexadecimals; of a private one, that of its public half is not looked for.

        Raises:
            UsageError: the key cannot be read.
        """
        public = _public(key)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return hashlib.sha256(public.public_bytes(serialization.Encoding.PEM, form)).hexdigest()


def _told(text: str) -> str:
    """What the library says of a difference, without the digests that it prints as Python does."""
    text = text.replace("\\'", "'")
    said = [f"other bytes in {name}" for name in _DIFFERS.findall(text)]
    said += [f"{how.lower()} files: {names}" for how, names in _NAMES.findall(text)]
    return "; ".join(said) or text


def _all_files() -> hashing.Config:
    """Nothing is left out, unlike the library's default, which passes over what belongs to Git."""
    return hashing.Config().set_ignored_paths(paths=(), ignore_git_paths=False)


def _password_of(key: Path, password: str | None) -> bytes | None:
    """What opens a private key, ``None`` if it is open: a password that is said for another key does no harm.

    Raises:
        UsageError: it is no private key that the library signs with, or the password does not open it.
    """
    data = _read(key, "private")
    secret = None if password is None else password.encode()
    is_closed = b"ENCRYPTED" in data
    if is_closed and secret is None:
        raise _no_key(key, "private", "it is closed, and no password is said", _PASSWORD_HINT)
    secret = secret if is_closed else None
    try:
        private = serialization.load_pem_private_key(data, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if is_closed:
            raise _no_key(key, "private", "the password does not open it", _PASSWORD_HINT) from None
        raise _no_key(key, "private", _unread(data, "PUBLIC", error)) from None
    _check_curve(key, "private", private)
    return secret


def _public(key: Path) -> Any:
    data = _read(key, "public")
    try:
        public = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(key, "public", _unread(data, "PRIVATE", error)) from None
    _check_curve(key, "public", public)
    return public


def _read(key: Path, kind: str) -> bytes:
    try:
        return key.read_bytes()
    except OSError as error:
        why = "it is not there" if isinstance(error, FileNotFoundError) else str(error.strerror).lower()
        raise _no_key(key, kind, why) from None


def _unread(data: bytes, other: str, error: Exception) -> str:
    """Why bytes are no key of one kind."""
    if b"-----BEGIN" not in data:
        return "it holds no PEM"
    if f" {other} KEY-----".encode() in data or f"BEGIN {other} KEY-----".encode() in data:
        return f"it holds the {other.lower()} one"
    return str(error).partition(".")[0]


def _check_curve(key: Path, kind: str, found: Any) -> None:
    name = getattr(getattr(found, "curve", None), "name", None)
    if name not in _CURVES:
        other = re.sub(r"(Private|Public)Key$", "", type(found).__name__.strip("_"))
        raise _no_key(key, kind, f"it is of {other}" if name is None else f"its curve is {name}")


def _no_key(key: Path, kind: str, why: str, hint: str = _KEY_HINT) -> UsageError:
    return UsageError(
        f"{key.name!r} cannot be used as a {kind} key: {why}.",
        accepted="an elliptic key (P-256, P-384 or P-521) in PEM",
        hint=hint,
    )
