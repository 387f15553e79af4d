"""A process that holds one model and waits to be measured; ``shared_weights`` starts two of them."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from kairos.models.compiled import COMPILED_FILE
from kairos.models.package import open_package

SECONDS = 2.0


def hold(way: str, folder: Path) -> None:
    """Loads a package in one way, says how long 1 and 64 rows take in ms, and waits to be measured."""
    if way == "nothing":
        import onnxruntime  # noqa: F401 - what is there without any model

        print(flush=True)
    else:
        package = open_package(folder)
        columns = package.spec.signature.parse_rows([package.example])
        predict = {"mapped": _mapped, "copied": _copied, "native": _native}[way](folder)
        many = {name: values.repeat(64) for name, values in columns.items()}
        print(*(_milliseconds(partial(predict, rows)) for rows in (columns, many)), flush=True)
    sys.stdin.readline()


def _mapped(folder: Path) -> Any:
    return open_package(folder).compiled_runner().predict


def _native(folder: Path) -> Any:
    return open_package(folder).native_runner().predict


def _copied(folder: Path) -> Any:
    """As ONNX Runtime does it with a file that holds its weights, by default."""
    import onnxruntime

    names = open_package(folder).spec.signature.names
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    program = "import onnx, sys; sys.stdout.buffer.write(onnx.load(sys.argv[1]).SerializeToString())"
    words = [sys.executable, "-c", program, str(folder / COMPILED_FILE)]  # apart: reading it takes memory of its own
    whole = subprocess.run(words, capture_output=True, check=True).stdout
    session = onnxruntime.InferenceSession(whole, options, providers=["CPUExecutionProvider"])
    del whole

    def predict(columns: Any) -> Any:
        return session.run(None, {"X": np.column_stack([columns[name] for name in names]).astype(np.float64)})

    return predict


def _milliseconds(job: Any) -> float:
    job()
    took = []
    end = perf_counter() + SECONDS
    while perf_counter() < end:
        started = perf_counter()
        job()
        took.append(perf_counter() - started)
    return 1000 * median(took)


if __name__ == "__main__":
    hold(sys.argv[1], Path(sys.argv[2]))
