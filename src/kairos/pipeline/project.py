"""A project's own Python files: which they are, what they hold now, and how they are loaded.

Files are loaded without writing byte code and without staying in ``sys.modules`` of the calling process, so a file
that was edited a moment ago is never mistaken for its older self.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType

from kairos.errors import GraphError, StepFailed

__all__ = ["PipelineSource", "load_module", "own_traceback", "project_files", "unload_module"]

_LOADING = threading.RLock()  # sys.modules and sys.path belong to the whole process
_SKIPPED = {"__pycache__", "site-packages", "node_modules"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSource:
    """Where a project's steps are declared."""

    root: Path
    """The project's folder; steps run with it as their working folder."""
    file: str = "pipeline.py"
    """The Python file with the steps, relative to ``root``."""

    @property
    def path(self) -> Path:
        """The file with the steps."""
        return self.root / self.file

    @property
    def module_name(self) -> str:
        """The name that the file has as a module."""
        return self.path.stem

    def code_digest(self) -> str:
        """SHA-256 over the paths and bytes of all the project's Python files, hexadecimal."""
        sha = hashlib.sha256()
        for path in project_files(self.root):
            data = path.read_bytes()
            sha.update(f"{path.relative_to(self.root).as_posix()}\0{len(data)}\0".encode())
            sha.update(data)
        return sha.hexdigest()


def project_files(root: Path) -> list[Path]:
    """A project's own Python files, sorted; hidden folders and virtual environments are not its own."""
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_skipped(Path(folder), name))
        found += [Path(folder, name) for name in files if name.endswith(".py")]
    return sorted(found)


def load_module(source: PipelineSource, *, keep: bool) -> ModuleType:
    """Runs the project's file and returns it as a module.

    Args:
        source: The file.
        keep: Leave the project's modules and folder importable, as a process that runs its steps needs.

    Raises:
        GraphError: there is no such file.
        StepFailed: the file raised; ``facts["traceback"]`` is its own traceback.
    """
    if not source.path.is_file():
        raise GraphError("The project has no such pipeline file.", given=source.file, hint="Set [project] pipeline.")
    with _LOADING, _importable(source, keep=keep):
        name = source.module_name
        spec = importlib.util.spec_from_file_location(name, source.path)
        if spec is None or spec.loader is None:
            raise GraphError("The pipeline file is no Python file.", given=source.file, accepted="NAME.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except GraphError:
            raise
        except Exception as error:
            raise StepFailed(
                f"{source.file} cannot be loaded: {type(error).__name__}: {error}.",
                step=None,
                type=type(error).__name__,
                traceback=own_traceback(error, source.root),
            ) from error
    return module


def unload_module(source: PipelineSource) -> None:
    """Undoes what ``load_module`` kept, so that another project's modules may have the same names."""
    with _LOADING:
        for name in [name for name, module in list(sys.modules.items()) if _is_module_of(source.root, module)]:
            del sys.modules[name]
        folders = {str(source.path.parent), str(source.root)}
        sys.path[:] = [folder for folder in sys.path if folder not in folders]


def own_traceback(error: BaseException, root: Path) -> str:
    """An error's traceback as text, from the first frame in the project's own files on."""
    start: TracebackType | None = error.__traceback__
    while start is not None and not _is_own(root, start.tb_frame.f_code.co_filename):
        start = start.tb_next
    return "".join(traceback.format_exception(type(error), error, start or error.__traceback__))


@contextmanager
def _importable(source: PipelineSource, *, keep: bool) -> Iterator[None]:
    """Makes the project's folder importable and forgets what was loaded from it before."""
    folders = list(dict.fromkeys([str(source.path.parent), str(source.root)]))
    old_path, old_flag = list(sys.path), sys.dont_write_bytecode
    hidden = {name: module for name, module in list(sys.modules.items()) if _is_module_of(source.root, module)}
    hidden |= {name: sys.modules[name] for name in [source.module_name] if name in sys.modules}
    for name in hidden:
        del sys.modules[name]
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if not keep:
            unload_module(source)
            sys.modules.update(hidden)
            sys.path[:] = old_path
            sys.dont_write_bytecode = old_flag


def _is_module_of(root: Path, module: ModuleType | None) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and _is_own(root, file)


def _is_own(root: Path, file: str) -> bool:
    if not file.startswith(f"{root}{os.sep}"):  # asked of every loaded module, so it has to be quick
        return False
    return not any(part.startswith(".") or part in _SKIPPED for part in Path(file).relative_to(root).parts[:-1])


def _is_skipped(folder: Path, name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED or (folder / name / "pyvenv.cfg").exists()
