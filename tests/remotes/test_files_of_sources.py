"""Files of a source on S3 and behind SFTP: what is pulled, what is noticed, and what is not told."""

from __future__ import annotations

from pathlib import Path

import boto3
import polars as pl
import pytest

from kairos.errors import AdapterError
from kairos.pipeline.origins.declared import Files
from kairos.pipeline.origins.rows import Rows
from kairos.pipeline.ports import Reader
from kairos.values import Window
from tests.remotes.servers import s3, sftp

DAY = Window.parse("2011-01-03..2011-01-03")
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
