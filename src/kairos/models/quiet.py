"""Libraries that speak of themselves while they work, and are not listened to meanwhile."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quietly"]


@contextmanager
def quietly(logger: str) -> Iterator[None]:
    """Without warnings, and without what a library logs below an error.

    Args:
        logger: The name of the library's logger, such as ``mlflow``.
    """
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
