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
        secret: Any = None if password is None else password.encode()  # it hands it on, and bytes are wanted there
        with tempfile.TemporaryDirectory(prefix="kairos-sign-") as place:
            bundle = Path(place) / "bundle.sig"
            config = signing.Config().set_hashing_config(_all_files())
            try:
                config.use_elliptic_key_signer(private_key=key, password=secret)
            except (OSError, ValueError, TypeError, AttributeError) as error:
                raise _no_key(key, "private", error) from None
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
            try:
                config.use_elliptic_key_verifier(public_key=key)
            except (OSError, ValueError, TypeError, AttributeError) as error:
                raise _no_key(key, "public", error) from None
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
        try:
            public = serialization.load_pem_public_key(key.read_bytes())
        except (OSError, ValueError) as error:
            raise _no_key(key, "public", error) from None
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


def _no_key(key: Path, kind: str, error: Exception) -> UsageError:
    why = "it is not there" if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}"
    return UsageError(
        f"{key.name!r} cannot be used as a {kind} key: {why}.",
        accepted="an elliptic key (P-256, P-384 or P-521) in PEM",
        hint=_KEY_HINT,
    )
