"""Measuring contenders in turns (A B A B), so that a busy minute hits all of them, and printing what came out.

A benchmark is a function from a ``Setting`` to figures, or to ``Findings`` if it has more to say; ``main`` gives it a
temporary folder and options.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import kairos
from benchmarks.figures import US, Figure, Findings, Goal, Sample, median_of, print_said, print_table
from benchmarks.figures import plain as as_plain

__all__ = [
    "US",
    "Figure",
    "Findings",
    "Goal",
    "Sample",
    "Setting",
    "Turn",
    "command",
    "main",
    "median_of",
    "take_turns",
    "timed",
]

_DISTRIBUTIONS = {"kairos": "kairos-ml"}


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
    seconds: float = 2.0
    """How long a load lasts."""
    is_long: bool = False
    """Whether there is time for more than three minutes."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """All that was typed, with what a benchmark itself asks for."""


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


def main(
    title: str,
    peers: Sequence[str],
    measure: Callable[[Setting], Sequence[Figure] | Findings],
    *,
    rounds: int,
    apart: Sequence[str] = (),
    options: Callable[[argparse.ArgumentParser], object] = lambda parser: None,
) -> int:
    """Measures and prints a table; with ``--json`` the same for machines, into a file if one is named.

    Args:
        title: What is measured.
        peers: Commands that have to be there.
        measure: The benchmark.
        rounds: How many turns each contender has, if not told otherwise.
        apart: Peers that have an environment of their own, which the benchmark makes.
        options: Adds those of the benchmark alone.
    """
    args = _arguments(title, [*peers, *apart], rounds, options)
    compileall.compile_dir(Path(kairos.__file__).parent, quiet=2)  # as an installed package is, peers' with it
    chosen = tuple(name for name in (*peers, *apart) if name not in args.without)
    beside = [name for name in (US, *chosen) if name not in apart]
    for name in beside:
        command(name)
    at, load_before = datetime.now(UTC), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="kairos-bench-", ignore_cleanup_errors=True) as folder:
        found = measure(_setting(Path(folder), chosen, args))
    figures, goals, notes = found if isinstance(found, Findings) else Findings(found)
    machine = {
        "at": at.isoformat(timespec="seconds"),
        "quick": args.quick,
        "cores": os.cpu_count(),
        "load_before": load_before,
        "load_after": os.getloadavg()[0],
        "versions": {
            "python": platform.python_version(),
            **{name: version(_DISTRIBUTIONS.get(name, name)) for name in beside},
        },
    }
    said = {"goals": [{**asdict(goal), "is_reached": goal.is_reached} for goal in goals], "notes": [*notes]}
    plain = {"title": title, **machine, "figures": [as_plain(f, figures) for f in figures], **said}
    if args.json is not None:
        told = json.dumps(plain, indent=2)
        print(told) if args.json == "-" else Path(args.json).write_text(told + "\n")
    if args.json != "-":
        print_table(title, machine, figures)
        print_said(goals, notes)
    return 0


def _arguments(
    title: str, peers: Sequence[str], rounds: int, options: Callable[[argparse.ArgumentParser], object]
) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="print JSON, or write it beside the table")
    parser.add_argument("--quick", action="store_true", help="only see whether it works; the figures mean nothing")
    parser.add_argument("--long", action="store_true", help="three times as many rounds, each load twice as long")
    parser.add_argument("--rounds", type=int, help=f"turns of each contender (default: {rounds})")
    parser.add_argument("--seconds", type=float, help="how long a load lasts, where there is one (default: 2)")
    parser.add_argument("--without", action="append", default=[], choices=peers, help="leave out a peer")
    options(parser)
    args = parser.parse_args()
    if args.rounds is None:
        args.rounds = 1 if args.quick else 3 * rounds if args.long else rounds
    if args.seconds is None:
        args.seconds = 1.0 if args.quick else 4.0 if args.long else 2.0
    if args.rounds < 1:
        parser.error("--rounds: at least 1")
    if args.seconds < 1:
        parser.error("--seconds: at least 1")
    return args


def _setting(folder: Path, peers: tuple[str, ...], args: argparse.Namespace) -> Setting:
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
    return Setting(
        folder=work,
        environment=environment,
        peers=peers,
        rounds=args.rounds,
        quick=args.quick,
        seconds=args.seconds,
        is_long=args.long,
        options=vars(args),
    )
