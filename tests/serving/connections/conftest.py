"""Servers in processes of their own, with little patience."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.serving.running import Toy

LIMITS = {"head_s": 0.4, "body_s": 0.4, "answer_s": 0.4, "idle_s": 0.6, "connections": 20}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    """One for a file of tests, with the usual limits."""
    yield from _running(Toy(tmp_path_factory.mktemp("toy")))


@pytest.fixture(scope="module")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    """One whose limits are ``LIMITS``."""
    folder = tmp_path_factory.mktemp("brisk")
    (folder / "limits").write_text(json.dumps(LIMITS))
    yield from _running(Toy(folder))


def _running(toy: Toy) -> Iterator[Toy]:
    yield toy
    assert toy.process.poll() is None, "whatever clients do, it lives"
    toy.process.kill()
    toy.process.communicate()
    assert "Traceback" not in (toy.folder / "stderr").read_text()
