"""Randomness of a step begins at its seed, whichever of the usual libraries it comes from."""

from __future__ import annotations

import importlib
import random
import sys

import numpy as np

__all__ = ["seed_all"]


def seed_all(seed: int, *, loads_torch: bool) -> None:
    """Seeds Python, numpy, and PyTorch where it is loaded, or is to be."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = importlib.import_module("torch") if loads_torch else sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
