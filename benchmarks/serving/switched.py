"""``kairos serve``, with parts of what it does switched off: for measuring what these cost, and for nothing else.

Run: ``python -m benchmarks.serving.switched OFF PROJECT PORT WORKERS``. OFF is ``nothing``, or ``capture`` (no
prediction is written down), ``metrics`` (nothing is counted), or both with a plus between. The page ``/modules`` tells
which modules the worker that answers has loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

from kairos.app.project import Project
from kairos.cli.listening import Doors
from kairos.serving.supervising import supervise
from kairos.serving.workers import Seat
from kairos.store.rolling import rolling

__all__ = ["main", "sit"]

SWITCHES: dict[str, tuple[str, str, tuple[tuple[str, object], ...]]] = {
    "capture": ("kairos.serving.capture", "Recorder", (("write", (True, None)),)),
    "metrics": ("kairos.serving.metrics", "ServerMetrics", (("request", None), ("outcomes", None), ("shadow", None))),
}
"""Modules, classes, and methods that do nothing but give a value."""


def sit(seat: Seat, *, root: Path, off: tuple[str, ...]) -> None:
    """A worker's work, with parts switched off and a page more."""
    from kairos.cli import working

    for name in off:
        module, owner, methods = SWITCHES[name]
        kind = getattr(import_module(module), owner)
        for method, gives in methods:
            getattr(kind, method)  # which raises if it has another name by now
            setattr(kind, method, _nothing(gives))
    pages_of = working.pages_of
    working.pages_of = lambda project: {**pages_of(project), "/modules": _modules}
    working.work(seat, root=root, needs_one=True, doors=Doors(host="127.0.0.1", port=0), capture=None)


def _modules() -> str:
    return " ".join(sorted({name.split(".")[0] for name in sys.modules}))


def main() -> None:
    """Serves until killed."""
    off, root, port, workers = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    chosen = () if off == "nothing" else tuple(off.split("+"))
    if not set(chosen) <= SWITCHES.keys():
        raise SystemExit(f"error: {off!r} cannot be switched off; accepted: {', '.join(SWITCHES)}")
    with Project(root) as project, rolling(project.home / "predictions"):
        supervise(
            partial(sit, root=root, off=chosen),
            count=workers,
            host="127.0.0.1",
            port=port,
            preload=["kairos.cli.working"],
            on_ready=lambda url, told: None,
        )


def _nothing(gives: object) -> Callable[..., object]:
    return lambda *args, **named: gives


if __name__ == "__main__":
    from benchmarks.serving import switched  # so that workers find what they are to run by the name of the module

    switched.main()
