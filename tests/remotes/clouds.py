"""Servers that stand in for Google Cloud Storage and Azure Blob Storage, on free ports of this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.remotes.servers import free_port

__all__ = ["AZURE_KEY", "azure", "gcs"]

AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's only key, which its documentation tells."""
_AZURITE = "azurite/node_modules/.bin/azurite-blob"


@contextmanager
def gcs(bucket: str) -> Iterator[str]:
    """gcp-storage-emulator with one bucket; gives its address."""
    from gcp_storage_emulator.server import create_server

    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=bucket)
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


@contextmanager
def azure(container: str, folder: Path) -> Iterator[str]:
    """Azurite with one container, where `make remotes` could install it; gives its connection string."""
    program = Path(sys.prefix, _AZURITE)
    if not program.exists():
        pytest.skip(f"{program} is not there: `make remotes` installs it where there is npm")
    port = free_port()
    options = [
        "--blobPort",
        str(port),
        "--location",
        str(folder),
        "--silent",
        "--skipApiVersionCheck",
        "--disableTelemetry",
    ]
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, cwd=folder) as server:
        try:
            _until_open(port, server)
            account = f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;AccountName=devstoreaccount1"
            told = f"DefaultEndpointsProtocol=http;AccountKey={AZURE_KEY};{account};"
            with warnings.catch_warnings():
                from azure.storage.blob import BlobServiceClient

                with BlobServiceClient.from_connection_string(told) as client:
                    client.create_container(container)
            yield told
        finally:
            server.kill()


def _until_open(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert server.poll() is None, "the server ended"
        with socket.socket() as link:
            if link.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the server of Azure did not start")
