"""Servers of remotes on free ports of this machine."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import asyncssh
import boto3
from moto.server import ThreadedMotoServer
from wsgidav.wsgidav_app import WsgiDAVApp

__all__ = ["s3", "sftp", "webdav"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def s3(bucket: str) -> Iterator[str]:
    """moto's S3 with one bucket; gives its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    url = f"http://127.0.0.1:{server._server.server_port}"
    try:
        boto3.client("s3", endpoint_url=url, region_name="us-east-1").create_bucket(Bucket=bucket)
        yield url
    finally:
        server.stop()


@contextmanager
def sftp(root: Path, keys: Path) -> Iterator[int]:
    """asyncssh's SFTP below a folder, for the key ``keys/id``; gives its port."""
    host, user = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    user.write_private_key(str(keys / "id"))
    (keys / "id").chmod(0o600)
    user.write_public_key(str(keys / "authorized"))
    port, loop, ready = free_port(), asyncio.new_event_loop(), threading.Event()
    met: list[asyncssh.SSHServerConnection] = []

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            met.append(conn)

    def serve() -> None:
        asyncio.set_event_loop(loop)

        async def begin() -> asyncssh.SSHAcceptor:
            return await asyncssh.listen(
                "127.0.0.1",
                port,
                server_factory=Server,
                server_host_keys=[host],
                authorized_client_keys=str(keys / "authorized"),
                sftp_factory=lambda connection: asyncssh.SFTPServer(connection, chroot=bytes(root)),
            )

        acceptor = loop.run_until_complete(begin())
        ready.set()
        loop.run_forever()
        acceptor.close()
        for connection in met:  # a client that is still there would keep its socket open
            connection.abort()
            loop.run_until_complete(connection.wait_closed())
        loop.run_until_complete(acceptor.wait_closed())
        loop.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ready.wait(20)
    (keys / "known_hosts").write_text(f"[127.0.0.1]:{port} {host.export_public_key().decode().strip()}\n")
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)


@contextmanager
def webdav(root: Path, user: str, password: str) -> Iterator[int]:
    """WsgiDAV below a folder; gives its port."""
    port = free_port()
    app = WsgiDAVApp(
        {
            "host": "127.0.0.1",
            "port": port,
            "provider_mapping": {"/": str(root)},
            "simple_dc": {"user_mapping": {"*": {user: {"password": password}}}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
            "verbose": 0,
            "logging": {"enable": False},
        }
    )

    def bounded(environ: dict[str, Any], start: Any) -> Any:
        """The server would read on behind a body, and wait."""
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        return app(environ, start)

    with make_server("127.0.0.1", port, bounded, server_class=_Server, handler_class=_Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield port
        finally:
            server.shutdown()
            thread.join(20)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
