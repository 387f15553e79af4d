"""Outputs of the stages of ``dvc.yaml``, by the digests in the ``dvc.lock`` beside it. Nothing here writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairos.store.pointer_files import Pointer, Unread, output_of
from kairos.store.yaml12 import load_yaml

__all__ = ["read_stages", "stages_of"]

_VARIABLE = re.compile(r"\$\{[^}]*\}")
_KINDS = ("outs", "metrics", "plots")
_RUN = "Type: dvc repro"


@dataclass(frozen=True, slots=True)
class _Declared:
    """An output as ``dvc.yaml`` has it."""

    pattern: re.Pattern[str]
    """Of its path: what a variable stands for may be anything."""
    options: Mapping[str, Any]


def read_stages(lock: Path) -> list[Pointer | Unread]:
    """All outputs of the stages that a ``dvc.lock`` knows, but those that Git keeps (``cache: false``).

    Args:
        lock: The ``dvc.lock``; its ``dvc.yaml`` is beside it.
    """
    yaml = lock.with_name("dvc.yaml")
    return stages_of(lock, lock.read_bytes(), yaml.read_bytes() if yaml.is_file() else b"")


def stages_of(lock: Path, locked: bytes, declared: bytes) -> list[Pointer | Unread]:
    """The same of what these files held at another time.

    Args:
        lock: Where the ``dvc.lock`` belongs.
        locked: What it held.
        declared: What the ``dvc.yaml`` beside it held.
    """
    try:
        known, wanted = _stages(locked), _stages(declared)
    except ValueError as error:
        why = "it has conflicts of Git" if b"<<<<<<<" in locked + declared else str(error)
        return [Unread(path=lock, why=why)]
    found = list[Pointer | Unread]()
    for name, stage in known.items():
        outs = stage.get("outs") if isinstance(stage, dict) else None
        if not outs:
            continue
        definition = wanted.get(name) or wanted.get(name.partition("@")[0])
        if not isinstance(definition, dict):
            continue  # the stage was taken out of dvc.yaml, and for `dvc` its outputs with it
        inner = definition.get("do", definition)
        folder = str(inner.get("wdir") or ".")
        if _VARIABLE.search(folder):
            why = f"the folder of stage {name!r} is {folder}, which only `dvc` can tell"
            found.append(Unread(path=lock, why=why))
            continue
        options = list(_declared(inner))
        found += [one for out in outs if (one := _output(out, options, lock.parent / folder, lock)) is not None]
    return found


def _stages(data: bytes) -> dict[str, Any]:
    content = load_yaml(data)
    if content is None:
        return {}
    stages = content.get("stages", content) if isinstance(content, dict) else None
    if not isinstance(stages, dict):
        raise ValueError("no stages")
    return stages


def _declared(stage: Mapping[str, Any]) -> Iterator[_Declared]:
    for kind in _KINDS:
        for each in stage.get(kind) or ():
            named = each if isinstance(each, dict) else {str(each): {}}
            for path, options in named.items():
                first = options[0] if isinstance(options, list) and options else options
                pattern = ".+".join(re.escape(part) for part in _VARIABLE.split(str(path)))
                yield _Declared(re.compile(pattern), first if isinstance(first, dict) else {})


def _output(out: object, declared: list[_Declared], folder: Path, lock: Path) -> Pointer | Unread | None:
    if not isinstance(out, dict) or not out.get("path"):
        return Unread(path=lock, why="an output has no path", hint=_RUN)
    options = next((one.options for one in declared if one.pattern.fullmatch(str(out["path"]))), {})
    if options.get("cache") is False:
        return None
    kept = {key: options[key] for key in ("remote", "push") if key in options}
    return output_of({**out, **kept}, folder, lock)
