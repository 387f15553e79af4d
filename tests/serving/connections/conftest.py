"""Servers in processes of their own, with little patience."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.serving.running import Toy

LIMITS = {"head_s": 0.4, "body_s": 0.4, "answer_s": 0.4, "idle_s": 0.6, "connections": 20}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    """One for a file of tests, with the usual limits."""
    yield from running(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    """One whose limits are ``LIMITS``."""
    yield from running(tmp_path_factory.mktemp("brisk"), limits=LIMITS)


def running(
    folder: Path,
    *,
    limits: Mapping[str, float] | None = None,
    prepare: Callable[[Path], object] = lambda folder: None,
) -> Iterator[Toy]:
    """A server, which has to live to the end."""
    if limits is not None:
        (folder / "limits").write_text(json.dumps(limits))
    prepare(folder)
    toy = Toy(folder)
    yield toy
    assert toy.process.poll() is None, "whatever clients do, it lives"
    toy.process.kill()
    toy.process.communicate()
    assert "Traceback" not in (folder / "stderr").read_text()
