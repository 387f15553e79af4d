"""What of DVC's configuration counts beside remotes, and for which folders."""

from __future__ import annotations

from pathlib import Path

from kairos.store.dvc_config import DvcSettings, find_dvc, read_dvc_settings


def test_the_nearest_repository_counts(tmp_path: Path) -> None:
    """Of a folder above, as long as it is in the same repository of Git; else the folder's own, made or not."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("")
    (tmp_path / "ml" / "project").mkdir(parents=True)
    assert find_dvc(tmp_path / "ml" / "project") == tmp_path / ".dvc"
    (tmp_path / "ml" / ".git").mkdir()
    assert find_dvc(tmp_path / "ml" / "project") == tmp_path / "ml" / "project" / ".dvc"
    (tmp_path / "ml" / "project" / ".dvc").mkdir()
    assert find_dvc(tmp_path / "ml" / "project") == tmp_path / "ml" / "project" / ".dvc"


def test_where_blobs_are_and_whether_git_is_told(tmp_path: Path) -> None:
    """``config.local`` counts over ``config``; a path is meant from the folder that the file is in."""
    dvc = tmp_path / ".dvc"
    dvc.mkdir()
    assert read_dvc_settings(dvc) == DvcSettings(cache=dvc / "cache")
    (dvc / "config").write_text("[core]\n    autostage = true\n[cache]\n    dir = ../blobs\n    type = symlink\n")
    assert read_dvc_settings(dvc) == DvcSettings(cache=tmp_path / "blobs", autostages=True)
    (dvc / "config.local").write_text("[cache]\ndir = /mnt/shared\n[core]\nautostage = false\n")
    assert read_dvc_settings(dvc) == DvcSettings(cache=Path("/mnt/shared"))
