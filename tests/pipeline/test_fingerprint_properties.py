"""Fingerprints are the same wherever they are made, and change exactly when something that matters changes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairos.pipeline.code import CodeIndex
from kairos.pipeline.frames import encode_frame
from kairos.store import Store
from tests.pipeline.projects import Place, statuses, write_project

FILES = {
    "helper": """
        import third
        LIMIT = {"a": 1, "b": 2}

        def clean(rows):
            # what a person reads
            return deep(rows)

        def deep(rows):
            'What a person reads.'
            return [row for row in rows if row < LIMIT["b"]]

        def unused(rows): return third.count(rows)
    """,
    "third": "def count(rows): return len(rows)\n",
}
TEXT = """
    import helper
    import hypothesis
    @step
    def rows() -> list: return list(range(5))
    @step
    def kept(rows: list, *, least: int = 0, names: tuple = ("a", "b"), bounds: dict = {"low": 0, "high": 9}) -> list:
        hypothesis.assume
        return [row for row in helper.clean(rows) if row >= least]
"""

Edit = Callable[[dict[str, str], str], tuple[dict[str, str], str]]


def _in(name: str, before: str, after: str) -> Edit:
    return lambda files, text: ({**files, name: files[name].replace(before, after)}, text)


def _here(before: str, after: str) -> Edit:
    return lambda files, text: (files, text.replace(before, after))


MATTERS = {
    "the body": _here("row >= least", "row > least"),
    "a default": _here("least: int = 0", "least: int = 1"),
    "a default's type": _here("least: int = 0", "least: float = 0.0"),
    "a default within a dict": _here('"high": 9', '"high": 8'),
    "a helper two calls away": _in("helper", 'row < LIMIT["b"]', 'row <= LIMIT["b"]'),
    "a constant that it uses": _in("helper", '"b": 2', '"b": 3'),
}
DOES_NOT = {
    "a comment": _in("helper", "# what a person reads", "# what nobody reads"),
    "a docstring": _in("helper", "'What a person reads.'", "'What nobody reads.'"),
    "a blank line": _in("helper", "LIMIT =", "\n\n        LIMIT ="),
    "a function that it does not reach": _in("helper", "third.count(rows)", "third.count(rows) + 1"),
    "a module that it does not reach": _in("third", "len(rows)", "len(rows) + 1"),
    "limits": _here("@step\n    def kept", "@step(timeout='1h', retries=2, memory='4GB', cpus=2)\n    def kept"),
    "quotes and brackets": _here(
        "[row for row in helper.clean(rows) if row >= least]", "[row for row in (helper.clean(rows)) if (row >= least)]"
    ),
}


@pytest.mark.parametrize("what", [*MATTERS, *DOES_NOT])
def test_code_counts_exactly_where_it_matters(place: Place, what: str) -> None:
    """The step runs again, or it does not; the step before it never does."""
    place.write(TEXT, **FILES)
    assert place.run().ok
    files, text = (MATTERS | DOES_NOT)[what](FILES, TEXT)
    assert (files, text) != (FILES, TEXT)
    place.write(text, **files)
    assert statuses(place.run()) == {"rows": "reused", "kept": "ran" if what in MATTERS else "reused"}


def test_a_pinned_library_counts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of what it reaches; another version of what it does not reach does not."""
    place.write(TEXT, **FILES)
    first = place.run()
    real = CodeIndex.reached

    def reached(self: CodeIndex, module: str, function: str):  # type: ignore[no-untyped-def]
        found = real(self, module, function)
        newer = {**found.libraries, **({"hypothesis": "999"} if "hypothesis" in found.libraries else {})}
        return type(found)(code=found.code, libraries=newer)

    monkeypatch.setattr(CodeIndex, "reached", reached)
    place.cache._connection.execute("DELETE FROM notes")
    again = place.run()
    assert [one.fingerprint == other.fingerprint for one, other in zip(first.steps, again.steps, strict=True)] == [
        True,
        False,
    ]
    assert place.why("kept")[0].startswith("library hypothesis:")


PRINT = """
import sys
from pathlib import Path
from kairos.pipeline.engine.local import LocalEngine
from tests.pipeline.projects import Place
with LocalEngine(workers=1) as engine:
    print([step.fingerprint for step in Place(Path(sys.argv[1]), engine).run().steps])
"""


def test_fingerprints_are_the_same_in_every_process(tmp_path: Path) -> None:
    """Whatever the order of sets and dicts there, and wherever the project lies."""
    said = set()
    for seed in ("0", "1", "4242"):
        root = tmp_path / seed / "project"
        root.mkdir(parents=True)
        write_project(root, TEXT, **FILES)
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PRINT, str(root)]
        done = subprocess.run(
            command, cwd=Path(__file__).parents[2], env=environment, check=True, capture_output=True, text=True
        )
        said.add(done.stdout)
    assert len(said) == 1


TABLE = pl.DataFrame(
    {
        "n": range(20_000),
        "day": pl.date_range(pl.date(2011, 1, 1), pl.date(2065, 10, 3), eager=True)[:20_000],
        "name": [f"station {n % 7}" for n in range(20_000)],
        "level": [float(n) / 3 for n in range(20_000)],
    }
)
COLUMNS = {"n": pl.Int64, "day": pl.Date, "name": pl.String, "level": pl.Float64}


@settings(max_examples=25, deadline=None)
@given(row=st.one_of(st.just(10_000), st.integers(0, 19_999)), column=st.sampled_from(sorted(COLUMNS)))
def test_every_cell_of_a_table_counts(tmp_path_factory: pytest.TempPathFactory, row: int, column: str) -> None:
    """Row 10,001 as well as the first, a date as well as a number; the same table has the same identity."""
    store = Store(tmp_path_factory.getbasetemp() / "cells")
    other = TABLE.with_columns(
        pl.when(pl.int_range(pl.len()) == row).then(pl.lit(None)).otherwise(pl.col(column)).alias(column)
    )
    identity = encode_frame(store, TABLE, name="t").identity
    assert encode_frame(store, other, name="t").identity != identity
    assert encode_frame(store, TABLE.clone(), name="t").identity == identity


@pytest.mark.parametrize(
    "change",
    [
        pl.col("n").cast(pl.Int32),
        pl.col("level").cast(pl.Float32),
        pl.col("day").cast(pl.Datetime("us")),
        pl.col("name").cast(pl.Categorical),
    ],
    ids=["Int32", "Float32", "Datetime", "Categorical"],
)
def test_the_type_of_a_column_counts(tmp_path: Path, change: pl.Expr) -> None:
    """Equal values of another type are another table."""
    store = Store(tmp_path)
    before = encode_frame(store, TABLE, name="t")
    assert encode_frame(store, TABLE.with_columns(change), name="t").identity != before.identity
    assert encode_frame(store, TABLE.select(sorted(TABLE.columns)), name="t").identity != before.identity
