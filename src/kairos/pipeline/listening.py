"""What a project's code logs with MLflow lands in a folder of its own, wherever MLflow would have put it.

The code needs to name no address: MLflow asks the environment for one when it first writes. So nothing is loaded here,
and a step that does not log pays for a few names in the environment. Whoever started this process may have an address
of a server there; it is not that which a step writes to, as a step may be tried twice, or be reused.

Code that names an address itself (``mlflow.set_tracking_uri``) writes there by itself.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from kairos.pipeline.clashing import let_names_clash

__all__ = ["begin_anew", "hearing", "note_base"]

_PREFIX = "MLFLOW_"
_FORGOTTEN = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")
_ALWAYS = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class _State:
    """What code can switch in MLflow for all that comes after it in this process."""

    address: Any = None
    logging: Mapping[str, Any] = field(default_factory=dict)
    """Libraries of which it was said whether their calls are logged by themselves (``autolog``), with what was said."""
    waiting: Mapping[str, Any] = field(default_factory=dict)
    """What is to be done once a library is loaded."""


_base = [_State()]
"""What the project's modules set when they were loaded: every step begins with it."""


@contextmanager
def hearing(folder: Path | None = None) -> Iterator[Path]:
    """Gives the folder in which what the block logs will be; it is made by who logs first, and removed at the end.

    Args:
        folder: One that is there no more, and nobody else's; ``None``: among the temporary files of this process.
    """
    folder = folder or Path(tempfile.gettempdir(), f"kairos-logged-{os.getpid()}-{next(_numbers)}")
    before = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX) or name in _ALWAYS}
    for name in _FORGOTTEN:
        os.environ.pop(name, None)
    address = folder.as_uri()
    os.environ.update(_ALWAYS, MLFLOW_TRACKING_URI=address, MLFLOW_REGISTRY_URI=address)
    let_names_clash()
    try:
        yield folder
    finally:
        for name in [name for name in os.environ if name.startswith(_PREFIX) or name in _ALWAYS]:
            if name not in before:
                del os.environ[name]
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def note_base() -> None:
    """Remembers how the project's modules left MLflow; to be called when they are loaded."""
    _base[0] = _state()


def begin_anew() -> bool:
    """Makes MLflow forget what the last step told it; whether the project's modules have to be loaded anew for that.

    What a step switches on for itself must not be on in the next one, which may run in another process as well.
    """
    fluent = sys.modules.get("mlflow.tracking.fluent")
    if fluent is None:
        return False
    mlflow: Any = sys.modules["mlflow"]
    while mlflow.active_run() is not None:
        mlflow.end_run()
    vars(fluent)["_active_experiment_id"] = None  # set_experiment has no way back
    base, state = _base[0], _state()
    if state.address != base.address:
        mlflow.set_tracking_uri(base.address)
    if (state.logging, state.waiting) == (base.logging, base.waiting):
        return False
    _put_back(vars(sys.modules["mlflow.utils.autologging_utils"])["AUTOLOGGING_INTEGRATIONS"], base.logging, empty=dict)
    _put_back(vars(sys.modules["mlflow.utils.import_hooks"])["_post_import_hooks"], base.waiting, empty=None)
    # What waited for a library that the step loaded is done and undone now, and what it switched off is taken apart:
    # loaded anew, the modules ask for it again.
    is_off = any(state.logging.get(name) != config for name, config in base.logging.items())
    return is_off or any(name in sys.modules for name in base.waiting)


def _state() -> _State:
    """Read where MLflow keeps it: it has no public way to ask for it, nor to put it back."""
    service = sys.modules.get("mlflow.tracking._tracking_service.utils")
    switches = sys.modules.get("mlflow.utils.autologging_utils")
    hooks = sys.modules.get("mlflow.utils.import_hooks")
    configs = getattr(switches, "AUTOLOGGING_INTEGRATIONS", {})
    waiting = getattr(hooks, "_post_import_hooks", {})
    return _State(
        address=getattr(service, "_tracking_uri", None),
        logging={name: dict(config) for name, config in configs.items() if config},
        waiting={name: list(each) for name, each in waiting.items() if each},
    )


def _put_back(now: dict[str, Any], before: Mapping[str, Any], *, empty: Callable[[], Any] | None) -> None:
    """Makes a table of MLflow what it was; what was not in it then is empty, or gone, as at first."""
    for name in list(now):
        if name in before:
            now[name] = before[name].copy()
        elif empty is not None:
            now[name] = empty()
        else:
            del now[name]
