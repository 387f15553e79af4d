"""A fingerprint sees exactly the code that a step reaches."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kairos.pipeline.code import CodeIndex, Reached
from tests.pipeline.projects import write_project

PIPELINE = """
    import json
    import numpy as np
    import helpers
    from shapes import area as surface, UNUSED
    from pack import tools

    SCALE = 3
    TABLE = {"a": 1}
    TABLE["b"] = SCALE
    OTHER = 9

    @step
    def features(rentals):
        return helpers.clean(rentals) + TABLE["a"] + np.float64(1)

    @step
    def split(features):
        return surface(features)

    @step
    def late(split):
        from shapes import perimeter
        return tools.deep(perimeter(split))

    def unrelated():
        return OTHER
"""
HELPERS = """
    import scipy
    DEFAULT = 1

    def clean(x):
        # a comment
        return _inner(x, DEFAULT)

    def _inner(x, y):
        "Docstring."
        return [x + y for DEFAULT2 in range(3)]

    def never():
        return scipy.stats
"""
SHAPES = """
    UNUSED = 4
    def area(features): return features * 2
    def perimeter(x): return Box(x).size()
    class Base:
        def size(self): return self.x
    class Box(Base):
        \"\"\"A box.\"\"\"
        x: int
        "The width."
        def __init__(self, x): self.x = x
"""
TOOLS = """
    from . import more
    from .more import LIMIT
    def deep(x): return more.deeper(x, LIMIT)
"""
MORE = "LIMIT = 1\ndef deeper(x, y): return x\n"


def reached(root: Path, function: str, **changes: tuple[str, str]) -> Reached:
    """What a function reaches after replacing text in modules."""
    texts = {"pipeline": PIPELINE, "helpers": HELPERS, "shapes": SHAPES, "tools": TOOLS, "more": MORE}
    for name, (old, new) in changes.items():
        assert old in texts[name]
        texts[name] = texts[name].replace(old, new)
    (root / "pack").mkdir(exist_ok=True)
    (root / "pack" / "__init__.py").write_text("")
    source = write_project(root, texts["pipeline"], helpers=texts["helpers"], shapes=texts["shapes"])
    write_project(root / "pack", "", tools=texts["tools"], more=texts["more"])
    return CodeIndex(source).reached("pipeline", function)


def test_the_closure_is_transitive_and_no_more(tmp_path: Path) -> None:
    """Functions, classes with their bases, constants and what changes them, through imports of every form."""
    assert set(reached(tmp_path, "features").code) == {
        "pipeline.features",
        "pipeline.TABLE",
        "pipeline.SCALE",
        "helpers.clean",
        "helpers._inner",
        "helpers.DEFAULT",
    }
    assert set(reached(tmp_path, "split").code) == {"pipeline.split", "shapes.area"}
    assert set(reached(tmp_path, "late").code) == {
        "pipeline.late",
        "shapes.perimeter",
        "shapes.Box",
        "shapes.Base",
        "pack.tools.deep",
        "pack.more.deeper",
        "pack.more.LIMIT",
    }


def test_libraries_are_those_reached(tmp_path: Path) -> None:
    """numpy is used; scipy only by a function that is not reached; the standard library goes with Python."""
    libraries = reached(tmp_path, "features").libraries
    assert set(libraries) == {"python", "numpy"}
    assert libraries["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert set(reached(tmp_path, "split").libraries) == {"python"}


@pytest.mark.parametrize(
    ("function", "change"),
    [
        ("features", {"helpers": ("# a comment", "# another\n")}),
        ("features", {"helpers": ('"Docstring."', '"Other."')}),
        ("features", {"helpers": ('        "Docstring."\n', "")}),
        ("features", {"helpers": ("_inner(x, DEFAULT)", "(_inner(x,   DEFAULT))")}),
        ("features", {"pipeline": ("OTHER = 9", "OTHER = 10")}),
        ("features", {"pipeline": ("@step\n    def features", "@step(cpus=2)\n    def features")}),
        ("split", {"pipeline": ("return helpers.clean(rentals)", "return 7")}),
        ("split", {"shapes": ("UNUSED = 4", "UNUSED = 5")}),
        ("late", {"shapes": ('"The width."', '"How wide."')}),
    ],
)
def test_what_does_not_count(tmp_path: Path, function: str, change: dict[str, tuple[str, str]]) -> None:
    """Comments, docstrings, blanks, our decorators, unreached code, and a step that shares a parameter's name."""
    assert reached(tmp_path, function) == reached(tmp_path, function, **change)


@pytest.mark.parametrize(
    ("function", "change"),
    [
        ("features", {"helpers": ("x + y", "x - y")}),
        ("features", {"helpers": ("DEFAULT = 1", "DEFAULT = 2")}),
        ("features", {"pipeline": ('TABLE["b"] = SCALE', 'TABLE["b"] = 4')}),
        ("features", {"pipeline": ("SCALE = 3", "SCALE = 3.0")}),
        ("features", {"pipeline": ("np.float64(1)", "np.float64(True)")}),
        ("late", {"shapes": ("return self.x", "return -self.x")}),
        ("late", {"more": ("LIMIT = 1", "LIMIT = '1'")}),
        ("late", {"more": ("return x", "return y")}),
    ],
)
def test_what_counts(tmp_path: Path, function: str, change: dict[str, tuple[str, str]]) -> None:
    """Anything reached, however far away."""
    assert reached(tmp_path, function) != reached(tmp_path, function, **change)


def test_a_module_used_as_a_value_counts_whole(tmp_path: Path) -> None:
    """``vars(helpers)`` could use any of it."""
    source = write_project(tmp_path, "import h\n@step\ndef a(): return vars(h)\n", h="def x(): return 1\n")
    before = CodeIndex(source).reached("pipeline", "a")
    source = write_project(tmp_path, "import h\n@step\ndef a(): return vars(h)\n", h="def x(): return 2\n")
    assert set(before.code) == {"pipeline.a", "h", "h.x"}
    assert CodeIndex(source).reached("pipeline", "a") != before


def test_star_imports_are_searched(tmp_path: Path) -> None:
    """A name from ``from h import *`` is found in h."""
    source = write_project(tmp_path, "from h import *\n@step\ndef a(): return len(x())\n", h="def x(): return [1]\n")
    assert set(CodeIndex(source).reached("pipeline", "a").code) == {"pipeline.a", "h.x"}


def test_code_under_if_and_try_is_found(tmp_path: Path) -> None:
    """Either branch may be the one that runs."""
    text = """
        try:
            from h import fast as work
        except ImportError:
            def work(): return 1
        @step
        def a(): return work()
    """
    source = write_project(tmp_path, text, h="def fast(): return 1\n")
    assert {"pipeline.a", "pipeline.work", "h.fast"} <= set(CodeIndex(source).reached("pipeline", "a").code)


def test_circles_end(tmp_path: Path) -> None:
    """Modules that import each other and functions that call themselves are read once."""
    source = write_project(
        tmp_path,
        "import h\ndef f(n): return h.g(n)\n@step\ndef a(): return f(1)\n",
        h="import pipeline\ndef g(n): return pipeline.f(n)\n",
    )
    assert set(CodeIndex(source).reached("pipeline", "a").code) == {"pipeline.a", "pipeline.f", "h.g"}


def test_a_step_of_an_installed_package_counts_by_its_version(tmp_path: Path) -> None:
    """Its source is not the project's; another release is another computation."""
    source = write_project(tmp_path, "from numpy import mean\n")
    reached = CodeIndex(source).reached("numpy", "mean")
    assert reached.code == {}
    assert "numpy" in reached.libraries


RESOURCE = """
from kairos import Dlt, Rows, source

def pages(): return 1

def trips(): return pages()

@source(every="1d", reads=Dlt(trips, cursor="at"))
def rentals(rows: Rows): return rows.table()

@source(every="1d", reads=Dlt(make({"path": "a"}), cursor="at"))
def inline(rows: Rows): return rows.table()
"""


@pytest.mark.parametrize(
    ("function", "old", "new", "differs"),
    [
        ("rentals", "return 1", "return 2", True),
        ("rentals", '"path": "a"', '"path": "b"', False),
        ("inline", '"path": "a"', '"path": "b"', True),
        ("inline", "return 1", "return 2", False),
    ],
)
def test_what_makes_a_resource_of_dlt_counts(tmp_path: Path, function: str, old: str, new: str, differs: bool) -> None:
    """A function that is named in the decorator, with all that it reaches; and what is written out there."""
    before = CodeIndex(write_project(tmp_path, RESOURCE)).reached("pipeline", function).code
    after = CodeIndex(write_project(tmp_path, RESOURCE.replace(old, new))).reached("pipeline", function).code
    assert (before != after) is differs
