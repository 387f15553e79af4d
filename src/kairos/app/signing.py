"""Signatures of packages: who vouches for the code in them. A signature is a fact, and its bytes are a blob."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path

from kairos.app.packages import open_stored
from kairos.app.project import Project
from kairos.errors import AdapterMissing, PackageError, SettingsError, UsageError
from kairos.models.package import FILES
from kairos.models.ports import Signer
from kairos.store.blobs import Store
from kairos.values import Digest

__all__ = ["PASSWORD", "PRIVATE_KEY", "Signed", "seal_of", "sign", "signed_if_needed", "verify"]

PRIVATE_KEY, PASSWORD = "KAIROS_SIGNING_KEY", "KAIROS_SIGNING_PASSWORD"
"""Variables of the environment: the file of the private key, and its password if it has one."""

_KIND = "package.signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signature that holds."""

    package: Digest
    signature: Digest
    """Of its bytes, in the store."""
    key: str
    """File of the public key that it holds for; from the project's folder, if it is there."""
    key_sha256: str
    by: str
    """Who signed."""
    seq: int
    """The ledger entry that tells of it."""


def sign(project: Project, package: Digest, *, key: Path | None = None) -> Digest:
    """Signs a package with a private key, and writes that down.

    Args:
        project: Whose store and ledger.
        package: In the store.
        key: File of the private key; ``None``: the one that ``KAIROS_SIGNING_KEY`` names.

    Returns:
        The digest of the signature.

    Raises:
        UsageError: there is no key, or it cannot be used.
        AdapterMissing: ``model-signing`` is not installed.
        PackageError: the package is not as it was written.
    """
    secret = key or _private_key()
    if secret is None:
        raise UsageError("No key to sign with is named.", hint=f"Type --key FILE, or set {PRIVATE_KEY} to the file.")
    with tempfile.TemporaryDirectory(prefix="kairos-package-") as place:
        folder = Path(place) / "package"
        project.store.checkout(package, folder)
        bundle = _signer().sign(folder, secret, password=os.environ.get(PASSWORD))
    signature = project.store.put_bytes(bundle)
    project.tell(_KIND, subject=package, body={"package": package, "signature": signature})
    return signature


def verify(project: Project, package: Digest, *, keys: Sequence[Path] = ()) -> Signed:
    """The newest signature of a package that holds for one of some keys.

    Args:
        project: Whose store and ledger.
        package: In the store; every file of it is read.
        keys: Files of public keys; none: those of the settings' ``[signing]``.

    Raises:
        PackageError: it is not signed, or by nobody who is trusted, or a file is not the one that was signed.
        SettingsError: no key is named anywhere.
        AdapterMissing: ``model-signing`` is not installed.
    """
    trusted = tuple(keys) or _trusted(project)
    found = list(project.ledger.read(kinds=(_KIND,), subject=package))[::-1]
    if not found:
        raise PackageError(
            "A package is not signed.", given=package, hint="Type: kairos models sign MODEL@N --key team.key"
        )
    refused: list[PackageError] = []
    for entry in found:
        signature = Digest(str(entry.body["signature"]))
        for key in trusted:
            try:
                _hold(project.store, package, signature, key, _bytes(key))
            except PackageError as error:
                refused.append(error)
                continue
            return Signed(
                package=package,
                signature=signature,
                key=_name(project, key),
                key_sha256=_signer().name_of(key),
                by=entry.actor,
                seq=entry.seq,
            )
    raise refused[0]


def seal_of(project: Project, package: Digest) -> str:
    """The SHA-256 of a signed package's list of files, once its signature was found to hold; by it all files are known.

    Raises:
        KairosError: as ``verify``.
    """
    signed = verify(project, package)
    key = project.root / signed.key
    return _hold(project.store, package, signed.signature, key, _bytes(key))


def signed_if_needed(project: Project, package: Digest) -> None:
    """Signs a package that has code and is not signed yet, if there is a private key to do it with."""
    if _private_key() is None or not open_stored(project.store, package).runs_code:
        return
    if not _is_signed(project, package):
        sign(project, package)


def _is_signed(project: Project, package: Digest) -> bool:
    try:
        verify(project, package)
    except PackageError:
        return False
    return True


@lru_cache(maxsize=64)
def _hold(store: Store, package: Digest, signature: Digest, key: Path, content: bytes) -> str:
    """Verifies a copy of the package that nobody else can change meanwhile; remembers what held, not what did not.

    Args:
        store: Has both.
        package: Whose files.
        signature: Of it.
        key: File of the public key.
        content: Its bytes, so that another key in the same file is another question.

    Returns:
        The SHA-256 of the package's list of files.
    """
    with tempfile.TemporaryDirectory(prefix="kairos-package-") as place:
        folder, public = Path(place) / "package", Path(place) / "key" / key.name
        public.parent.mkdir()
        public.write_bytes(content)
        store.checkout(package, folder)
        _signer().verify(folder, store.get_bytes(signature, verify=True), public)
        return hashlib.sha256((folder / FILES).read_bytes()).hexdigest()


def _trusted(project: Project) -> tuple[Path, ...]:
    keys = tuple(project.root / name for name in project.settings.signing_keys)
    if not keys:
        raise SettingsError(
            "kairos.toml names no key whose signatures count.", hint='Write: [signing] keys = ["team.pub"]'
        )
    return keys


def _name(project: Project, key: Path) -> str:
    inside = key.is_relative_to(project.root)
    return str(key.relative_to(project.root) if inside else key.absolute())


def _bytes(key: Path) -> bytes:
    try:
        return key.read_bytes()
    except OSError as error:
        raise UsageError(
            f"The public key {str(key)!r} cannot be read.", given=str(error.strerror), accepted="a file in PEM"
        ) from None


def _private_key() -> Path | None:
    named = os.environ.get(PRIVATE_KEY)
    return Path(named).expanduser() if named else None


def _signer() -> Signer:
    for entry in entry_points(group="kairos.adapters", name="model_signing"):
        try:
            signer: Signer = entry.load()()
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("kairos"):
                raise
            break
        return signer
    raise AdapterMissing(
        "Signatures need model-signing, which is not installed.", hint="Type: pip install 'kairos-ml[sign]'"
    )
