"""Code of the project itself, written beside an object that needs it: a server has no ``pipeline.py`` to import."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

__all__ = ["own_code_inside"]


@contextmanager
def own_code_inside(returned: Any) -> Iterator[None]:
    """Has the code of the project itself written beside the object: a server has no ``pipeline.py`` to import."""
    modules = [module for module in (sys.modules.get(type(returned).__module__),) if module is not None]
    own = [module for module in modules if module.__name__ != "__main__" and not _is_installed(module)]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)


def _is_installed(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    if file is None:
        return True  # built in
    places = {Path(sysconfig.get_paths()[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(place in Path(file).resolve().parents for place in places) or module.__name__.startswith("kairos.")
