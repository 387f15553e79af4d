"""What holds for all tests."""

from __future__ import annotations

import gc
import importlib
import os
import signal
from typing import Any

import pytest
from hypothesis import settings

# How long one example takes says how busy the machine is; a test that hangs is stopped by its timeout.
settings.register_profile("kairos", deadline=None)
settings.load_profile("kairos")

# Commands that tests type leave the experiment record to later ones: telling it takes MLflow seconds, and nothing may
# go on when their folders are removed. Tests of the record say "wait".
os.environ.setdefault("KAIROS_RECORD", "later")

# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start and stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


_LONG = (
    "tests/e2e/",
    "tests/simulation/",
    "tests/app/test_killed_anywhere.py",
    "tests/app/test_tuning.py",
    "tests/cli/test_tuning.py",
    "tests/app/test_reading.py",
    "tests/adapters/test_mlflow_",
    "tests/app/",
    "tests/cli/",
    "tests/contracts/",
    "tests/web/",
)
"""What takes longest, in the order in which it is to begin: whoever is given it last keeps the others waiting."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begins with the long files where several processes share the tests; in all else their order is random."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: [not item.nodeid.startswith(long) for long in _LONG])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives each file to one process, and to one all that look at the project of the end-to-end tests: it is dear."""
    if config.getoption("dist") != "loadfile":
        return None
    scheduling: Any = importlib.import_module("xdist.scheduler")
    files = scheduling.LoadFileScheduling(config, log)
    of_file = files._split_scope
    files._split_scope = lambda nodeid: "tests/e2e/" if nodeid.startswith("tests/e2e/") else of_file(nodeid)
    return files


def pytest_collection_finish() -> None:
    """Lets the collector look at what tests make, and seldom: what was imported stays, and is a million objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
