"""An example becomes a project of the user's own, and never overwrites one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kairos.errors import NotFound, UsageError
from kairos.examples import EXAMPLES, copy_example


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_example_brings_settings_and_a_pipeline(name: str, tmp_path: Path) -> None:
    """Every listed example can be copied, and what arrives is a project."""
    folder = copy_example(name, tmp_path / "new" / "project")
    assert folder == tmp_path / "new" / "project"
    assert {"kairos.toml", "pipeline.py"} <= files(folder)


def test_bikes_brings_exactly_what_a_user_would_have_written(tmp_path: Path) -> None:
    """The data comes with its attribution; nothing of the package's own comes along."""
    assert files(copy_example("bikes", tmp_path / "bikes")) == {
        "kairos.toml",
        "pipeline.py",
        "data/README.md",
        "data/bikes.csv.gz",
    }


def test_every_folder_beside_the_room_is_listed() -> None:
    """``EXAMPLES`` names every example there is."""
    import kairos.examples

    room = Path(kairos.examples.__file__).parent
    assert {path.parent.name for path in room.glob("*/kairos.toml")} == set(EXAMPLES)


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    """A typo is answered with the example that was meant."""
    with pytest.raises(NotFound, match="Did you mean 'bikes'"):
        copy_example("bike", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_file_that_is_already_there_is_never_overwritten(tmp_path: Path) -> None:
    """If one name is taken, the message says which, and nothing at all is copied."""
    (tmp_path / "pipeline.py").write_text("mine")
    with pytest.raises(UsageError, match=r"pipeline\.py exists already"):
        copy_example("bikes", tmp_path)
    assert files(tmp_path) == {"pipeline.py"}
    assert (tmp_path / "pipeline.py").read_text() == "mine"


def test_other_files_in_the_folder_stay(tmp_path: Path) -> None:
    """A folder that already is a git repository can become a project."""
    (tmp_path / "notes.txt").write_text("mine")
    copy_example("bikes", tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "kairos.toml").exists()


def test_a_file_as_target_is_refused(tmp_path: Path) -> None:
    """A project is a folder."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="taken exists already"):
        copy_example("bikes", tmp_path / "taken")


def test_the_room_loads_no_heavy_library() -> None:
    """Copying an example does not wait for the libraries that the example itself uses."""
    code = "import sys, kairos.examples; print(sorted({'polars', 'sklearn', 'numpy', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
