"""What ``.dvcignore`` names: the same as for DVC, whatever the patterns."""

from __future__ import annotations

from pathlib import Path

import pytest
from dvc.ignore import DvcIgnorePatterns  # type: ignore[import-untyped]
from dvc.pathspec_math import PatternInfo  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from kairos.store.ignoring import ignore_of

SEGMENTS = st.sampled_from(["a", "b", "*", "**", "?", "a*", "*.c", "[ab]", "x.c", "[!a]", r"\*", "a b"])
PATTERNS = st.tuples(
    st.sampled_from(["", "/", "!", "!/"]),
    st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "/", "/**"]),
).map("".join)
PATHS = st.lists(st.sampled_from(["a", "b", "x.c", "ab", "d", "*", "a b"]), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is one for DVC."""
    root = tmp_path_factory.mktemp("repository")
    (root / ".dvc").mkdir()
    return root


@settings(max_examples=400)
@given(lines=st.lists(PATTERNS, min_size=1, max_size=3), parts=PATHS, is_folder=st.booleans())
def test_patterns_mean_what_they_mean_for_dvc(
    repository: Path, lines: list[str], parts: list[str], is_folder: bool
) -> None:
    """Several rules, the last of which counts; folders that are ignored with all that is in them."""
    root = repository
    (root / ".dvcignore").write_text("\n".join(lines))
    theirs = DvcIgnorePatterns([PatternInfo(line, "") for line in lines], str(root), "/")
    expected = theirs.matches(str(root.joinpath(*parts[:-1])), parts[-1], is_folder)
    found, ours = ignore_of(root), False
    assert found is not None
    for at, part in enumerate(parts):
        ours = ours or found.hides(part, is_folder=is_folder or at + 1 < len(parts))
        found = found.within(part)
    assert ours == expected


def test_files_of_several_folders_count(tmp_path: Path) -> None:
    """Those of the repository first, then those nearer; what is ignored itself is told."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("")
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / ".dvcignore").write_text("# ours\n*.tmp\n/gone\n")
    (tmp_path / "data" / ".dvcignore").write_text("!kept.tmp\n")
    (tmp_path / "data" / "deep" / ".dvcignore").write_text("notes\n")
    found = ignore_of(tmp_path / "data")
    assert found is not None
    assert found.hides("x.tmp", is_folder=False)
    assert not found.hides("kept.tmp", is_folder=False)
    assert found.hides(".git", is_folder=True)
    assert not found.hides("notes", is_folder=False)
    assert found.within("deep").hides("notes", is_folder=False)
    assert ignore_of(tmp_path / "gone" / "data") is None
    assert ignore_of(tmp_path / "x.tmp") is None
