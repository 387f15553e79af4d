"""DVC's configuration of remotes, read and written as ``dvc`` does, and nothing secret of it kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dvc.config import Config  # type: ignore[import-untyped]
from dvc.config_schema import REMOTE_SCHEMAS  # type: ignore[import-untyped]
from hypothesis import example, given
from hypothesis import strategies as st

from kairos.errors import NotFound, SettingsError
from kairos.store.remotes import SCHEMES, add_remote, read_remotes


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of whoever runs the tests are not looked at."""
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "system"))


CONFIG = """
# remotes of the team
[core]
    remote = Cloud
    autostage = true
['remote "Cloud"']
    url = s3://bucket/team folder   # the bucket
    endpointurl = "http://localhost:9000"
    profile=team
['remote "disk"']
url = ../storage
['remote "deeper"']
    url = remote://disk/deeper
["remote \\"quoted\\""]
    url = '/data/a, b #1'
"""


def test_what_dvc_reads_kairos_reads(tmp_path: Path) -> None:
    """Sections, comments, quotes, cases, paths beside the file, and addresses below other remotes."""
    (tmp_path / ".dvc").mkdir()
    text = CONFIG.replace('["remote \\"quoted\\""]', "['remote \"quoted\"']")
    (tmp_path / ".dvc" / "config").write_text(text)
    (tmp_path / ".dvc" / "config.local").write_text("['remote \"cloud\"']\n    profile = mine\n    read_timeout = 7\n")
    ours = read_remotes(tmp_path / ".dvc")
    theirs = Config(str(tmp_path / ".dvc"), validate=False)
    assert ours.default == "cloud" == theirs["core"]["remote"].lower()
    for name, options in theirs["remote"].items():
        if name != "deeper":
            told = {key: str(value) for key, value in options.items()}
            assert {"url": ours.get(name).url, **ours.get(name).options} == told
    assert ours.get(None).options == {
        "endpointurl": "http://localhost:9000", "profile": "mine", "read_timeout": "7",
    }  # fmt: skip
    assert ours.get("deeper").url == str(tmp_path / "storage" / "deeper")
    assert [ours.get(name).scheme for name in ("cloud", "disk", "deeper")] == ["s3", "local", "local"]
    with pytest.raises(NotFound, match="Did you mean 'cloud'"):
        ours.get("clouds")


def test_what_proves_who_somebody_is_is_left_out(tmp_path: Path) -> None:
    """Neither the value, nor a password in an address, is anywhere in what was read; only the names are."""
    (tmp_path / "config").write_text(
        "['remote \"a\"']\n    url = ssh://me:s3cret/@w@host:22/x\n    password = s3cret\n"
        "['remote \"b\"']\n    url = s3://b\n    secret_access_key = s3cret\n    access_key_id = s3cret\n"
        "['remote \"c\"']\n    url = remote://b/c\n"
    )
    found = read_remotes(tmp_path)
    assert "s3cret" not in repr(found)
    assert found.get("a").url == "ssh://me@host:22/x"
    assert found.get("b").withheld == found.get("c").withheld == ("access_key_id", "secret_access_key")
    (tmp_path / "config").write_text("['remote \"a\"']\n    s3cret\n")
    with pytest.raises(SettingsError, match="line 2") as error:
        read_remotes(tmp_path)
    assert "s3cret" not in str(error.value)


def test_a_remote_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    """Without an address, below one that is not there, or below itself."""
    for text, said in (
        ("['remote \"a\"']\n    jobs = 3\n", "has no address"),
        ("['remote \"a\"']\n    url = remote://b/x\n", "leads nowhere"),
        ("['remote \"a\"']\n    url = remote://b\n['remote \"b\"']\n    url = remote://a\n", "leads nowhere"),
    ):
        (tmp_path / "config").write_text(text)
        with pytest.raises(SettingsError, match=said):
            read_remotes(tmp_path)


def test_without_a_default_the_only_one_is_meant(tmp_path: Path) -> None:
    """With two it has to be named, and with none it is said how one is added."""
    with pytest.raises(NotFound, match="kairos data remote add"):
        read_remotes(tmp_path).get(None)
    add_remote(tmp_path, "One", "s3://one", is_default=False, folder=tmp_path)
    assert read_remotes(tmp_path).get(None).name == "one"
    add_remote(tmp_path, "two", "s3://two", is_default=False, folder=tmp_path)
    with pytest.raises(NotFound, match="--remote NAME"):
        read_remotes(tmp_path).get(None)


def test_kinds_of_addresses_are_those_of_dvc() -> None:
    """With another one in its configuration DVC stops; a path is none."""
    assert set(SCHEMES) == set(REMOTE_SCHEMAS) - {""}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s4://x", r"no such kind of address.*s4://.*a folder, or s3://.*Did you mean 's3://'"),
        ("sftp://host/x", "Did you mean 'ssh://'"),
        ("GCS://bucket", "Did you mean 'gs://'"),
        ("abfs://container", "Did you mean 'azure://'"),
        ("memory://x", "no such kind of address"),
        ("file:///tmp/x", "Write the path alone"),
        ("s3:///folder", "names no bucket or host"),
        ("remote://nowhere/x", "leads nowhere"),
    ],
)
def test_an_address_that_would_stop_dvc_is_refused(url: str, said: str, tmp_path: Path) -> None:
    """Before it is written: the configuration stays as it was."""
    add_remote(tmp_path, "one", "s3://one", is_default=True, folder=tmp_path)
    before = (tmp_path / "config").read_bytes()
    with pytest.raises(SettingsError, match=said):
        add_remote(tmp_path, "bad", url, is_default=False, folder=tmp_path)
    assert (tmp_path / "config").read_bytes() == before


@pytest.mark.parametrize("url", ["S3://bucket", "hdfs://host/x", "gdrive://id/x", "remote://one/deeper", "c:x", "s3:x"])
def test_an_address_that_dvc_takes_is_taken(url: str, tmp_path: Path) -> None:
    """Also where Kairos does not reach it."""
    add_remote(tmp_path, "one", "s3://one", is_default=True, folder=tmp_path)
    add_remote(tmp_path, "two", url, is_default=False, folder=tmp_path)
    assert "two" in Config(str(tmp_path), validate=True)["remote"]
    assert read_remotes(tmp_path).get("two").url


@example(name="a", url="///a", before="", is_default=False)
@given(
    name=st.from_regex(r"\A[A-Za-z0-9_.-]{1,8}\Z"),
    url=st.text("ab/ #,'\".~é", min_size=1, max_size=12).filter(lambda text: not {"'", '"'} <= set(text)),
    before=st.sampled_from(
        ["", "[core]\n    no_scm = True\n", "[core]\n    remote = old\n['remote \"old\"']\nurl=x\n"]
    ),
    is_default=st.booleans(),
)
def test_what_kairos_adds_dvc_reads(
    name: str, url: str, before: str, is_default: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The address, the default, and all that was there before."""
    if name.lower() == "old" or not url.strip() or url != url.strip():
        return
    dvc = tmp_path_factory.mktemp("project") / ".dvc"
    dvc.mkdir()
    (dvc / "config").write_text(before)
    was = Config(str(dvc), validate=False)
    add_remote(dvc, name, url, is_default=is_default, folder=dvc.parent)
    now, ours = Config(str(dvc), validate=False), read_remotes(dvc)
    assert os.path.normpath(ours.get(name).url) == os.path.normpath(now["remote"][name.lower()]["url"])
    assert now["core"].get("remote") == (name.lower() if is_default else was["core"].get("remote"))
    assert now["core"].get("no_scm") == was["core"].get("no_scm")
    assert {key: value for key, value in now["remote"].items() if key != name.lower()} == was["remote"]
    with pytest.raises(SettingsError, match="of that name"):
        add_remote(dvc, name, url, is_default=False, folder=dvc.parent)
