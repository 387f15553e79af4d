"""A project's file whose functions this process calls later: what they import is of the same moment as the file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from kairos.pipeline.project import PipelineSource, importable, load, own_modules

__all__ = ["CalledFile"]


class CalledFile:
    """Loads a file of a project, and lets its functions import the project's modules while they are called.

    Between calls this process has none of the project's modules, as others may have the same names.

    Args:
        source: The file.

    Raises:
        GraphError: there is no such file.
        StepFailed: the file raised; ``facts["traceback"]`` is its own traceback.
    """

    def __init__(self, source: PipelineSource) -> None:
        self._source = source
        self._code = source.capture()
        loaded = load(source, keep=False, code=self._code)
        self.module: ModuleType = loaded.module
        self._modules = dict(loaded.modules)
        self._path = list(loaded.path)

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """The project's modules can be imported within; one thread at a time."""
        with importable(self._source, self._code, keep=False) as finder:
            sys.modules.update(self._modules)
            sys.path[:] = self._path
            try:
                yield
            finally:
                self._modules, self._path = own_modules(self._source.root, finder), list(sys.path)
