"""A model package: an MLflow model folder with our own ``kairos/`` beside it. Equal models give equal bytes.

Opening a package reads its spec, profile and lineage and loads no scikit-learn; asking for its runner does. Every file
that is read is compared with its SHA-256 in ``kairos/files.json``; before a runner is loaded, so is every other one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from kairos.errors import PackageError
from kairos.models.baselines.fitted import Baselines
from kairos.models.compiled import COMPILED_FILE, NOT_TRIED, Compilation, CompiledRunner, can_run
from kairos.models.mlmodel import INPUT_EXAMPLE, MODEL_FILES, mlflow_files
from kairos.models.ports import Runner
from kairos.models.profile import Profile
from kairos.models.spec import FORMATS, PackageSpec
from kairos.models.verified import FILES, Verified, read_json, sha256_of
from kairos.models.weights import WEIGHTS_FILE
from kairos.values import Json, canonical_json

__all__ = ["FILES", "Package", "open_package", "read_package", "write_package"]

_log = logging.getLogger("kairos.models")

_SPEC, _PROFILE, _LINEAGE = "kairos/spec.json", "kairos/profile.json", "kairos/lineage.json"
_COMPILATION = "kairos/compiled.json"
_BASELINES = "kairos/baselines.json"


_ADDED_BY_MLFLOW = frozenset({"registered_model_meta"})
"""What it puts beside the files of a registered model that it fetches."""


def _nowhere(name: str) -> Path | None:
    """For files that do not lie on this machine."""
    return None


def _nothing() -> None:
    """For packages whose files are known to be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An opened package."""

    spec: PackageSpec
    profile: Profile
    lineage: dict[str, Json]
    """What the model came from: step fingerprints and input digests."""
    example: dict[str, Json]
    """One row that the model accepts, made of medians and most frequent levels; nobody's real row."""
    read: Callable[[str], bytes] = field(repr=False, compare=False)
    """Returns one of the package's files by its relative path."""
    locate: Callable[[str], Path | None] = field(default=_nowhere, repr=False, compare=False)
    """Returns where one of the files lies on this machine, verified like what ``read`` returns; ``None`` if nowhere."""
    files: Collection[str] = field(default=(), repr=False)
    """Relative paths of all files that the package was written with."""
    allow_pickle: bool = False
    compilation: Compilation = NOT_TRIED
    """Whether there is a compiled form, with its proof, or why there is none."""
    check: Callable[[], None] = field(default=_nothing, repr=False, compare=False)
    """Raises if a file is missing, is not as it was written, or was added; reads all of them once."""
    loaded: dict[str, Runner] = field(default_factory=dict, repr=False, compare=False)
    """Runners by form, once they were asked for."""

    @property
    def runs_code(self) -> bool:
        """Whether loading the native form runs code of the package: a pickle, or what MLflow packs."""
        return self.spec.serialization in ("pickle", "pyfunc")

    def estimator(self) -> Any:
        """Loads the estimator.

        Raises:
            PackageError: a file is damaged, of untrusted types, or a pickle that is not allowed.
        """
        self.check()
        from kairos.models.native import read_model  # what it reads with takes a second to load

        return read_model(self)

    def baselines(self) -> Baselines | None:
        """The simple models that were fitted beside it; ``None``: none were, as in older packages.

        Raises:
            PackageError: the file is damaged.
        """
        return Baselines.from_plain(read_json(self.read, _BASELINES)) if _BASELINES in self.files else None

    @property
    def answering(self) -> Literal["compiled", "native"]:
        """Which form answers in this installation: the compiled one where it is proven and ONNX Runtime is there."""
        return "compiled" if self.compilation.is_proven and can_run() else "native"

    @property
    def form(self) -> str:
        """Which form answers in this installation and what proves it, or why the native one does; for a person."""
        if self.compilation.is_proven and not can_run():
            return "native: ONNX Runtime is not installed here (pip install 'kairos-ml[compiled]')"
        return self.compilation.sentence

    def runner(self) -> Runner:
        """What predicts; loaded the first time. It is the compiled form where there is one that can be run.

        An ONNX Runtime that is too old for an undamaged file is a reason to answer natively, not to answer nothing.

        Raises:
            PackageError: a file of the package is damaged, or what it is loaded from is not allowed.
        """
        self.check()
        if self.answering == "native" or "refused" in self.loaded:
            return self.native_runner()
        try:
            return self.compiled_runner()
        except PackageError as error:
            _log.warning("%s answers in its native form: %s", self.spec.model, error)
            self.loaded["refused"] = self.native_runner()
            return self.loaded["refused"]

    def compiled_runner(self) -> Runner:
        """What predicts with the compiled form; it loads no scikit-learn.

        Raises:
            PackageError: there is none, a file is damaged, or ONNX Runtime is not installed.
        """
        self.check()
        if not self.compilation.is_proven:
            raise PackageError("A model package has no compiled form.", given=self.compilation.why)
        if "compiled" not in self.loaded:
            data = self.read(COMPILED_FILE)
            self.loaded["compiled"] = CompiledRunner(
                data,
                weights=self._weights(),
                signature=self.spec.signature,
                form=self.spec.form,
                recalibration=self.compilation.recalibration,
            )
        return self.loaded["compiled"]

    def _weights(self) -> Path | bytes | None:
        if WEIGHTS_FILE not in self.files:
            return None
        return self.locate(WEIGHTS_FILE) or self.read(WEIGHTS_FILE)

    def compiled_files(self) -> dict[str, bytes]:
        """The compiled form's files by name; empty if there is none."""
        names = (COMPILED_FILE, WEIGHTS_FILE) if self.compilation.is_proven else ()
        return {name: self.read(name) for name in names if name == COMPILED_FILE or name in self.files}

    def native_runner(self) -> Runner:
        """What predicts with the estimator.

        Raises:
            PackageError: a file is damaged, of untrusted types, or a pickle that is not allowed.
        """
        self.check()
        if "native" not in self.loaded:
            from kairos.models.native import native_runner  # the same

            self.loaded["native"] = native_runner(self)
        return self.loaded["native"]


def write_package(
    folder: Path,
    estimator: object,
    *,
    spec: PackageSpec,
    profile: Profile,
    lineage: Mapping[str, Json],
    example: Mapping[str, Json],
    allow_pickle: bool = False,
    compilation: Compilation = NOT_TRIED,
    compiled: Mapping[str, bytes] | None = None,
    baselines: Baselines | None = None,
) -> PackageSpec:
    """Writes a package into ``folder``, which must be empty or not there; returns the spec as written.

    The list of files is written last: a folder without it is not a package. ``compiled`` are the files of the
    compiled form by name, if ``compilation`` says that it is proven; ``baselines`` are the simple models beside it.

    Raises:
        PackageError: the folder is not empty, or the estimator needs pickle and ``allow_pickle`` is not set.
    """
    from kairos.models.estimator_file import untrusted_types  # it loads scikit-learn
    from kairos.models.native import write_model

    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise PackageError("A package is written into an empty folder.", given=folder.name)
    held, serialization = write_model(estimator, allow_pickle=allow_pickle)
    spec = replace(spec, serialization=serialization)
    trusted = untrusted_types(held[MODEL_FILES["skops"]], trusted=()) if serialization == "skops" else []
    files = mlflow_files(spec, b"".join(held.values()), trusted=trusted, example=example) | held
    files[_PROFILE] = canonical_json(profile.told())
    files[_LINEAGE] = canonical_json(lineage)
    files[_SPEC] = canonical_json(spec.plain())
    files[_COMPILATION] = canonical_json(compilation)
    if baselines is not None:
        files[_BASELINES] = canonical_json(baselines)
    if compilation.is_proven:
        files |= compiled or {}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / FILES).write_bytes(canonical_json({name: sha256_of(content) for name, content in files.items()}))
    return spec


def open_package(folder: Path, *, allow_pickle: bool = False, is_copy_of_mlflow: bool = False) -> Package:
    """Opens the package in a folder. A file that was added to it is refused like one that was changed.

    Args:
        folder: Written by ``write_package``.
        allow_pickle: Whether ``runner`` may load a pickle, which runs code.
        is_copy_of_mlflow: Whether MLflow keeps the folder: it writes its own ``MLmodel`` anew when it registers a copy.

    Raises:
        PackageError: the folder is not a package that this version reads.
    """

    def read(name: str) -> bytes:
        try:
            return (folder / name).read_bytes()
        except OSError as error:  # it is not there, or is no file
            raise PackageError(
                f"A model package lacks {name!r}.",
                given=folder.name,
                accepted="a folder that write_package wrote",
                file=name,
            ) from error

    def listed() -> Iterable[str]:
        found = (str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
        return sorted(set(found) - (_ADDED_BY_MLFLOW if is_copy_of_mlflow else set()))

    rewritten = {"MLmodel"} if is_copy_of_mlflow else frozenset[str]()
    return read_package(read, locate=folder.joinpath, listed=listed, rewritten=rewritten, allow_pickle=allow_pickle)


def read_package(
    read: Callable[[str], bytes],
    *,
    locate: Callable[[str], Path | None] = _nowhere,
    listed: Callable[[], Iterable[str]] = tuple,
    rewritten: Collection[str] = (),
    hint: str | None = None,
    allow_pickle: bool = False,
) -> Package:
    """Opens a package wherever its files are, for instance in the store.

    Args:
        read: Returns one of the package's files by its relative path.
        locate: Returns where one of them lies on this machine, if it does: large weights are then mapped, not read.
        listed: Returns the paths of all files that are there.
        rewritten: Files that another tool may have changed, which nothing is read from.
        hint: What to type if one of them is not as it was written.
        allow_pickle: Whether ``runner`` may load a pickle, which runs code.

    Raises:
        PackageError: the files are not a package that this version reads, or not as they were written.
    """
    verified = read = Verified(read, locate, listed=listed, rewritten=rewritten, hint=hint)
    spec = read_json(read, _SPEC)
    found = spec.pop("format", None)
    if found not in FORMATS:
        accepted = " or ".join(map(repr, FORMATS))
        raise PackageError("A model package has a format that is not known.", given=found, accepted=accepted)
    split = read_json(read, INPUT_EXAMPLE)
    is_tried = _COMPILATION in verified.names  # older versions did not compile
    return Package(
        spec=PackageSpec.from_plain(spec),
        profile=Profile.from_plain(read_json(read, _PROFILE)),
        lineage=read_json(read, _LINEAGE),
        example=dict(zip(split["columns"], split["data"][0], strict=True)),
        read=read,
        locate=verified.locate,
        files=verified.names,
        check=verified.check,
        allow_pickle=allow_pickle,
        compilation=Compilation.from_plain(read_json(read, _COMPILATION)) if is_tried else NOT_TRIED,
    )
