"""TLS: HTTP/2 where both sides know it, files that do not fit told in a sentence, and renewal without a restart."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from kairos.errors import UsageError
from kairos.serving.connections.tls import Certificate
from tests.serving.connections.certificates import certify, trusting
from tests.serving.connections.conftest import LIMITS, running
from tests.serving.connections.raw import ROW, plug, rest
from tests.serving.crews import Crew
from tests.serving.running import Toy


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    """A server that speaks TLS, with little patience."""
    yield from running(tmp_path_factory.mktemp("safe"), limits=LIMITS, prepare=lambda path: certify(path / "cert.pem"))


@pytest.mark.parametrize(("http2", "version"), [(True, "HTTP/2"), (False, "HTTP/1.1")])
def test_the_best_protocol_of_both_sides_is_spoken(safe: Toy, http2: bool, version: str) -> None:
    """A client that knows HTTP/2 gets it; any other HTTP/1.1."""
    assert safe.url.startswith("https://")
    with httpx.Client(base_url=safe.url, verify=trusting(safe.folder / "cert.pem"), http2=http2) as client:
        for _ in range(3):
            answer = client.post("/predict/demand", content=ROW)
            assert (answer.http_version, answer.json()["prediction"]) == (version, 1000.5)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_checks_the_certificate_and_speaks(safe: Toy) -> None:
    """As anybody would type it."""
    cert = ["--cacert", str(safe.folder / "cert.pem")]
    command = ["curl", "-s", *cert, "-w", "%{http_code}", "-o", "/dev/null", safe.url + "/health/live"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "200"


def test_http_without_tls_gets_nothing(safe: Toy) -> None:
    """Where TLS is spoken nothing else is."""
    with plug(safe) as client:
        client.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"HTTP" not in rest(client)


def test_a_handshake_that_is_not_begun_is_cut_off(safe: Toy) -> None:
    """Within the time of a head."""
    start_s = time.monotonic()
    with plug(safe) as client:
        assert rest(client) == b""
    assert time.monotonic() - start_s < 10


def test_workers_talk_to_each_other_all_the_same(tmp_path: Path) -> None:
    """Their own sockets are inside; from outside it is TLS at each of them."""
    certify(tmp_path / "cert.pem")
    crew = Crew(tmp_path, count=2)
    try:
        context = trusting(tmp_path / "cert.pem")
        for _ in range(6):  # connections of their own, so that both workers are asked
            state = httpx.get(f"{crew.url}/state?seq=1", verify=context).json()
            assert (state["seq"], state["reached"]) == (1, True)
    finally:
        crew.process.kill()
        crew.process.communicate()


def _other_key(folder: Path) -> None:
    certify(folder / "key.pem")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "key.pem").unlink(), "No such file"),
        (lambda folder: (folder / "cert.pem").unlink(), "No such file"),
        (lambda folder: (folder / "cert.pem").write_text("x"), "it is not PEM"),
        (_other_key, "they do not belong together"),
        (lambda folder: certify(folder / "key.pem", password=b"secret"), "the key has a password"),
    ],
    ids=["no key", "no certificate", "not PEM", "another key", "a password"],
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, spoil: Callable[[Path], object], reason: str) -> None:
    """Which, and why."""
    certify(tmp_path / "cert.pem")
    shutil.copy(tmp_path / "cert.pem", tmp_path / "key.pem")
    spoil(tmp_path)
    with pytest.raises(UsageError) as caught:
        Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert reason in str(caught.value)
    assert ".pem" in str(caught.value)


def number_of(certificate: Certificate) -> int:
    """The number of the certificate that a client is shown."""
    theirs, ours = ssl.MemoryBIO(), ssl.MemoryBIO()
    loose = ssl.create_default_context()
    loose.check_hostname, loose.verify_mode = False, ssl.CERT_NONE
    client = loose.wrap_bio(theirs, ours)
    server = certificate.context.wrap_bio(ours, theirs, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown = client.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def test_a_renewed_certificate_is_taken_and_a_damaged_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """New clients see the new one; what cannot be used is told once, and the old one stays."""
    path = tmp_path / "cert.pem"
    first = certify(path)
    certificate = Certificate(path, path)
    assert number_of(certificate) == first
    second = certify(path)
    certificate.renew()
    assert number_of(certificate) == second
    path.write_text("half of it")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            certificate.renew()
    assert number_of(certificate) == second
    assert [record.getMessage()[:31] for record in caplog.records] == ["The certificate was not renewed"]
    third = certify(path)
    certificate.renew()
    assert number_of(certificate) == third
