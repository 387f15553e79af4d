"""Remotes behind real servers: S3 of moto, SFTP of asyncssh, WebDAV of WsgiDAV, and stand-ins for GCS and Azure.

The real ``dvc`` is on the other side, where it has an engine for them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from kairos.adapters.fsspec import open_place
from kairos.errors import RemoteFailed
from kairos.store import Store
from kairos.store.comparing import compare
from kairos.store.fetching import pull
from kairos.store.folders import is_folder
from kairos.store.places import name_of
from kairos.store.pointers import prepare_dvc, track
from kairos.store.remotes import Remote, read_remotes
from kairos.store.sending import push
from kairos.store.trying import Patience
from kairos.values import Digest
from tests.remotes.clouds import AZURE_KEY, azure, gcs
from tests.remotes.servers import s3, sftp, webdav

pytestmark = pytest.mark.filterwarnings(  # servers that are stopped leave sockets to the collector
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
QUICK = Patience(tries=2, first_wait_s=0.05)
KINDS = ["s3", "gs", "azure", "ssh", "webdav"]


@contextmanager
def served(kind: str, base: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A server of that kind, and DVC's options of a remote on it."""
    with ExitStack() as stack:
        if kind == "s3":
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "who")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-key")
            monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
            bucket = f"bucket-{uuid.uuid4().hex}"  # moto's servers of one process share their buckets
            url = stack.enter_context(s3(bucket))
            yield {"url": f"s3://{bucket}/team", "endpointurl": url, "region": "us-east-1"}
            return
        if kind == "gs":
            url = stack.enter_context(gcs("bikes"))
            yield {"url": "gs://bikes/team", "endpointurl": url, "allow_anonymous_login": "true"}
            return
        (base / "served").mkdir()
        if kind == "azure":
            monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", stack.enter_context(azure("bikes", base / "served")))
            yield {"url": "azure://bikes/team"}
            return
        (base / "keys").mkdir()
        if kind == "ssh":
            port = stack.enter_context(sftp(base / "served", base / "keys"))
            monkeypatch.setenv("HOME", str(base / "home"))
            (base / "home" / ".ssh").mkdir(parents=True)
            (base / "home" / ".ssh" / "known_hosts").write_text((base / "keys" / "known_hosts").read_text())
            yield {"url": f"ssh://me@127.0.0.1:{port}/team", "keyfile": str(base / "keys" / "id")}
            return
        port = stack.enter_context(webdav(base / "served", "me", "pa55word"))
        monkeypatch.setenv("KAIROS_REMOTE_THERE_PASSWORD", "pa55word")
        yield {"url": f"webdav://127.0.0.1:{port}/", "user": "me"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with 30 files, tracked."""
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    for number in range(29):
        (root / "data" / f"{number}").write_text(f"{number}\n")
    (root / "data" / "large").write_bytes(os.urandom(7_000_000))  # in several parts, where there are parts
    prepare_dvc(root)
    track(Store(root / ".dvc" / "cache"), root / "data")
    return root


def configured(project: Path, options: dict[str, str]) -> Remote:
    """The remote ``there`` in DVC's configuration, as Kairos reads it."""
    lines = "".join(f"    {key} = {value}\n" for key, value in options.items())
    config = project / ".dvc" / "config"
    config.write_text(f"[core]\n    no_scm = True\n    remote = there\n['remote \"there\"']\n{lines}")
    return read_remotes(project / ".dvc").get(None)


def root_of(store: Store) -> Digest:
    return next(digest for digest in store.digests() if is_folder(digest))


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_goes_there_and_comes_back(
    kind: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second push sends nothing; a part left there is replaced; a damaged blob is named."""
    store = Store(project / ".dvc" / "cache")
    root = root_of(store)
    with served(kind, tmp_path, monkeypatch) as options:
        place = open_place(configured(project, options))
        assert push(store, place, [root]).blobs == 31
        assert push(store, place, [root]).blobs == 0
        small, other = store.put_bytes(b"3\n"), tmp_path / "other"
        other.write_bytes(b"4")
        place.send(other, small)
        assert push(store, place, [root]).blobs == 1
        other.write_bytes(b"4\n")
        place.send(other, small)
        clone = Store(tmp_path / "clone")
        assert pull(clone, place, [root]).damaged == (small,)
        place.send(store.path(small), small)
        assert pull(clone, place, [root]).is_whole
        assert clone.has(root)
        assert clone.verify() == []
        if kind in ("ssh", "webdav"):
            files = {path.relative_to(tmp_path / "served").as_posix() for path in (tmp_path / "served").rglob("*")}
            above = "team/" if kind == "ssh" else ""
            assert {f"{above}{name_of(digest)}" for digest in store.digests()} <= files
            assert not list((tmp_path / "served").rglob("kairos-*"))


@pytest.mark.parametrize("kind", ["s3", "ssh"])
def test_dvc_works_on_the_same_remote(
    kind: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``dvc status --cloud`` and ``dvc pull`` on what Kairos pushed; Kairos pulls what ``dvc push`` sent."""
    store = Store(project / ".dvc" / "cache")
    with served(kind, tmp_path, monkeypatch) as options:
        remote = configured(project, options)
        push(store, open_place(remote), [root_of(store)])
        assert "in sync" in dvc(project, "status", "--cloud")
        (project / "data" / "new").write_text("new")
        dvc(project, "add", "-q", "data")
        dvc(project, "push", "-q")
        newest = max((digest for digest in store.digests() if is_folder(digest)), key=lambda d: len(store.listing(d)))
        clone = Store(tmp_path / "clone")
        assert pull(clone, open_place(remote), [newest]).is_whole
        assert not compare(clone, open_place(remote), [newest]).new


KILLED = """
import os, sys
from pathlib import Path
from kairos.adapters.fsspec import open_place
from kairos.store import Store
from kairos.store.remotes import read_remotes
from kairos.store.fetching import pull
from kairos.store.sending import push

def told(blobs, of, size_bytes):
    if blobs == 10:
        os.kill(os.getpid(), 9)

dvc, store, move = Path(sys.argv[1]), Store(Path(sys.argv[2])), {"push": push, "pull": pull}[sys.argv[4]]
move(store, open_place(read_remotes(dvc).get(None)), [sys.argv[3]], jobs=2, told=told)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_what_arrived_before_a_kill_stays(
    kind: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``kill -9`` in the middle of a push and of a pull; the next moves only the rest."""
    store = Store(project / ".dvc" / "cache")
    root = root_of(store)
    with served(kind, tmp_path, monkeypatch) as options:
        place = open_place(configured(project, options))

        def killed(move: str, where: Path) -> None:
            command = [sys.executable, "-c", KILLED, str(project / ".dvc"), str(where), root, move]
            done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
            assert done.returncode == -9, done.stderr

        killed("push", store.root)
        assert len(compare(store, place, [root]).new) < 31 - 9
        assert push(store, place, [root]).there >= 10
        killed("pull", tmp_path / "clone")
        clone = Store(tmp_path / "clone")
        assert clone.verify() == []
        assert pull(clone, place, [root]).is_whole
        assert not compare(clone, place, [root]).new
        assert clone.verify() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_gone_is_told_and_nothing_secret(
    kind: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it was tried again."""
    store = Store(project / ".dvc" / "cache")
    with served(kind, tmp_path, monkeypatch) as options:
        # Engines of GCS and Azure try on by themselves for minutes; they are given up before.
        remote = configured(project, options | ({"read_timeout": "2"} if kind in ("gs", "azure") else {}))
    with pytest.raises(RemoteFailed) as error:
        push(store, open_place(remote), [root_of(store)], patience=QUICK)
    assert not any(secret in str(error.value) for secret in ("s3cret-key", "pa55word", AZURE_KEY))


@pytest.mark.parametrize("kind", ["ssh", "webdav"])
def test_who_is_not_known_is_told_at_once(
    kind: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With where credentials come from."""
    store = Store(project / ".dvc" / "cache")
    with served(kind, tmp_path, monkeypatch) as options:
        monkeypatch.setenv("KAIROS_REMOTE_THERE_PASSWORD", "wrong")
        if kind == "ssh":
            subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
            options["keyfile"] = str(tmp_path / "other")
        with pytest.raises(RemoteFailed, match="from the environment only"):
            push(store, open_place(configured(project, options)), [root_of(store)], patience=Patience(first_wait_s=60))


def dvc(project: Path, *arguments: str) -> str:
    """Runs the real command; returns what it printed."""
    base = project.parent
    environment = os.environ | {
        "XDG_CONFIG_HOME": str(base / "config"),
        "DVC_SITE_CACHE_DIR": str(base / "site"),
        "DVC_NO_ANALYTICS": "1",
        "DVC_TEST": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=project, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
