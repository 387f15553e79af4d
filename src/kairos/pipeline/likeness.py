"""How far apart two results of the same step are: not at all, by rounding, or really, and where."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kairos.pipeline.artifacts import Artifact, decode
from kairos.store import Store

__all__ = ["Likeness", "compare_artifacts"]

How = Literal["identical", "close", "different"]
_RANK: Sequence[How] = ("identical", "close", "different")


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How one artifact resembles another."""

    how: How
    what: str = ""
    """Where they are furthest apart, in words; empty if they are identical."""
    by: float = 0.0
    """Largest relative difference of two numbers, in [0, inf]; 0 where they are identical."""


def compare_artifacts(store: Store, before: Artifact, after: Artifact, *, tolerance: float) -> Likeness:
    """Compares what a step gave once with what it gave again.

    Args:
        store: Holds both.
        before: What it gave.
        after: What it gave again.
        tolerance: Numbers whose difference is at most this part of the larger one are close.

    Raises:
        BlobMissing: one of them is gone.
        BlobDamaged: bytes are not what they were.
    """
    if before.identity == after.identity:
        return Likeness(how="identical")
    if before.kind != after.kind:
        return _different(f"it is {after.kind}, and was {before.kind}")
    if before.kind in ("file", "folder", "package"):
        return _folders(store, before, after)
    with tempfile.TemporaryDirectory(prefix="kairos-") as folder:
        old, new = (decode(store, each, workdir=Path(folder)) for each in (before, after))
    if before.kind.startswith("table/"):
        return _tables(old, new, tolerance)
    if before.kind == "array":
        return _arrays(old, new, tolerance, "the array")
    return _values(old, new, tolerance, "it")


def _different(what: str) -> Likeness:
    return Likeness(how="different", what=what, by=math.inf)


def _folders(store: Store, before: Artifact, after: Artifact) -> Likeness:
    if before.kind == "file":
        return _different("its bytes differ")
    old, new = store.listing(before.digest), store.listing(after.digest)
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return _different(f"{len(names)} of {len(old.keys() | new.keys())} files differ: {', '.join(names[:5])}")


def _tables(old: Any, new: Any, tolerance: float) -> Likeness:
    import polars as pl

    old, new = (each if isinstance(each, pl.DataFrame) else pl.from_pandas(each) for each in (old, new))
    if old.columns != new.columns:
        return _different(f"its columns are {', '.join(new.columns)}, and were {', '.join(old.columns)}")
    if len(old) != len(new):
        return _different(f"it has {len(new)} rows, and had {len(old)}")
    for name in old.columns:
        if old.schema[name] != new.schema[name]:
            return _different(f"column {name!r} is {new.schema[name]}, and was {old.schema[name]}")
    found = [
        _arrays(old[name].to_numpy(), new[name].to_numpy(), tolerance, f"column {name!r}")
        for name in old.columns
        if not old[name].equals(new[name], null_equal=True)
    ]
    worst = _worst(found)
    if worst.how == "different" and old.columns and old.sort(old.columns).equals(new.sort(new.columns)):
        return _different("it has the same rows in another order")
    return worst


def _arrays(old: Any, new: Any, tolerance: float, where: str) -> Likeness:
    import numpy as np

    if old.shape != new.shape or old.dtype != new.dtype:
        return _different(f"{where} is {new.dtype} {new.shape}, and was {old.dtype} {old.shape}")
    if old.dtype.kind not in "fc":
        same = old == new
        return _different(f"{where} differs in {int(np.size(same) - np.count_nonzero(same))} of {old.size} places")
    gap = np.where((old == new) | (np.isnan(old) & np.isnan(new)), 0.0, np.abs(old - new))
    larger = np.maximum(np.abs(old), np.abs(new))
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(gap == 0.0, 0.0, gap / larger)
    relative = np.where(np.isnan(relative), np.inf, relative)
    by = float(relative.max(initial=0.0))
    places = int(np.count_nonzero(relative > (tolerance if by > tolerance else 0.0)))
    what = f"{where} differs in {places} of {old.size} places by up to {by:.2g} of the value"
    return Likeness(how="close" if by <= tolerance else "different", what=what, by=by)


def _values(old: Any, new: Any, tolerance: float, where: str) -> Likeness:
    if type(old) is not type(new):
        return _different(f"{where} is of type {type(new).__name__}, and was {type(old).__name__}")
    if isinstance(old, Mapping) and list(old) == list(new):
        return _worst([_values(old[key], new[key], tolerance, f"{key!r}") for key in old])
    if isinstance(old, list | tuple) and len(old) == len(new):
        return _worst([_values(*pair, tolerance, f"item {i}") for i, pair in enumerate(zip(old, new, strict=True))])
    if old == new or (isinstance(old, float) and math.isnan(old) and math.isnan(new)):
        return Likeness(how="identical")
    if not isinstance(old, float) or not math.isfinite(old) or not math.isfinite(new):
        return _different(f"{where} is {_short(new)}, and was {_short(old)}")
    by = abs(old - new) / max(abs(old), abs(new))
    what = f"{where} is {new!r}, and was {old!r}"
    return Likeness(how="close" if by <= tolerance else "different", what=what, by=by)


def _worst(found: Sequence[Likeness]) -> Likeness:
    return max(found, key=lambda each: (_RANK.index(each.how), each.by), default=Likeness(how="identical"))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
