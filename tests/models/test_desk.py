"""A model's folder on disk goes with the model, and after a kill with the next model."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kairos.models.desk import desk_of


class Owner:
    """What a folder is made for."""


def test_it_goes_with_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of others that live stay."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one, two = Owner(), Owner()
    first, second = desk_of(one), desk_of(two)
    assert first.is_dir()
    assert second.is_dir()
    del one
    assert [path.name for path in tmp_path.iterdir()] == [second.name]
    del two
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not before it was killed; a stranger's folder without a lock stays."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "kairos-model-strange").mkdir()
    program = "import sys; from kairos.models.desk import desk_of; print(desk_of(sys), flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    with other:
        left = Path(other.stdout.readline().strip())  # type: ignore[union-attr]
        owner = Owner()
        desk_of(owner)
        assert left.is_dir()
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert left.is_dir()
        desk = desk_of(owner)
        assert not left.is_dir()
        assert desk.is_dir()
        assert (tmp_path / "kairos-model-strange").is_dir()
