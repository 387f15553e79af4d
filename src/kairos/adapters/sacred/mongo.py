"""Runs in what ``mongoexport`` wrote of a ``MongoObserver``, laid out as a ``FileStorageObserver`` has them.

Extended JSON of version 1 or 2, an entry a line or one array; which collection an entry is of is seen by its fields.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kairos.adapters.sacred.folder import read_folder
from kairos.adapters.sacred.read import SacredRun, Unreadable, inside
from kairos.errors import NotFound, UsageError

__all__ = ["read_export"]

_APART = ("config", "info", "captured_out")
"""Parts of an entry that have files of their own."""


@dataclass(slots=True)
class _Export:
    """The entries of all files, by collection."""

    runs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """With the file that each is from."""
    metrics: list[dict[str, Any]] = field(default_factory=list)
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Entries of ``fs.files`` by their id."""
    chunks: dict[str, dict[int, bytes]] = field(default_factory=dict)
    """Bytes of ``fs.chunks`` by the file's id and their place in it."""
    unreadable: list[Unreadable] = field(default_factory=list)


def read_export(files: Sequence[Path], desk: Path) -> Iterator[SacredRun | Unreadable]:
    """The runs of exports, in the order of their start.

    Args:
        files: Exports of ``runs``, and of ``metrics``, ``fs.files`` and ``fs.chunks`` if they are there; all are held
            in memory.
        desk: An empty folder, which the runs' files are in until they are kept.

    Raises:
        NotFound: there is no such file.
        UsageError: no entry of any is of a run.
    """
    export = _Export()
    for file in files:
        _take(export, file)
    yield from export.unreadable
    if not export.runs and not export.unreadable:
        raise UsageError(
            "No run of Sacred is in an export.",
            given=", ".join(map(str, files)),
            accepted="what mongoexport writes of the collection runs, and of metrics, fs.files and fs.chunks beside it",
        )
    for number, (where, entry) in enumerate(sorted(export.runs, key=lambda run: str(run[1].get("start_time"))), 1):
        folder = desk / str(number)
        folder.mkdir()
        try:
            _lay_out(export, entry, folder)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            why = f"it is not as Sacred writes it ({type(error).__name__}: {error})"
            yield Unreadable(f"{where}, run {entry.get('_id')}", why)
            continue
        for found in read_folder(folder):
            yield replace(found, where=f"{where}, run {entry.get('_id')}")


def _take(export: _Export, file: Path) -> None:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound("An export cannot be read.", given=f"{file} ({error.strerror})") from None
    except UnicodeDecodeError as error:
        export.unreadable.append(Unreadable(str(file), f"it is no UTF-8 ({error})"))
        return
    for where, entry in _entries(export, file, text):
        if not isinstance(entry, dict):
            export.unreadable.append(Unreadable(where, "it is no object"))
        elif {"files_id", "n", "data"} <= entry.keys():
            try:
                export.chunks.setdefault(str(entry["files_id"]), {})[int(entry["n"])] = _bytes(entry["data"])
            except (KeyError, TypeError, ValueError) as error:
                export.unreadable.append(Unreadable(where, f"its bytes cannot be read ({error})"))
        elif {"chunkSize", "length"} <= entry.keys():
            export.stored[str(entry["_id"])] = entry
        elif {"run_id", "name", "values"} <= entry.keys():
            export.metrics.append(entry)
        elif "experiment" in entry or "start_time" in entry:
            export.runs.append((str(file), entry))
        else:
            export.unreadable.append(Unreadable(where, f"it is of no collection of Sacred: {', '.join(entry)}"))


def _entries(export: _Export, file: Path, text: str) -> Iterator[tuple[str, Any]]:
    """Each entry with its place; a line that is cut off is named."""
    if text.lstrip().startswith("["):
        try:
            entries = json.loads(text, object_hook=_simple)
        except ValueError as error:
            export.unreadable.append(Unreadable(str(file), f"it is no JSON ({error})"))
            return
        for number, entry in enumerate(entries, start=1):
            yield f"{file}, entry {number}", entry
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield f"{file}, line {number}", json.loads(line, object_hook=_simple)
        except ValueError as error:
            export.unreadable.append(Unreadable(f"{file}, line {number}", f"it is no JSON ({error})"))


def _simple(value: dict[str, Any]) -> Any:
    """Extended JSON as plain values: times as ISO text, ids as text; bytes stay base64."""
    if value.keys() == {"$date"}:
        date = value["$date"]
        return date if isinstance(date, str) else datetime.fromtimestamp(date / 1000, UTC).isoformat()
    if value.keys() in ({"$numberInt"}, {"$numberLong"}):
        return int(*value.values())
    if value.keys() == {"$numberDouble"}:
        return float(value["$numberDouble"])
    if value.keys() == {"$oid"}:
        return value["$oid"]
    return value


def _bytes(data: Any) -> bytes:
    told = data["$binary"] if isinstance(data, dict) else data
    return base64.b64decode(told["base64"] if isinstance(told, dict) else told)


def _lay_out(export: _Export, entry: Mapping[str, Any], folder: Path) -> None:
    """Writes a run's folder; what is not in the exports is not there, which its reader names."""
    experiment = entry.get("experiment")
    about = dict(experiment) if isinstance(experiment, dict) else {}
    sources = [(str(name), str(kept)) for name, kept in about.get("sources") or ()]
    about["sources"] = [(name, _put(export, kept, folder.parent / "_sources" / kept)) for name, kept in sources]
    resources = []
    for name, md5 in entry.get("resources") or ():
        kept = _stored_as(export, str(name), str(md5))
        resources.append((name, _put(export, kept, folder.parent / "_resources" / kept)))
    artifacts = entry.get("artifacts") or ()
    for artifact in artifacts:
        _put(export, str(artifact["file_id"]), folder / inside(str(artifact["name"])))
    run = {key: value for key, value in entry.items() if key not in _APART}
    told = {"experiment": about, "resources": resources, "artifacts": [each["name"] for each in artifacts]}
    metrics = {
        each["name"]: {part: each.get(part) for part in ("steps", "timestamps", "values")}
        for each in export.metrics
        if each["run_id"] == entry.get("_id")
    }
    _write(folder / "run.json", run | told)
    for name, value in (("config", entry.get("config")), ("info", entry.get("info")), ("metrics", metrics)):
        if value is not None:
            _write(folder / f"{name}.json", value)
    (folder / "cout.txt").write_text(str(entry.get("captured_out") or ""), encoding="utf-8")


def _put(export: _Export, kept: str, target: Path) -> str:
    """Writes a file of GridFS if all of it is there; its path below the desk, as runs name what they share."""
    chunks = export.chunks.get(kept, {})
    data = b"".join(chunks[number] for number in sorted(chunks))
    told = export.stored.get(kept)
    is_whole = len(data) == int(told["length"]) if told else bool(chunks)
    if is_whole:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return f"{target.parent.name}/{target.name}"


def _stored_as(export: _Export, name: str, md5: str) -> str:
    """The id of a resource, which Sacred names by its path and the MD5 of its bytes."""
    named = [kept for kept, told in export.stored.items() if told.get("filename") == name]
    exact = [kept for kept in named if export.stored[kept].get("md5") == md5]
    return next(iter([*exact, *named]), "missing")


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
