"""Remotes through fsspec: a file system in memory, and a real server of HTTP."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from kairos.adapters.fsspec import open_place
from kairos.adapters.fsspec.place import FsspecPlace
from kairos.errors import RemoteFailed, SettingsError
from kairos.store import Store
from kairos.store.comparing import compare
from kairos.store.fetching import pull
from kairos.store.places import name_of
from kairos.store.remotes import Remote
from kairos.store.sending import push
from kairos.store.trying import Patience

AT_ONCE = Patience(tries=9, first_wait_s=0.0)


@pytest.fixture
def memory() -> Iterator[Any]:
    """A file system in memory, empty before and after."""
    engine = fsspec.filesystem("memory", skip_instance_cache=True)
    engine.store.clear()
    yield engine
    engine.store.clear()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with a folder of 20 files."""
    (tmp_path / "data").mkdir()
    for number in range(20):
        (tmp_path / "data" / f"{number}").write_text(f"{number}\n")
    store = Store(tmp_path / "store")
    store.put_folder(tmp_path / "data")
    return store


@pytest.mark.parametrize("renames", [True, False])
def test_a_folder_goes_there_and_comes_back(memory: Any, store: Store, tmp_path: Path, renames: bool) -> None:
    """In DVC's layout; nothing else is left there, and a second push sends nothing."""
    (root,) = (digest for digest in store.digests() if digest.endswith(".dir"))
    place = FsspecPlace(lambda: memory, "/bucket/team", renames=renames)
    assert push(store, place, [root]).blobs == 21
    names = {f"/bucket/team/{name_of(digest)}" for digest in store.digests()}
    assert {path for path in memory.store if not path.endswith(".tmp")} == names
    memory.store[f"/bucket/team/{name_of(root)}"].truncate(3)
    assert push(store, place, [root]).blobs == 1
    clone = Store(tmp_path / "clone")
    assert len(compare(clone, place, [root]).deleted) == 1
    assert pull(clone, place, [root]).is_whole
    assert clone.has(root)
    assert clone.verify() == []


def test_errors_of_an_engine_say_nothing_secret(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of the environment that look like secrets, users and passwords in addresses, signed queries."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-value")

    class Engine:
        def ls(self, path: str, detail: bool) -> None:
            raise RuntimeError("no https://me:pa55word@host/x?sig=abcdef&n=1 with s3cr3t-value")

        def info(self, path: str) -> None:
            self.ls(path, True)

    place = FsspecPlace(Engine, "bucket")
    with pytest.raises(RemoteFailed) as error:
        compare(store, place, list(store.digests()), patience=AT_ONCE)
    said = f"{error.value} {error.value.__cause__} {error.value.facts}"
    assert "RuntimeError: no https://…host/x" in said
    assert not any(secret in said for secret in ("pa55word", "abcdef", "s3cr3t-value"))


def test_who_is_not_known_is_told_where_credentials_come_from(store: Store) -> None:
    """At once, with the options of the configuration that Kairos does not use."""

    class NoCredentialsError(Exception):
        pass

    class Engine:
        asked = 0

        def info(self, path: str) -> None:
            Engine.asked += 1
            raise NoCredentialsError("Unable to locate credentials")

    place = FsspecPlace(Engine, "bucket", environment="Credentials come from the environment only: AWS_PROFILE.")
    with pytest.raises(RemoteFailed, match="environment only: AWS_PROFILE"):
        compare(store, place, [store.put_bytes(b"one")], patience=Patience())
    assert Engine.asked == 1


class Server(ThreadingHTTPServer):
    """Keeps what is sent to it; fails every so often, if told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kept: dict[str, bytes] = {}
        self.sender: str | None = None
        """What ``Authorization`` has to be to send."""
        self.fails: Callable[[int], bool] = lambda number: False
        self.asked = 0
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """``HEAD``, ``GET``, and ``POST`` to keep, as DVC expects of such a remote."""

    server: Server
    protocol_version = "HTTP/1.1"

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked += 1
            fails = self.server.fails(self.server.asked)
        body = self.server.kept.get(self.path)
        self._answer(503) if fails else self._answer(404) if body is None else self._answer(200, body)

    do_HEAD = do_GET  # noqa: N815 - the library's own way

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.sender not in (None, self.headers.get("Authorization")):
            self._answer(401)
            return
        self.server.kept[self.path] = data
        self._answer(200)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of HTTP on a free port."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_server_of_http_is_a_remote(
    server: Server, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot list; it answers 503 now and then; who sends is known by a password from the environment."""
    port = server.server_address[1]
    remote = Remote(name="web-1", url=f"http://127.0.0.1:{port}/blobs", options={"user": "me"})
    roots = [digest for digest in store.digests() if digest.endswith(".dir")]
    server.sender = "Basic " + base64.b64encode(b"me:pa55word").decode()
    with pytest.raises(RemoteFailed, match="KAIROS_REMOTE_WEB_1_PASSWORD"):
        push(store, open_place(remote), roots)
    monkeypatch.setenv("KAIROS_REMOTE_WEB_1_PASSWORD", "pa55word")
    server.fails = lambda number: number % 5 == 0
    assert push(store, open_place(remote), roots, patience=AT_ONCE).blobs == 21
    assert set(server.kept) == {f"/blobs/{name_of(digest)}" for digest in store.digests()}
    clone = Store(tmp_path / "clone")
    assert pull(clone, open_place(remote), roots, patience=AT_ONCE).is_whole
    assert clone.verify() == []
    server.fails = lambda number: True
    with pytest.raises(RemoteFailed, match="503"):
        pull(Store(tmp_path / "other"), open_place(remote), roots, patience=AT_ONCE)


def test_an_option_that_is_no_number_is_named() -> None:
    """With what it was."""
    remote = Remote(name="web", url="http://host/x", options={"read_timeout": "soon"})
    with pytest.raises(SettingsError, match="read_timeout = soon"):
        open_place(remote)
