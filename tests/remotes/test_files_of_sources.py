"""Files of a source on S3 and behind SFTP: what is pulled, what is noticed, and what is not told."""

from __future__ import annotations

import os
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import boto3
import fsspec
import polars as pl
import pytest

from kairos.errors import AdapterError
from kairos.pipeline.origins.declared import Files
from kairos.pipeline.origins.rows import Rows
from kairos.pipeline.origins.secrets import without_secrets_in
from kairos.pipeline.ports import Reader
from kairos.values import Window
from tests.remotes.clouds import AZURE_KEY, azure, gcs
from tests.remotes.servers import s3, sftp

DAY = Window.parse("2011-01-03..2011-01-03")
WRONG = "d3JvbmcgYW5kIG9mIG5vIHVzZQ=="
NEXT = Window.parse("2011-01-04..2011-01-04")


def table(reader: Reader) -> list[int]:
    """Users of the first day."""
    rows: pl.DataFrame = Rows(lambda: reader.batches(DAY, None)).table()
    return rows["users"].to_list()


def texts(origin: Files, root: Path) -> list[str]:
    """Watermarks of two days, from a reader that remembers nothing."""
    return [mark.text for mark in origin.reader(root).marks([DAY, NEXT]) if mark is not None]


def csv(users: int) -> bytes:
    """A file of one row."""
    return f"at,users\n2011-01-03T05:00:00,{users}\n".encode()


def test_files_on_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A correction of the same size is noticed by its ETag; the keys are read from the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "who")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-key")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with s3("bikes") as url:
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
        for name, users in (("a", 1), ("b", 2)):
            client.put_object(Bucket="bikes", Key=f"rentals/2011-01-03/{name}.csv", Body=csv(users))
        options = {"endpoint_url": url, "key": "$AWS_ACCESS_KEY_ID", "secret": "$AWS_SECRET_ACCESS_KEY"}
        origin = Files("s3://bikes/rentals/{date}/*.csv", options=options, tries=2)
        before = texts(origin, tmp_path)
        assert table(origin.reader(tmp_path)) == [1, 2]
        client.put_object(Bucket="bikes", Key="rentals/2011-01-03/b.csv", Body=csv(7))
        after = texts(origin, tmp_path)
        assert table(origin.reader(tmp_path)) == [1, 7]
        assert (before[0] == after[0], before[1] == after[1]) == (False, True)
        named = Files("s3://bikes/rentals/{date}/a.csv", options=options)
        assert table(named.reader(tmp_path)) == [1]
        assert named.reader(tmp_path).marks([NEXT]) != named.reader(tmp_path).marks([DAY])
        nowhere = Files("s3://nobodys-bucket/{date}/*.csv", options=options, tries=1)
        assert texts(nowhere, tmp_path)[0].startswith("0 files")
    gone = Files("s3://bikes/rentals/{date}/a.csv", options=options, tries=1, timeout="2s")
    with pytest.raises(AdapterError, match="did not answer") as caught:
        gone.reader(tmp_path).marks([DAY])
    assert "s3cret-key" not in str(caught.value)


def test_files_behind_sftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A correction is noticed by its size or the time of its change."""
    for name in ("served", "keys", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with sftp(tmp_path / "served", tmp_path / "keys") as port:
        (tmp_path / "served" / "2011-01-03.csv").write_bytes(csv(1))
        options = {
            "client_keys": [str(tmp_path / "keys" / "id")],
            "known_hosts": str(tmp_path / "keys" / "known_hosts"),
        }
        origin = Files(f"ssh://me@127.0.0.1:{port}/{{date}}.csv", options=options, tries=2)
        before = texts(origin, tmp_path)
        assert table(origin.reader(tmp_path)) == [1]
        (tmp_path / "served" / "2011-01-03.csv").write_bytes(csv(77))
        after = texts(origin, tmp_path)
        assert (before[0] == after[0], before[1] == after[1]) == (False, True)
        assert table(origin.reader(tmp_path)) == [77]


@pytest.mark.parametrize("kind", ["gs", "azure"])
def test_files_on_gcs_and_azure(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A correction is noticed by what the place tells of the content; a wrong key is in no message."""
    with ExitStack() as stack:
        if kind == "gs":
            options = {"endpoint_url": stack.enter_context(gcs("bikes")), "token": "anon"}
            at = "gs://bikes/rentals"
        else:
            monkeypatch.setenv("KAIROS_TEST_AZURE", stack.enter_context(azure("bikes", tmp_path)))
            options = {"connection_string": "$KAIROS_TEST_AZURE"}
            at = "az://bikes/rentals"
        system = open_system(kind, options)
        for name, users in (("a", 1), ("b", 2)):
            system.pipe_file(f"bikes/rentals/2011-01-03/{name}.csv", csv(users))
        origin = Files(f"{at}/{{date}}/*.csv", options=options, tries=2)
        before = texts(origin, tmp_path)
        assert table(origin.reader(tmp_path)) == [1, 2]
        system.pipe_file("bikes/rentals/2011-01-03/b.csv", csv(7))
        after = texts(origin, tmp_path)
        assert table(origin.reader(tmp_path)) == [1, 7]
        assert (before[0] == after[0], before[1] == after[1]) == (False, True)
        named = Files(f"{at}/{{date}}/a.csv", options=options)
        assert table(named.reader(tmp_path)) == [1]
        assert named.reader(tmp_path).marks([NEXT]) != named.reader(tmp_path).marks([DAY])
        if kind == "azure":
            monkeypatch.setenv("KAIROS_TEST_WRONG", os.environ["KAIROS_TEST_AZURE"].replace(AZURE_KEY, WRONG))
            wrong = Files(f"{at}/{{date}}/a.csv", options={"connection_string": "$KAIROS_TEST_WRONG"}, tries=1)
            with pytest.raises(AdapterError) as refused:
                table(wrong.reader(tmp_path))
            assert WRONG not in str(without_secrets_in(refused.value))


def open_system(kind: str, options: dict[str, str]) -> Any:
    """What puts files there."""
    if kind == "gs":
        return import_module("gcsfs.core").GCSFileSystem(skip_instance_cache=True, **options)
    return fsspec.filesystem("abfs", skip_instance_cache=True, connection_string=os.environ["KAIROS_TEST_AZURE"])
