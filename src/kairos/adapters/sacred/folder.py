"""Runs in the folder of a ``FileStorageObserver``: a folder each, with ``_sources`` and ``_resources`` beside."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kairos.adapters.sacred.read import SacredRun, Unreadable, inside, metric_points, sacred_run
from kairos.errors import NotFound

__all__ = ["read_folder"]

_PARTS = ("run.json", "config.json", "cout.txt", "metrics.json", "info.json")


def read_folder(folder: Path) -> Iterator[SacredRun | Unreadable]:
    """The run in a folder, or all that lie in folders of it, in the order of their names.

    Raises:
        NotFound: there is no such folder, or no run in it.
    """
    if (folder / "run.json").exists():
        yield _read(folder)
        return
    found = [each for each in sorted(_folders(folder), key=_order) if any((each / part).exists() for part in _PARTS)]
    if not found:
        raise NotFound(
            "There is no run of Sacred in a folder.",
            given=str(folder),
            accepted="the folder of a FileStorageObserver, or that of one run in it, with its run.json",
        )
    for each in found:
        yield _read(each)


def _folders(folder: Path) -> list[Path]:
    try:
        return [each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("_")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _order(folder: Path) -> tuple[int, str]:
    return (int(folder.name) if folder.name.isdecimal() else 0, folder.name)


def _read(folder: Path) -> SacredRun | Unreadable:
    """A run; one whose files say something else than Sacred writes is named, and no other suffers from it."""
    try:
        return _read_run(folder)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return Unreadable(str(folder), f"its files are not as Sacred writes them ({type(error).__name__}: {error})")


def _read_run(folder: Path) -> SacredRun | Unreadable:
    problems: list[str] = []
    document = _json(folder, "run.json", problems, is_expected=True)
    if not isinstance(document, dict):
        return Unreadable(str(folder), problems[0] if problems else "run.json is no object")
    config = _json(folder, "config.json", problems, is_expected=True)
    points = metric_points(_json(folder, "metrics.json", problems), problems)
    _json(folder, "info.json", problems)
    return sacred_run(
        document,
        where=str(folder),
        id=str(document.get("_id", folder.absolute().name)),
        config=config,
        points=points,
        files=_files(folder, document, problems),
        problems=problems,
    )


def _json(folder: Path, name: str, problems: list[str], *, is_expected: bool = False) -> Any:
    """What a file says; ``None``, and a problem, if it cannot be read. Sacred writes it in place: it may be cut off."""
    try:
        return json.loads((folder / name).read_bytes())
    except FileNotFoundError:
        if is_expected:
            problems.append(f"{name} is not there")
    except (ValueError, RecursionError) as error:
        problems.append(f"{name} is no JSON ({error})")
    except OSError as error:
        problems.append(f"{name} cannot be read ({error.strerror})")
    return None


def _files(folder: Path, document: Mapping[str, Any], problems: list[str]) -> dict[str, Path]:
    """All files of the run by their path in the record: artifacts, and below ``sacred`` everything else."""
    artifacts = {str(name) for name in document.get("artifacts") or ()}
    files: dict[str, Path] = {}
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names):
            name = path.relative_to(folder).as_posix()
            files[inside("artifacts" if name in artifacts else "sacred", name)] = path
    for name in sorted(artifacts):
        if inside("artifacts", name) not in files:
            problems.append(f"the artifact {name!r} is not there")
    about = document.get("experiment")
    sources = about.get("sources") if isinstance(about, dict) else None
    files |= _beside(folder, "sources", sources or (), problems)
    return files | _beside(folder, "resources", document.get("resources") or (), problems)


def _beside(folder: Path, what: str, told: Sequence[Any], problems: list[str]) -> dict[str, Path]:
    """Files that runs share, each told as the name that it had and the place where it is kept."""
    files: dict[str, Path] = {}
    for pair in told:
        if not (isinstance(pair, (list, tuple)) and len(pair) == 2):
            problems.append(f"an entry of its {what} is no pair: {pair!r}")
            continue
        name, kept = str(pair[0]), str(pair[1])
        base = folder.absolute().parent
        places = (base / kept, base / f"_{what}" / Path(kept).name)
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            problems.append(f"of its {what} {name!r} is not there")
        else:
            files[inside("sacred", what, name)] = found
    return files
