"""``scripts/house`` measures the source and never fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def house(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/house"), *arguments], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout


def write(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (folder / "pack" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "pack" / name).write_text(text)
    return str(folder / "pack")


def test_it_prints_every_measure_of_our_own_source() -> None:
    """Cycles, hidden imports, sizes and documentation, each with its aim."""
    text = house()
    for measure in ("largest import cycle", "imports hidden", "longest files", "longest functions", "documented"):
        assert measure in text


def test_a_cycle_is_found_through_relative_and_absolute_imports(tmp_path: Path) -> None:
    """Three modules in a ring, and one that only looks in, are a cycle of three."""
    text = house(
        write(
            tmp_path,
            {
                "__init__.py": "",
                "a.py": "from pack import b",
                "b.py": "from .inner.c import thing",
                "inner/__init__.py": "",
                "inner/c.py": "import pack.a\nthing = 1",
                "d.py": "import pack.a",
            },
        )
    )
    assert "largest import cycle: 3 (aim 0)\n  pack.a\n  pack.b\n  pack.inner.c\n" in text


def test_an_import_for_types_only_is_no_cycle(tmp_path: Path) -> None:
    """What stands under ``TYPE_CHECKING`` is not loaded."""
    lazy = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pack.b"
    assert "cycle: 0" in house(write(tmp_path, {"__init__.py": "", "a.py": lazy, "b.py": "import pack.a"}))


def test_hidden_imports_and_missing_docstrings_are_named(tmp_path: Path) -> None:
    """The reader can go there at once; what is private needs no docstring."""
    source = 'def f():\n    import json\n\nclass C:\n    """Known."""\n\n    def m(self): ...\n    def _n(self): ...\n'
    text = house(write(tmp_path, {"__init__.py": "", "a.py": source}))
    assert "imports hidden in functions: 1" in text
    assert "a.py:2  import json" in text
    assert "documented: 1 of 3, 33.3 %" in text
    assert "without: pack.a.f\n" in text
    assert "without: pack.a.C.m\n" in text


def test_a_file_that_does_not_parse_is_told_and_left_out(tmp_path: Path) -> None:
    """Half-written code is measured as far as it goes."""
    text = house(write(tmp_path, {"__init__.py": "", "a.py": "def f(:"}))
    assert "does not parse (line 1)" in text


def test_an_empty_folder_is_no_failure(tmp_path: Path) -> None:
    """There is nothing to measure, and that is said."""
    assert "nothing to document" in house(str(tmp_path))
