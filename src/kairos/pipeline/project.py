"""Where a project's steps are, and how its files are loaded: all as they were at one moment.

Files are loaded without byte code and without staying in ``sys.modules`` of the calling process, so a file that was
edited a moment ago is never mistaken for its older self.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

from kairos.errors import GraphError, KairosError, StepFailed, without_addresses
from kairos.pipeline.captured import Captured, capture
from kairos.pipeline.importing import CapturedFinder, installed_finders, is_own
from kairos.pipeline.listening import begin_anew, hearing

__all__ = [
    "Loaded",
    "PipelineSource",
    "importable",
    "is_ours",
    "load",
    "load_module",
    "own_modules",
    "own_place",
    "own_traceback",
    "unload_module",
]

_LOADING = threading.RLock()  # sys.modules and sys.path belong to the whole process
_ABSOLUTE = "The pipeline's file is a module by itself, also inside a package. Write: from PACKAGE import NAME."
_OURS = str(Path(__file__).parents[1])
"""Its frames are in no traceback of the project's code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSource:
    """Where a project's steps are declared."""

    root: Path
    """The project's folder; steps run with it as their working folder."""
    file: str = "pipeline.py"
    """The Python file with the steps, relative to ``root``."""
    stands_for: Path | None = None
    """Of code of another time: the project's own folder, from which nothing is imported then."""

    @property
    def path(self) -> Path:
        """The file with the steps."""
        return self.root / self.file

    @property
    def module_name(self) -> str:
        """The name that the file has as a module."""
        return self.path.stem

    def capture(self, *beside: Path) -> Captured:
        """The project's own files as they are now, with files and folders beside it that it imports."""
        return capture(self.root, self.path.parent, *beside)

    def code_digest(self) -> str:
        """SHA-256 over the paths and bytes of all the project's Python files, hexadecimal."""
        return self.capture().digest


class Loaded(NamedTuple):
    """A project's file that was run."""

    module: ModuleType
    folders: Sequence[str]
    """Those of the project from which it imports, in their order on ``sys.path``; relative to ``root``, with ``/``."""
    beside: Sequence[Path]
    """Files and folders of modules that it imported from other folders, which it put on ``sys.path`` itself, and that
    were not captured."""
    modules: Mapping[str, ModuleType]
    """All of the project that were loaded by then, by name."""
    path: Sequence[str]
    """``sys.path`` as the file left it."""


def load_module(source: PipelineSource, *, keep: bool, code: Captured | None = None) -> ModuleType:
    """Runs the project's file and returns it as a module; as ``load``."""
    return load(source, keep=keep, code=code).module


def load(source: PipelineSource, *, keep: bool, code: Captured | None = None) -> Loaded:
    """Runs the project's file.

    Args:
        source: The file.
        code: The project's files as they were captured; ``None``: as they are now.
        keep: Leave the project's modules and folder importable, as a process that runs its steps needs.

    Raises:
        GraphError: there is no such file.
        StepFailed: the file raised; ``facts["traceback"]`` is its own traceback.
    """
    code = code or source.capture()
    if not keep and "mlflow" not in sys.modules:
        with hearing():  # what the file logs or sets while it is only looked at leaves nothing behind
            loaded = _load(source, keep, code)
            begin_anew()
        return loaded
    return _load(source, keep, code)


def _load(source: PipelineSource, keep: bool, code: Captured) -> Loaded:
    if Path(os.path.relpath(source.path, source.root)).as_posix() not in code.files and not source.path.is_file():
        raise GraphError("The project has no such pipeline file.", given=source.file, hint="Set [project] pipeline.")
    with importable(source, code, keep=keep) as finder:
        name = source.module_name
        spec = finder.spec(name, os.path.normpath(source.path))
        if spec is None or spec.loader is None:
            raise GraphError("The pipeline file is no Python file.", given=source.file, accepted="NAME.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except GraphError:
            raise
        except Exception as error:
            if isinstance(error, KairosError) and is_ours(error):  # an option of a decorator that cannot be used
                raise _placed(error, own_place(error, source.root)) from error
            raise StepFailed(
                f"{source.file} cannot be loaded: {type(error).__name__}: {error}.",
                hint=_ABSOLUTE if "no known parent package" in str(error) else None,
                step=None,
                type=type(error).__name__,
                traceback=own_traceback(error, source.root),
            ) from error
        own = [found for folder in sys.path if (found := finder.own(folder)) is not None]
        beside, modules, path = _beside(finder), own_modules(source.root, finder), list(sys.path)
    folders = [Path(os.path.relpath(folder, source.root)).as_posix() for folder in dict.fromkeys(own)]
    return Loaded(module, folders, beside, modules, path)


def _beside(finder: CapturedFinder) -> list[Path]:
    """Files and folders of modules that were loaded from beside the project, and were not captured."""
    found = set()
    modules = finder.modules() if (folders := finder.added()) else {}
    for folder in folders:
        for name, module in modules.items():
            place = Path(folder, name)
            file = getattr(module, "__file__", None)
            if file == f"{place}.py":
                found.add(Path(file))
            elif file in (None, str(place / "__init__.py")) and place.is_dir():
                found.add(place)
    return sorted(place for place in found if not finder.has(place))


def _placed(error: KairosError, place: str) -> GraphError:
    return GraphError(
        f"{place}: {error.what}", given=error.given, accepted=error.accepted, hint=error.hint, **error.facts
    )


def unload_module(source: PipelineSource) -> None:
    """Undoes what ``load_module`` kept, so that another project's modules may have the same names."""
    with _LOADING:
        for finder in installed_finders():
            _forget_modules(source.root, finder)
            finder.remove()


def own_traceback(error: BaseException, root: Path) -> str:
    """An error's traceback as text, from the first frame in the project's own files on."""
    start = _first(error.__traceback__, lambda file: is_own(root, file))
    if start is None:  # a library's own error: from its first frame on
        start = _first(error.__traceback__, lambda file: not file.startswith(f"{_OURS}{os.sep}"))
    lines = traceback.format_exception(type(error), error, start)
    return without_addresses("".join(lines if start else traceback.format_exception_only(error)))


def is_ours(error: BaseException) -> bool:
    """Whether Kairos raised it itself: no line of the project, and none of a library, was running."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(f"{_OURS}{os.sep}")


def own_place(error: BaseException, root: Path, *, otherwise: Callable[..., Any] | None = None) -> str:
    """The last line of the project's own files on the way to an error, as ``pipeline.py, line 12``.

    Args:
        error: That was raised.
        root: The project's folder.
        otherwise: A function that stands for it where none of the project's lines was on the way.

    Returns:
        The place; empty if there is none.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_own(root, frame.filename)]
    if frames:
        file, line = frames[-1].filename, frames[-1].lineno
    elif otherwise is not None and hasattr(inspect.unwrap(otherwise), "__code__"):
        code = inspect.unwrap(otherwise).__code__
        file, line = code.co_filename, code.co_firstlineno
    else:
        return ""
    return f"{Path(file).relative_to(root).as_posix()}, line {line}" if is_own(root, file) else ""


def _first(frame: TracebackType | None, is_wanted: Callable[[str], bool]) -> TracebackType | None:
    while frame is not None and not is_wanted(frame.tb_frame.f_code.co_filename):
        frame = frame.tb_next
    return frame


@contextmanager
def importable(source: PipelineSource, code: Captured, *, keep: bool) -> Iterator[CapturedFinder]:
    """Makes the project's folder importable and forgets what was loaded from it before; for one thread at a time."""
    with _LOADING, _importable(source, code, keep) as finder:
        yield finder


@contextmanager
def _importable(source: PipelineSource, code: Captured, keep: bool) -> Iterator[CapturedFinder]:
    folders = list(dict.fromkeys([str(source.path.parent), str(source.root)]))
    old_flag = sys.dont_write_bytecode
    finder = CapturedFinder(source.root, code, stands_for=source.stands_for)
    hidden = own_modules(source.root, finder)
    if source.stands_for is not None:
        hidden |= own_modules(source.stands_for, finder)
    hidden |= {name: sys.modules[name] for name in [source.module_name] if name in sys.modules}
    for name in hidden:
        del sys.modules[name]
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    finder.install(folders)
    try:
        yield finder
    finally:
        if not keep:
            _forget_modules(source.root, finder)
            finder.remove()
            sys.modules.update(hidden)
            sys.dont_write_bytecode = old_flag


def own_modules(root: Path, finder: CapturedFinder) -> dict[str, ModuleType]:
    """A project's modules, with those beside it, that are loaded; by name."""
    return finder.modules(root)


def _forget_modules(root: Path, finder: CapturedFinder) -> None:
    """Forgets a project's modules, with those beside it, and what they had to say about imports."""
    own = own_modules(root, finder)
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__module__", None) not in own]
    for name in own:
        del sys.modules[name]
