"""Measuring contenders in turns (A B A B), so that a busy minute hits all of them, and printing what came out.

A benchmark is a function from a ``Setting`` to figures; ``main`` gives it a temporary folder and options.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

__all__ = ["US", "Figure", "Sample", "Setting", "Turn", "command", "main", "take_turns", "timed"]

US = "kairos"
"""The contender that the others are compared with."""

_HIGHER_IS_BETTER = {"requests/s"}
_DISTRIBUTIONS = {"kairos": "kairos-ml"}


class Sample(NamedTuple):
    """One measurement."""

    job: str
    value: float
    unit: str


Turn = Callable[[], Iterable[Sample]]
"""One contender does its jobs once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a benchmark works with."""

    folder: Path
    """Empty; removed at the end, whatever happens."""
    environment: Mapping[str, str]
    """For processes: this interpreter's commands first, a home of its own, no telemetry."""
    peers: tuple[str, ...]
    """Commands to compare with."""
    rounds: int
    quick: bool
    """As little as shows that the script works; such figures mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one contender needed for one job, a value for each round."""

    job: str
    who: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return median(self.values)


def take_turns(contenders: Mapping[str, Turn], rounds: int) -> list[Figure]:
    """Lets each contender do its jobs, then again from the first one; figures are in the order of jobs."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for _ in range(rounds):
        for who, turn in contenders.items():
            for sample in turn():
                values.setdefault((sample.job, who, sample.unit), []).append(sample.value)
    jobs = list(dict.fromkeys(job for job, _, _ in values))
    figures = [Figure(job=job, who=who, unit=unit, values=tuple(seen)) for (job, who, unit), seen in values.items()]
    return sorted(figures, key=lambda figure: jobs.index(figure.job))  # stable: contenders keep their order


def timed(setting: Setting, *arguments: str | Path, folder: Path | None = None) -> float:
    """Seconds that a command takes from its start to its end; its output comes up only if it fails."""
    started = perf_counter()
    done = subprocess.run(
        arguments, cwd=folder or setting.folder, env=dict(setting.environment), capture_output=True, text=True
    )
    took = perf_counter() - started
    if done.returncode:
        shown = " ".join(str(argument) for argument in arguments)
        raise SystemExit(f"error: {shown!r} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return took


def command(name: str) -> Path:
    """The command of this name that belongs to this interpreter."""
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise SystemExit(
            f"error: {name!r} is not installed beside {sys.executable}, so there is nothing to compare with.\n"
            f"  It is a dependency for developing. Type: make setup. Or leave it out: --without {name}"
        )
    return path


def main(title: str, peers: Sequence[str], measure: Callable[[Setting], list[Figure]], *, rounds: int) -> int:
    """Measures and prints a table, or with ``--json`` the same for machines.

    Args:
        title: What is measured.
        peers: Commands that have to be there.
        measure: The benchmark.
        rounds: How many turns each contender has, if not told otherwise.
    """
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="only see whether it works; the figures mean nothing")
    parser.add_argument("--rounds", type=int, default=rounds, help="turns of each contender (default: %(default)s)")
    parser.add_argument("--without", action="append", default=[], choices=peers, help="leave out a peer")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds: at least 1")
    chosen = tuple(name for name in peers if name not in args.without)
    for name in (US, *chosen):
        command(name)
    at, load_before = datetime.now(UTC), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="kairos-bench-", ignore_cleanup_errors=True) as folder:
        rounds = 1 if args.quick else args.rounds
        figures = measure(_setting(Path(folder), chosen, rounds=rounds, quick=args.quick))
    machine = {
        "at": at.isoformat(timespec="seconds"),
        "quick": args.quick,
        "cores": os.cpu_count(),
        "load_before": load_before,
        "load_after": os.getloadavg()[0],
        "versions": {
            "python": platform.python_version(),
            **{name: version(_DISTRIBUTIONS.get(name, name)) for name in (US, *chosen)},
        },
    }
    if args.json:
        print(json.dumps({"title": title, **machine, "figures": [_plain(f, figures) for f in figures]}, indent=2))
    else:
        _print_table(title, machine, figures)
    return 0


def _setting(folder: Path, peers: tuple[str, ...], *, rounds: int, quick: bool) -> Setting:
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "DVC_SITE_CACHE_DIR": str(home / "dvc"),  # else DVC would leave files in /var/tmp
        "DVC_NO_ANALYTICS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",  # what Kairos sets for itself: more threads slow down a model's answer to one row
    }
    return Setting(folder=work, environment=environment, peers=peers, rounds=rounds, quick=quick)


def _ratio(figure: Figure, figures: Sequence[Figure]) -> float | None:
    """How many times better Kairos is at the same job; below 1 the other one is."""
    ours = [other.median for other in figures if (other.job, other.who) == (figure.job, US)]
    if figure.who == US or not ours:
        return None
    return ours[0] / figure.median if figure.unit in _HIGHER_IS_BETTER else figure.median / ours[0]


def _plain(figure: Figure, figures: Sequence[Figure]) -> dict[str, object]:
    return {
        "job": figure.job,
        "who": figure.who,
        "unit": figure.unit,
        "median": figure.median,
        "values": figure.values,
        "kairos_times_better": _ratio(figure, figures),
    }


def _print_table(title: str, machine: Mapping[str, object], figures: Sequence[Figure]) -> None:
    rows = [("", "", "median", "from .. to", "", "kairos is better by")]
    shown = ""
    for figure in figures:
        ratio = _ratio(figure, figures)
        low, high = min(figure.values), max(figure.values)
        rows.append(
            (
                figure.job if figure.job != shown else "",
                figure.who,
                f"{figure.median:.3g}" if figure.median < 100 else f"{figure.median:.0f}",
                f"{low:.3g} .. {high:.3g}" if high < 100 else f"{low:.0f} .. {high:.0f}",
                figure.unit,
                "" if ratio is None else f"{ratio:.2g} x" if ratio < 10 else f"{ratio:.0f} x",
            )
        )
        shown = figure.job
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(title)
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    versions = machine["versions"]
    assert isinstance(versions, dict)
    print(
        f"  {machine['at']}, {machine['cores']} cores, load {machine['load_before']:.1f} before and"
        f" {machine['load_after']:.1f} after; " + ", ".join(f"{name} {number}" for name, number in versions.items())
    )
    if machine["quick"]:
        print("  --quick: these figures mean nothing")
