"""Certificates for a day."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certify(path: Path, *, password: bytes | None = None) -> int:
    """Writes a key and its certificate for 127.0.0.1 into one file; gives the certificate's number."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "toy")])
    number = x509.random_serial_number()
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=number,
        not_valid_before=now - timedelta(hours=1),
        not_valid_after=now + timedelta(days=1),
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    hidden = serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)
    path.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    return number


def trusting(path: Path, *protocols: str) -> ssl.SSLContext:
    """A client's side of TLS that believes this certificate, and prefers these protocols."""
    context = ssl.create_default_context(cadata="".join(path.read_text().partition("-----BEGIN CERT")[1:]))
    if protocols:
        context.set_alpn_protocols(protocols)
    return context
