"""Loaded by each Python that a step starts, before all else: the project's modules are those of the run there, too.

It costs such a Python nothing until it looks into the project's folder. One that has no Kairos goes on without.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import Any


def _hook(path: str) -> Any:
    """As ``sys.path_hooks`` are called; the first look into the project's folder puts the real one in its place."""
    roots = os.environ["KAIROS_CODE"].split("\n")[2:]
    folder = os.path.abspath(path)
    if not any(root and (folder == root or folder.startswith(f"{root}{os.sep}")) for root in roots):
        raise ImportError(path)
    sys.path_hooks.remove(_hook)  # or it would be asked again while Kairos is loaded
    from kairos.pipeline.engine.children import find_captured

    return find_captured(path)


def _others() -> None:
    """Loads the one that the environment has besides."""
    here = os.path.dirname(os.path.abspath(__file__))
    spec = PathFinder.find_spec("sitecustomize", [path for path in sys.path if os.path.abspath(path) != here])
    if spec is not None and spec.loader is not None:
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


if "KAIROS_CODE" in os.environ:
    sys.path_hooks.insert(0, _hook)
_others()
