"""Servers in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving.running import Toy


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Toy]]:
    """Starts servers, and ends them."""
    toys: list[Toy] = []

    def start(port: int = 0) -> Toy:
        toys.append(Toy(tmp_path, port))
        return toys[-1]

    yield start
    for toy in toys:
        toy.process.kill()
        toy.process.communicate()
