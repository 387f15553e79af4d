"""TLS with the server's own certificate, which is read anew when it is renewed."""

from __future__ import annotations

import logging
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from kairos.errors import UsageError

__all__ = ["Certificate"]

_log = logging.getLogger("kairos.serving")

_PROTOCOLS = ("h2", "http/1.1")
"""What is spoken inside (ALPN), the better one first."""


@dataclass
class Certificate:
    """A certificate with its key, both in PEM files; TLS 1.2 and 1.3.

    Args:
        cert: The certificate, and those between it and the root.
        key: The private key, which has no password; may be the same file.

    Raises:
        UsageError: a file is missing or is not what it should be.
    """

    cert: Path
    key: Path
    context: ssl.SSLContext = field(init=False)
    """For the server's sockets."""

    def __post_init__(self) -> None:
        self._stamp = self._look()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.set_alpn_protocols(_PROTOCOLS)
        self._load(self.context)

    def renew(self) -> None:
        """Reads the files again if they have changed; what cannot be used is told once, and the old ones stay."""
        try:
            if (stamp := self._look()) == self._stamp:
                return
            self._stamp = stamp
            self._load(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))  # so that the one in use is never half new
            self._load(self.context)
        except UsageError as error:
            _log.error("The certificate was not renewed, and the old one stays in use: %s", error)

    def _look(self) -> tuple[object, ...]:
        """What tells that a file is another one."""
        stamp: list[object] = []
        for name, path in (("tls_cert", self.cert), ("tls_key", self.key)):
            try:
                told = os.stat(path)
            except OSError as error:
                raise UsageError(f"The file of {name} cannot be read.", given=f"{path}: {error.strerror}") from error
            stamp += [told.st_mtime_ns, told.st_size, told.st_ino]
        return tuple(stamp)

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self.cert, self.key, password=_no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise UsageError(
                "The certificate and the key of the server cannot be used.",
                given=f"{self.cert} and {self.key}: {_reason(error)}",
                accepted="PEM files that belong together, the key without a password",
                hint=f"Type: openssl x509 -noout -in {self.cert}; openssl pkey -noout -in {self.key}",
            ) from error


def _no_password() -> str:
    raise ValueError("the key has a password")


def _reason(error: Exception) -> str:
    if not isinstance(error, ssl.SSLError):
        return str(getattr(error, "strerror", None) or error)
    if error.reason == "KEY_VALUES_MISMATCH":
        return "they do not belong together"
    return "it is not PEM" if "PEM" in str(error) else error.reason or str(error)
