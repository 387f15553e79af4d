"""A file that could not be written leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from kairos.store.files import write_atomically


def test_a_failure_leaves_no_temporary_file(tmp_path: Path) -> None:
    """The folder is as it was, and so is what stands in the way."""
    (tmp_path / "report").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "report", b"page")
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert not list((tmp_path / "report").iterdir())


def test_what_was_there_is_replaced_whole(tmp_path: Path) -> None:
    """Nothing but the file is left."""
    for data in (b"old and long", b"new"):
        write_atomically(tmp_path / "page", data)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]
