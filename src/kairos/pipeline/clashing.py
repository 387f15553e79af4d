"""Names that stand beside each other on a server of MLflow, and have to in a step's folder: ``loss`` and ``loss/val``.

MLflow keeps a metric, param or tag in a file of its name, so the one would have to be a file and the other in a folder
of that name. A name that clashes with one that is there gets a file of another name, which ``told_name`` undoes.
Nothing of MLflow is loaded here: it is looked at when the code of a step loads it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["let_names_clash", "told_name"]

_STORE = "mlflow.store.tracking.file_store"
_PATHS = ("_get_metric_path", "_get_model_metric_path", "_get_param_path", "_get_tag_path")
"""Methods of its store that say where what is called so is kept."""
_SLASH = "\ua60c"
"""A letter, as MLflow reads no other signs back, and one that hardly anybody writes: of the script Vai."""


def told_name(name: str) -> str:
    """The name that the code used, of one that was read from a step's folder.

    >>> told_name("loss\\ua60cval"), told_name("loss\\ua60c"), told_name("loss/val")
    ('loss/val', 'loss', 'loss/val')
    """
    return name.rstrip(_SLASH).replace(_SLASH, "/")


def let_names_clash() -> None:
    """Has MLflow keep such names in this process, whether it is loaded already or will be."""
    module = sys.modules.get(_STORE)
    if module is not None:
        _mend(module)
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Sees the module being loaded, and leaves that to others."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """As ``sys.meta_path`` asks."""
        if name != _STORE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                _mend(module)

            vars(spec.loader)["exec_module"] = exec_module
        return spec


def _mend(module: ModuleType) -> None:
    store = vars(module)["FileStore"]
    for name in _PATHS:
        method = getattr(store, name, None)
        if method is not None and not hasattr(method, "is_mended"):
            setattr(store, name, _mended(method))


def _mended(method: Any) -> Any:
    def path(self: Any, *ids: Any, **named: Any) -> str:
        place = str(method(self, *ids, **named))
        key = [*ids, *named.values()][-1]
        if key and (os.path.isdir(place) or _is_below_a_file(place, key)):
            place = place[: -len(key)] + key.replace("/", _SLASH) + ("" if "/" in key else _SLASH)
        return place

    vars(path)["is_mended"] = True
    return path


def _is_below_a_file(place: str, key: str) -> bool:
    for _ in range(key.count("/")):
        place = os.path.dirname(place)
        if os.path.isfile(place):
            return True
    return False
