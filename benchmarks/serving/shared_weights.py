"""Memory of two processes that hold the same large model: its weights mapped from one file, or copied.

Run: ``python -m benchmarks.serving.shared_weights``; ``--package`` measures one of your own instead, such as a network,
whose native form needs PyTorch. Without it, it is a network of scikit-learn with 105 MB of weights. Memory is PSS: of
what processes share each has its part, so the sum is what the machine has to have.
"""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sklearn.neural_network import MLPRegressor

from benchmarks.serving.forms import Request, table
from benchmarks.side_by_side import US, Figure, Sample, Setting, main, take_turns
from kairos.models.finish import FinishModel, ModelOptions

WAYS = {US: "mapped", "copied by each": "copied", "native": "native", "nothing loaded": "nothing"}


def measure(setting: Setting) -> list[Figure]:
    """Each way in turn: two processes, their memory together, and how long a row takes in one of them."""
    given = setting.options.get("package")
    folder = Path(given) if given else _packaged(setting.folder, 300 if setting.quick else 3600)
    return take_turns({who: partial(_turn, folder, way) for who, way in WAYS.items()}, setting.rounds)


def _packaged(folder: Path, width: int) -> Path:
    data = table(300).drop("season", "station")
    estimator = MLPRegressor(hidden_layer_sizes=(width, width), max_iter=3, tol=1e9, n_iter_no_change=1, random_state=0)
    return FinishModel(settings={"demand": ModelOptions()})(
        Request(returned=estimator, inputs={"train": data}, workdir=folder)
    )


def _turn(folder: Path, way: str) -> Iterator[Sample]:
    words = [sys.executable, "-W", "ignore", "-m", "benchmarks.serving.holding", way, str(folder)]
    both = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    took = [each.stdout.readline().split() for each in both]  # type: ignore[union-attr]
    memory = sum(_pss_mb(each.pid) for each in both)
    for each in both:
        each.communicate("\n")
    yield Sample("memory of two processes", memory, "MB")
    if way != "nothing":
        yield Sample("one row", float(took[0][0]), "ms")
        yield Sample("64 rows", float(took[0][1]), "ms")


def _pss_mb(process: int) -> float:
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1e3
    raise SystemExit("error: this system does not tell how much memory processes share.")


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--package", metavar="FOLDER", help="a package to measure instead, whose inputs are numbers")


if __name__ == "__main__":
    raise SystemExit(main("Shared weights", [], measure, rounds=3, options=_options))
