"""A first draft of a table's contract, as code of Pandera that a person reviews. It is text: no Pandera is needed."""

from __future__ import annotations

import itertools
import json
import keyword
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from kairos.errors import DataRefused
from kairos.pipeline.diff.files import TableFiles

__all__ = ["class_name", "draft_contract"]

_MOST_LEVELS = 20
_TRIED_ROWS = 20_000
_TRIED_COLUMNS = 8
_NOT_DRAFTED = (pl.List, pl.Array, pl.Struct, pl.Decimal, pl.Enum, pl.Categorical, pl.Object, pl.Null)
"""Types that need more than their name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a column was like."""

    name: str
    kind: pl.DataType
    missing: int
    least: Any = None
    most: Any = None
    levels: tuple[str, ...] = ()
    """All of them, if they are few and each is shared; else none."""


def draft_contract(table: TableFiles, *, name: str, fewest: Callable[[int], int]) -> str:
    """Python code that declares what the table is like: types, what is missing, ranges, levels, what names a row.

    The same rows give the same text. Ranges are widened to two significant digits; times have none, as they go on.
    Words are listed if they are 20 at most, each shared by enough rows.

    Args:
        table: The rows that it is drafted from.
        name: Of the class.
        fewest: How many rows of so many have to share a word before it is written down: it may be about a person.

    Raises:
        DataRefused: the table has no rows, so nothing can be said.
        StoreError: it cannot be read.
    """
    with table.named():
        return _drafted(table, name=name, fewest=fewest)


def _drafted(table: TableFiles, *, name: str, fewest: Callable[[int], int]) -> str:
    scan, schema = table.scan(), table.schema()
    rows = int(scan.select(pl.len()).collect(engine="streaming").item())
    if not rows:
        raise DataRefused(f"{table.name} has no rows, so nothing can be drafted from it.", accepted="a table with rows")
    plain = pl.Schema({column: kind for column, kind in schema.items() if not isinstance(kind, _NOT_DRAFTED)})
    seen, left = _look(scan, plain, fewest(rows)), [column for column in schema if column not in plain]
    told = table.name.replace('"', "'").replace("\\", "/")
    key = _find_key(scan, schema, seen, rows)
    lines = [
        f'"""What {told} was like in {rows:,} rows: a draft of `kairos data contract infer`, to be reviewed.',
        "",
        f"Use it as the annotation of a step: ``def step(...) -> DataFrame[{name}]``. Widen what will grow, tighten",
        "what must not; with ``raise_warning=True`` a check of a field warns, and the run goes on.",
        '"""',
        "",
        *(["from typing import Annotated", ""] if any("Annotated" in _type(one.kind) for one in seen) else []),
        "import pandera.polars as pa",
        "import polars as pl",
        "from pandera.typing.polars import DataFrame",
        "",
        f"__all__ = [{', '.join(map(_quoted, sorted(['DataFrame', name])))}]",
        "",
        "",
        f"class {name}(pa.DataFrameModel):",
        f'    """{_sentence(key)}"""',
        "",
        *(f"    {line}" for one in seen for line in _field(one)),
        "",
        "    class Config:",
        *([f"        # not drafted: {', '.join(left)}"] if left else ["        strict = True  # no other columns"]),
        *([f"        unique = [{', '.join(map(_quoted, key))}]"] if key else []),
    ]
    return "\n".join(lines) + "\n"


def class_name(what: str) -> str:
    """A name for the class of an artifact or a file.

    >>> class_name("split.train"), class_name("data/raw-2011.csv.gz")
    ('SplitTrain', 'Raw2011')
    """
    stem = re.sub(r"(\.(csv|parquet|pq|jsonl|ndjson|arrow|ipc|feather|gz|zst|dvc))+$", "", what.rpartition("/")[2])
    words = re.findall(r"[A-Za-z0-9]+", stem.partition("@")[0])
    name = "".join(word[0].upper() + word[1:] for word in words)
    return name if name.isidentifier() else f"Table{name}"


def _look(scan: pl.LazyFrame, schema: pl.Schema, fewest: int) -> list[_Seen]:
    asked = []
    for name, kind in schema.items():
        column = pl.col(name)
        missing = column.null_count() + (column.is_nan().sum() if kind.is_float() else 0)
        asked.append(missing.alias(f"n:{name}"))
        if kind.is_numeric():
            known = column.fill_nan(None) if kind.is_float() else column
            asked += [known.min().alias(f"l:{name}"), known.max().alias(f"m:{name}")]
    told = scan.select(asked).collect(engine="streaming").row(0, named=True)
    return [
        _Seen(
            name=name,
            kind=kind,
            missing=told[f"n:{name}"],
            least=told.get(f"l:{name}"),
            most=told.get(f"m:{name}"),
            levels=_levels(scan, name, fewest) if kind == pl.String else (),
        )
        for name, kind in schema.items()
    ]


def _levels(scan: pl.LazyFrame, name: str, fewest: int) -> tuple[str, ...]:
    counts = scan.select(pl.col(name).drop_nulls()).group_by(name).len().head(_MOST_LEVELS + 1).collect()
    if not counts.height or counts.height > _MOST_LEVELS or (counts["len"] < fewest).any():
        return ()
    return tuple(sorted(counts[name].to_list()))


def _find_key(scan: pl.LazyFrame, schema: pl.Schema, seen: list[_Seen], rows: int) -> tuple[str, ...]:
    """One or two columns that name a row, the first that do; found on some rows, and proven on all."""
    likely = [
        one.name for one in seen if not one.missing and not schema[one.name].is_float() and not one.kind.is_nested()
    ]
    head = scan.head(_TRIED_ROWS).collect()
    pairs = itertools.combinations(likely[:_TRIED_COLUMNS], 2)
    for columns in [*((name,) for name in likely), *pairs]:
        if head.select(pl.struct(columns).n_unique()).item() != head.height or head.height < 2:
            continue
        if scan.select(pl.struct(columns).n_unique()).collect(engine="streaming").item() == rows:
            return columns
    return ()


def _field(one: _Seen) -> list[str]:
    """The lines of a field."""
    said = []
    attribute = one.name
    if not one.name.isidentifier() or keyword.iskeyword(one.name) or one.name.startswith("_"):
        attribute = "column_" + re.sub(r"\W", "_", one.name)
        said.append(f"alias={_quoted(one.name)}")
    if one.missing:
        said.append("nullable=True")
    kind = _type(one.kind)
    if one.least is not None and math.isfinite(float(one.least)) and math.isfinite(float(one.most)):
        low, high = _outward(float(one.least), float(one.most), is_whole=one.kind.is_integer())
        said += [f"ge={low}", f"le={high}"]
    if one.levels:
        said.append(f"isin=[{', '.join(map(_quoted, one.levels))}]")
    line = f"{attribute}: {kind} = pa.Field({', '.join(said)})"
    if len(line) <= 112:
        return [line]
    return [f"{attribute}: {kind} = pa.Field(", *(f"    {each}," for each in said), ")"]


def _type(kind: pl.DataType) -> str:
    """The type as code that Pandera takes."""
    if isinstance(kind, pl.Datetime):
        return f'Annotated[pl.Datetime, "{kind.time_unit}", {kind.time_zone and _quoted(kind.time_zone)}]'
    if isinstance(kind, pl.Duration):
        return f'Annotated[pl.Duration, "{kind.time_unit}"]'
    return f"pl.{type(kind).__name__}"


def _outward(low: float, high: float, *, is_whole: bool) -> tuple[str, str]:
    """The range, widened to two significant digits of its larger end.

    >>> _outward(-7.06, 39.36, is_whole=False), _outward(1, 977, is_whole=True)
    (('-8.0', '40.0'), ('0', '980'))
    """
    largest = max(abs(low), abs(high))
    digits = 0 if largest == 0 else 1 - math.floor(math.log10(largest))
    step = 10.0**-digits
    if is_whole and step < 1:
        digits, step = 0, 1.0
    found = [round(math.floor(low / step) * step, max(digits, 0)), round(math.ceil(high / step) * step, max(digits, 0))]
    return (str(int(found[0])), str(int(found[1]))) if is_whole else (str(found[0]), str(found[1]))


def _sentence(key: tuple[str, ...]) -> str:
    return f"One row for each {' and '.join(key)}." if key else "Nothing was found that names a row."


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # what JSON writes of a text, Python reads
