"""Options and tables of the simulations."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from time import perf_counter

__all__ = ["Row", "main", "share"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One simulated figure."""

    table: str
    case: str
    who: str
    figure: str
    value: str


def share(hits: float, runs: int) -> str:
    """A simulated chance, with its standard error where it says something."""
    return f"{hits:.3f}" if runs >= 1000 else f"{hits:.2f}"


def main(title: str, simulate: Callable[[int], Sequence[Row]], *, runs: int, quick: int = 40) -> int:
    """Simulates and prints tables, or JSON.

    Args:
        title: What is simulated.
        simulate: From the number of replications to figures.
        runs: How many, if not told otherwise.
        quick: How many with ``--quick``.
    """
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="only see whether it works; the figures mean nothing")
    parser.add_argument("--runs", type=int, default=runs, help="replications (default: %(default)s)")
    parser.add_argument("--rounds", type=int, help="for other benchmarks; here it means nothing")
    args = parser.parse_args()
    chosen = quick if args.quick else args.runs
    started = perf_counter()
    rows = simulate(chosen)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    if args.json:
        print(
            json.dumps({"title": title, "at": at, "runs": chosen, "figures": [asdict(row) for row in rows]}, indent=2)
        )
        return 0
    print(f"{title} ({chosen:,} replications)")
    for table in dict.fromkeys(row.table for row in rows):
        _print_table(table, [row for row in rows if row.table == table])
    took = perf_counter() - started
    print(f"  {at}, {took:.0f} s, {os.cpu_count()} cores" + ("; --quick: these figures mean nothing" * args.quick))
    return 0


def _print_table(title: str, rows: Sequence[Row]) -> None:
    """A line for each case and contender, a column for each figure."""
    figures = list(dict.fromkeys(row.figure for row in rows))
    lines = [["", "", *figures]]
    for case, who in dict.fromkeys((row.case, row.who) for row in rows):
        cells = {row.figure: row.value for row in rows if (row.case, row.who) == (case, who)}
        shown = "" if len(lines) > 1 and any(line[0] == case for line in lines) else case
        lines.append([shown, who, *(cells.get(figure, "") for figure in figures)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    print(f"\n  {title}")
    for line in lines:
        print("    " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
