"""The page of this room, and what importing it costs."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path


def test_the_page_of_this_room_tells_the_truth() -> None:
    """Its examples give what they show, and each module is in its table."""
    page = Path(__file__).parents[2] / "docs/stats.md"
    assert doctest.testfile(str(page), module_relative=False).failed == 0
    modules = Path(__file__).parents[2] / "src/kairos/stats"
    for module in modules.glob("[a-z]*.py"):
        assert f"`{module.stem}`" in page.read_text() or module.stem == "arrays"


def test_the_package_itself_loads_no_numpy() -> None:
    """Nor does that of the gates: a command that decides nothing does not wait for it."""
    code = "import sys, kairos.stats, kairos.gates; sys.exit('numpy' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
