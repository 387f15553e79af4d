"""What a package costs where it serves: the size of its files, and the time that its runner takes."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np
import polars as pl

from kairos.gates.evidence import PackageCost
from kairos.models.package import Package
from kairos.models.score import score_columns
from kairos.store.blobs import Store
from kairos.values import Digest

__all__ = ["package_size", "time_package"]

_ROUNDS = 3
_ONE_ROW_CALLS = 100
_BATCH = 64
_BATCH_CALLS = 20
_QUANTILE = 0.9


def package_size(store: Store, digest: Digest) -> int:
    """Bytes of all files of a package."""
    return sum(store.path(file).stat().st_size for file in store.listing(digest).values())


def time_package(package: Package, rows: pl.DataFrame, *, size_bytes: int | None = None) -> PackageCost:
    """Times the runner that the server uses, on rows of the holdout, after some calls that do not count.

    Nine of ten calls are as quick as what is told. Of three rounds the quickest counts: other work on the machine only
    ever makes a round slower.
    """
    if rows.is_empty():
        return PackageCost(size_bytes=size_bytes)
    columns = score_columns(package, rows.head(_BATCH))
    height = min(len(rows), _BATCH)
    again = np.arange(_BATCH) % height
    many = {name: values[again] for name, values in columns.items()}
    ones = [{name: values[i : i + 1] for name, values in columns.items()} for i in range(height)]
    runner = package.runner()

    def one(call: int) -> None:
        runner.predict(ones[call % height])

    return PackageCost(
        size_bytes=size_bytes,
        one_row_ms=_time(one, _ONE_ROW_CALLS),
        batch_ms=_time(lambda call: runner.predict(many), _BATCH_CALLS),
    )


def _time(work: Callable[[int], object], calls: int) -> float:
    """Milliseconds within which nine of ten calls end, in the quickest of the rounds."""
    for call in range(3):
        work(call)
    rounds = []
    for _ in range(_ROUNDS):
        took = np.empty(calls)
        for call in range(calls):
            started = perf_counter()
            work(call)
            took[call] = perf_counter() - started
        rounds.append(float(np.quantile(took, _QUANTILE)))
    return 1000 * min(rounds)
