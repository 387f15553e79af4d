"""Two versions of a table with 1 and with 10 million rows compared by key: how long it takes, and how much memory.

Run: ``python -m benchmarks.data.diff``. Both versions are Parquet, in an order of their own; of a thousand rows one was
removed, one added and one was changed in one column. Each contender is a process of its own; its time is that of the
whole process, and its memory the largest that the system saw.

*pandas merge* is what a person writes: an outer merge by the key with an indicator, and each column compared. It counts
rows and columns only; Kairos also tells ranges, means and distances of every column.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

from benchmarks.side_by_side import US, Figure, Findings, Goal, Sample, Setting, command, main, median_of, take_turns

ROWS = (1_000_000, 10_000_000)

MAKE = """
import sys
import numpy as np
import polars as pl
rows, folder = int(sys.argv[1]), sys.argv[2]
rng = np.random.default_rng(0)
ids = np.arange(rows)
before = pl.DataFrame({
    "id": ids, "at": pl.Series(1_300_000_000_000_000 + ids * 60_000_000).cast(pl.Datetime("us", "UTC")),
    "temperature": rng.normal(15, 8, rows).round(2), "wind": rng.gamma(2, 6, rows), "users": rng.poisson(180, rows),
    "season": rng.choice(["spring", "summer", "fall", "winter"], rows), "workingday": rng.random(rows) < 0.68,
    "humidity": np.where(rng.random(rows) < 0.05, np.nan, rng.random(rows)),
})
at = pl.col("id") % 1000
changed = pl.when(at == 7).then(pl.col("temperature") + 1).otherwise(pl.col("temperature"))
after = before.filter(at != 3).with_columns(temperature=changed)
new = before.filter(at == 5).with_columns(pl.col("id") + rows)
before.write_parquet(f"{folder}/before.parquet")
pl.concat([new, after]).sample(fraction=1.0, shuffle=True, seed=1).write_parquet(f"{folder}/after.parquet")
"""

PANDAS = """
import sys
import pandas as pd
before, after = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
both = before.merge(after, on="id", how="outer", suffixes=("", "_after"), indicator=True)
pairs = both[both["_merge"] == "both"]
differs = {}
for name in before.columns.drop("id"):
    one, other = pairs[name], pairs[name + "_after"]
    differs[name] = (one != other) & ~(one.isna() & other.isna())
changed = pd.DataFrame(differs).any(axis=1).sum()
print((both["_merge"] == "right_only").sum(), (both["_merge"] == "left_only").sum(), changed)
"""


def measure(setting: Setting) -> Findings:
    """Each contender compares the same files; what it says is checked."""
    sizes = (20_000, 40_000) if setting.quick else ROWS
    figures: list[Figure] = []
    for rows in sizes:
        folder = setting.folder / str(rows)
        folder.mkdir()
        subprocess.run([sys.executable, "-c", MAKE, str(rows), str(folder)], check=True, env=dict(setting.environment))
        files = [str(folder / f"{name}.parquet") for name in ("before", "after")]
        ours = [str(command(US)), "data", "diff", *files, "--key", "id", "--json"]
        theirs = [sys.executable, "-c", PANDAS, *files]
        each = f"{rows // 1000}"
        contenders = {
            US: lambda words=ours, rows=rows, each=each: _turn(setting, words, rows, f'"added": {each}'),
            "pandas merge": lambda words=theirs, rows=rows, each=each: _turn(
                setting, words, rows, f"{each} {each} {each}"
            ),
        }
        figures += take_turns(contenders, setting.rounds)
        for file in files:
            Path(file).unlink()
    small, large = (_memory(rows) for rows in sizes)
    time = _time(sizes[1])
    goals = [
        Goal(what="times as quick as pandas, largest tables", value=_ratio(figures, time), least=1.0),
        Goal(
            what="memory at ten times the rows, times",
            value=median_of(figures, large, US) / median_of(figures, small, US),
            most=2.0,
        ),
    ]
    return Findings(figures, goals)


def _ratio(figures: Sequence[Figure], job: str) -> float:
    return median_of(figures, job, "pandas merge") / median_of(figures, job, US)


def _turn(setting: Setting, words: Sequence[str], rows: int, expected: str) -> Iterator[Sample]:
    """One process; the system tells its own peak, not that of the processes before it."""
    started = perf_counter()
    with subprocess.Popen(
        words, cwd=setting.folder, env=dict(setting.environment), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took = perf_counter() - started
    if process.returncode or expected not in said:
        raise SystemExit(
            f"error: {words[0]} ended with {process.returncode} and did not say {expected!r}:\n{said[:2000]}"
        )
    yield Sample(_time(rows), took, "s")
    yield Sample(_memory(rows), _peak_mib(usage), "MiB")


def _peak_mib(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024  # Linux counts in KiB


def _time(rows: int) -> str:
    return f"{rows:,} rows by key"


def _memory(rows: int) -> str:
    return f"{rows:,} rows by key, memory"


if __name__ == "__main__":
    raise SystemExit(main("What differs between two tables", [], measure, rounds=3))
