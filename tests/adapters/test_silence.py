"""Whoever goes silent in the middle is not waited for: remotes and origins on real sockets that stop."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from kairos import Http
from kairos.adapters.fsspec import engines, open_place
from kairos.errors import AdapterError, RemoteFailed
from kairos.pipeline.origins import origin as origins
from kairos.pipeline.origins import patience as patiences
from kairos.pipeline.origins import rows, watching
from kairos.pipeline.origins.patience import Patience as OriginPatience
from kairos.pipeline.origins.rows import Rows
from kairos.pipeline.origins.watching import Silent, Watch, allow_silence
from kairos.store import Store
from kairos.store.fetching import pull
from kairos.store.remotes import Remote
from kairos.store.sending import push
from kairos.store.trying import Patience
from kairos.values import Window
from tests.adapters.silence import Stalling, stalling

pytestmark = pytest.mark.filterwarnings(  # connections that were given up are left to the collector
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
QUICK = Patience(tries=2, first_wait_s=0.01)
DAY = Window.parse("2011-01-03..2011-01-03")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stalling]:
    """One that stops, and time-outs short enough for a test."""
    for module in (engines, rows, origins):
        monkeypatch.setattr(module, "GRACE_S", 0.3)
    monkeypatch.setattr(patiences, "_FIRST_WAIT_S", 0.0)
    with stalling() as made:
        yield made
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # the file that fsspec was sending when it was given up, which it leaves to the collector


def remote(server: Stalling, **options: str) -> Remote:
    return Remote(name="there", url=f"{server.url}/team", options={"method": "put", "read_timeout": "0.3", **options})


def test_a_remote_that_takes_no_more_is_given_up(server: Stalling, tmp_path: Path) -> None:
    """No time-out of the engine ends a send that nobody reads; the error says for how long nothing came."""
    store = Store(tmp_path / "store")
    digest = store.put_bytes(os.urandom(20_000_000))  # more than the sockets hold
    started = time.monotonic()
    with pytest.raises(RemoteFailed, match="nothing came for 1 s"):
        push(store, open_place(remote(server)), [digest], patience=QUICK)
    assert server.asked.count("PUT") == 2
    assert time.monotonic() - started < 20


def test_a_remote_that_stops_once_is_asked_anew(server: Stalling, tmp_path: Path) -> None:
    """In either direction; what arrives is whole."""
    store, clone = Store(tmp_path / "store"), Store(tmp_path / "clone")
    digest = store.put_bytes(os.urandom(20_000_000))
    server.stops = 1
    assert push(store, open_place(remote(server)), [digest], patience=QUICK).blobs == 1
    server.stops = 1
    assert pull(clone, open_place(remote(server)), [digest], patience=QUICK).is_whole
    assert clone.verify() == []


def test_a_trickle_is_no_transfer(server: Stalling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then puts off each time-out of a library for ever."""
    monkeypatch.setattr(watching, "_SLOW_TIMES", 2)
    store = Store(tmp_path / "store")
    digest = store.put_bytes(b"a" * 100_000)
    server.stops, server.trickles = 0, True
    place = open_place(remote(server))
    push(store, place, [digest], patience=QUICK)
    server.stops = 1_000
    with pytest.raises(RemoteFailed, match=r"only .* bytes came in"):
        pull(Store(tmp_path / "clone"), place, [digest], patience=QUICK)


def test_ctrl_c_ends_a_push_that_is_stuck(server: Stalling, tmp_path: Path) -> None:
    """At once, though its time-out is a minute away."""
    root = tmp_path / "bikes"
    root.mkdir()
    (root / "kairos.toml").write_text('[project]\nname = "p"\npipeline = "p.py"\n')
    (root / "large").write_bytes(os.urandom(20_000_000))
    command = [sys.executable, "-m", "kairos.cli", "data"]
    environment = os.environ | {"DVC_GLOBAL_CONFIG_DIR": str(tmp_path)}

    def kairos(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen([*command, *arguments], cwd=root, env=environment, text=True, stderr=subprocess.PIPE)

    for arguments in (("add", "large"), ("remote", "add", "there", f"{server.url}/team", "--default")):
        with kairos(*arguments) as done:
            assert done.wait() == 0
    with kairos("push") as pushing:
        assert server.met.wait(60)
        time.sleep(0.2)
        started = time.monotonic()
        pushing.send_signal(signal.SIGINT)
        _, said = pushing.communicate(timeout=60)
    assert time.monotonic() - started < 10
    assert pushing.returncode == 130, said


def test_an_interface_that_trickles_is_given_up(
    server: Stalling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows and its watermark, each tried as often as was said."""
    monkeypatch.setattr(watching, "_SLOW_TIMES", 2)
    server.files["/rows"] = b'{"items": [' + b'{"users": 1}, ' * 5_000 + b'{"users": 1}], "version": 1}'
    server.trickles = True
    interface = Http(f"{server.url}/rows", rows="items", watermark="version", timeout="0.3s", tries=2)
    reader = interface.reader(tmp_path)
    with pytest.raises(AdapterError, match="in the middle of a source's rows"):
        Rows(lambda: reader.batches(DAY, None), interface.patience()).write(tmp_path / "a.parquet")
    assert server.asked == ["GET"] * 2
    with pytest.raises(AdapterError, match="asked for a watermark"):
        interface.marks(tmp_path, [DAY])
    assert server.asked == ["GET"] * 4
    server.stops = 0
    assert interface.marks(tmp_path, [DAY])[0] is not None


def test_who_computes_or_waits_on_purpose_is_not_silent() -> None:
    """A query in the process itself may take as long as it does; so may what a server asked to wait for."""

    def compute() -> int:
        until = time.process_time() + 1.0
        while time.process_time() < until:
            sum(range(1_000))
        return 7

    assert Watch(0.5).call(compute) == 7
    with pytest.raises(Silent, match="nothing came"):
        Watch(0.2).call(lambda: time.sleep(1.5))
    allow_silence(0.6)
    assert Watch(0.2).call(lambda: time.sleep(0.6)) is None
    assert OriginPatience(tries=1, timeout_s=0.1, rate_per_s=1.0).call(lambda: 1) == 1


def test_items_of_a_watched_iterator_are_those_of_the_iterator() -> None:
    """In their order, with its error; and it is closed when nobody wants more."""
    closed: list[str] = []

    def count(to: int) -> Iterator[int]:
        try:
            yield from range(to)
            raise ValueError("no more")
        finally:
            closed.append("closed")

    items = Watch(5).items(lambda: count(100))
    assert [next(items) for _ in range(100)] == list(range(100))
    with pytest.raises(ValueError, match="no more"):
        next(items)
    wanted = Watch(5).items(lambda: count(100))
    assert next(wanted) == 0
    wanted.close()  # type: ignore[attr-defined]
    until = time.monotonic() + 10
    while len(closed) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert closed == ["closed", "closed"]
