"""The graph comes from names; every mistake is named before anything runs."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import GraphError, StepFailed, UsageError
from kairos.pipeline.declare import StepSpec
from kairos.pipeline.graph import Graph
from tests.pipeline.projects import graph_of

CHAIN = """
    class Split(NamedTuple):
        train: int
        holdout: int

    @source
    def rentals(window: Window) -> int: return 1
    @step
    def features(rentals: int, *, lag: int = 1) -> int: return rentals + lag
    @step
    def split(features: int) -> Split: return Split(features, features)
    @model(target="users")
    def demand(train: int) -> object: return object()
    def helper(x: int) -> int: return x
"""


def test_edges_come_from_parameter_names(tmp_path: Path) -> None:
    """A parameter names a step or a field; plain functions are no steps."""
    graph = graph_of(tmp_path, CHAIN)
    assert list(graph.nodes) == ["rentals", "features", "split", "demand"]
    assert graph.nodes["split"].outputs == ("split.train", "split.holdout")
    assert dict(graph.nodes["demand"].inputs) == {"train": "split.train"}
    assert graph.nodes["demand"].upstream == {"split"}
    assert graph.artifact("holdout") == graph.artifact("split.holdout") == "split.holdout"


def test_loading_leaves_no_trace(tmp_path: Path) -> None:
    """The project's modules and folder are not importable afterwards, and no byte code is written."""
    graph_of(tmp_path, "import helpers_of_test\n" + CHAIN.replace("\n    ", "\n"), helpers_of_test="X = 1\n")
    assert "helpers_of_test" not in sys.modules
    assert str(tmp_path) not in sys.path
    assert not list(tmp_path.rglob("*.pyc"))


@given(st.data())
def test_order_of_declaration_does_not_matter(data: st.DataObject) -> None:
    """Any random acyclic graph gives the same order however its steps are listed, each step after what it reads."""
    count = data.draw(st.integers(1, 8))
    specs = []
    for index in range(count):
        reads = data.draw(st.lists(st.integers(0, index - 1), unique=True)) if index else []
        specs.append(_spec(f"s{index}", tuple(f"s{each}" for each in reads)))
    shuffled = specs[:]
    random.Random(data.draw(st.integers(0, 99))).shuffle(shuffled)
    order = list(Graph.from_specs(shuffled).nodes)
    assert order == list(Graph.from_specs(specs).nodes)
    assert all(order.index(upstream) < order.index(spec.name) for spec in specs for upstream in spec.inputs)


def _spec(name: str, inputs: tuple[str, ...]) -> StepSpec:
    def work() -> int:
        return 1

    return StepSpec(
        name=name,
        kind="step",
        function=work,
        inputs=inputs,
        takes_window=False,
        takes_seed=False,
        params={},
        seed=0,
    )


MISTAKES = {
    "cycle": (
        """
        @step
        def b(a): return a
        @step
        def c(b): return b
        @step
        def a(c): return c
        """,
        r"The steps go round in a circle. Given: a -> b -> c -> a\.",
    ),
    "own result": ("@step\ndef a(a): return a", r"circle. Given: a -> a\."),
    "typo": (
        "@step\ndef features(): return 1\n@step\ndef split(feautres): return 1",
        r"Step 'split' reads 'feautres', which no step makes. Accepted: features. Did you mean 'features'\?",
    ),
    "no such name": ("@step\ndef a(lag): return 1", r"put '\*' before it: def a\(\.\.\., \*, lag\)"),
    "window in a step": ("@step\ndef a(window): return 1", "Only a @source receives the window"),
    "whole tuple": (
        "class S(NamedTuple):\n  x: int\n  y: int\n@step\ndef s() -> S: ...\n@step\ndef t(s): return s",
        r"reads 's', which makes several artifacts. Accepted: x, y\.",
    ),
    "ambiguous": (
        """
        class S(NamedTuple):
            train: int
        @step
        def one() -> S: ...
        @step
        def two() -> S: ...
        @step
        def three(train): return 1
        """,
        r"Input 'train' of step 'three' could be one.train or two.train\.",
    ),
    "twice in a file": (
        "@step\ndef a(): return 1\n@step(cpus=2)\ndef a(): return 2",
        r"Step 'a' is defined twice in pipeline.py, in lines 6 and 8\.",
    ),
    "twice under other names": (
        "from other import a as first\n@step\ndef a(): return 1",
        r"Two functions declare the step 'a'. Given: other.py line \d+ and pipeline.py line 6\.",
    ),
    "clock in a default": (
        "import time\n@step\ndef a(*, now=time.time()): return now",
        r"Param 'now' of step 'a' has a default that is computed when the file is read, .* Given: time.time\(\)",
    ),
    "nested call in a default": (
        "import random\n@step\ndef a(*, n=(1, random.randint(0, 9))): return n",
        r"Given: random.randint\(0, 9\)",
    ),
    "object as default": (
        "X = object()\n@step\ndef a(*, x=X): return 1",
        "Param 'x' of step 'a' has a default that cannot be written down. Given: object",
    ),
    "iterator": (
        "from collections.abc import Iterator\n@step\ndef a() -> Iterator[int]: return iter([1])",
        r"Step 'a' returns something that cannot be stored. Given: collections.abc.Iterator\[int\]",
    ),
    "callable": ("from typing import Callable\n@step\ndef a() -> Callable[[], int]: return int", "cannot be stored"),
    "open file": ("from typing import TextIO\n@step\ndef a() -> TextIO: return open('x')", "cannot be stored"),
    "binary file": ("import io\n@step\ndef a() -> io.BufferedReader: return open('x', 'rb')", "Given: BufferedReader"),
    "lock": ("from threading import Lock\n@step\ndef a() -> Lock: return Lock()", "cannot be stored"),
    "field with a generator": (
        "from typing import Generator\nclass S(NamedTuple):\n  x: Generator[int, None, None]\n@step\ndef a() -> S: ...",
        "cannot be stored",
    ),
    "lazy frame": ("import polars as pl\n@step\ndef a() -> pl.LazyFrame: ...", r"Return frame.collect\(\)"),
    "yield": ("@step\ndef a():\n  yield 1", "Step 'a' yields; a step returns its result"),
    "async": ("@step\nasync def a(): return 1", "Step 'a' is 'async'"),
    "an option": (
        'x = 1\n@step(timeout="200ms")\ndef a(): return 1',
        r"pipeline.py, line \d+: A length of time .*'7d'\.$",
    ),
    "no steps": ("x = 1", "pipeline.py declares no steps"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(tmp_path: Path, name: str) -> None:
    """Each mistake gets its own sentence with the names in it."""
    text, message = MISTAKES[name]
    with pytest.raises(GraphError, match=message):
        graph_of(tmp_path, text, other="from kairos.pipeline import step\n@step\ndef a():\n    return 3\n")


def test_defaults_that_cannot_change_are_accepted(tmp_path: Path) -> None:
    """Dates, lengths of time, tuples and constants are fine."""
    graph = graph_of(
        tmp_path,
        """
        from datetime import date, timedelta
        LAGS = (1, 24)
        @step
        def a(*, lags=LAGS, start=date(2011, 1, 1), gap=timedelta(days=1), words=frozenset({"x"}), t=tuple([1])):
            return 1
        """,
    )
    assert graph.nodes["a"].spec.params["lags"] == (1, 24)


def test_an_unknown_step_or_artifact_is_answered_with_the_nearest(tmp_path: Path) -> None:
    """Names typed by a person get a hint."""
    graph = graph_of(tmp_path, CHAIN)
    with pytest.raises(UsageError, match=r"There is no step 'featurs'.*Did you mean 'features'"):
        graph.node("featurs")
    with pytest.raises(UsageError, match=r"'split.trian' names no artifact.*Did you mean 'split.train'"):
        graph.artifact("split.trian")


def test_a_file_that_raises_keeps_its_own_traceback(tmp_path: Path) -> None:
    """Only the project's frames are shown."""
    with pytest.raises(StepFailed, match=r"pipeline.py cannot be loaded: KeyError: 'x'") as caught:
        graph_of(tmp_path, "{}['x']")
    trace = caught.value.facts["traceback"]
    assert "pipeline.py" in trace
    assert "importlib" not in trace


def test_a_relative_import_in_the_pipelines_file_is_told_what_to_write(tmp_path: Path) -> None:
    """The file is a module by itself, so Python's own words lead nowhere."""
    with pytest.raises(StepFailed, match=r"no known parent package.*Write: from PACKAGE import NAME"):
        graph_of(tmp_path, "from . import clean")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The setting to change is in the message."""
    from kairos.pipeline.project import PipelineSource, load_module

    with pytest.raises(GraphError, match=r"no such pipeline file. Given: steps.py. Set \[project\] pipeline"):
        load_module(PipelineSource(root=tmp_path, file="steps.py"), keep=False)
