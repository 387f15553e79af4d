"""A run of Sacred as values, from the documents in which Sacred tells of it."""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from kairos.errors import UsageError
from kairos.pipeline.logged import LoggedRun, Point
from kairos.values import Digest, Json, parse_moment

__all__ = ["SacredRun", "Unreadable", "config_params", "inside", "metric_points", "sacred_run"]

_NAME = re.compile(r"[^\w\-. :/]")
"""What MLflow takes in no name of a param or metric."""
_NAME_LENGTH = 250


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What looks like a run and cannot be told as one."""

    where: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SacredRun:
    """One run of Sacred."""

    where: str
    """Where it was read, for people."""
    experiment: str
    id: str
    """Sacred's own."""
    status: str
    """Sacred's own: ``COMPLETED``, ``FAILED``, ``INTERRUPTED``, ``RUNNING``, ``TIMED_OUT``, …"""
    started_at: datetime
    ended_at: datetime
    """Of a run that never ended, its last heartbeat."""
    params: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Point] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    trace: str = ""
    """Of the exception that ended it."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Path in the record to the file that is to be there."""
    problems: Sequence[str] = ()
    """What could not be read of it, in sentences."""

    @property
    def failure(self) -> dict[str, Json] | None:
        """What went wrong, as a run's fact has it; ``None`` if it completed."""
        if self.status == "COMPLETED":
            return None
        last = self.trace.strip().splitlines()[-1:]
        kind, colon, message = (last[0] if last else "").partition(": ")
        known = {"type": kind, "message": message} if colon else {"type": self.status, "message": kind}
        if not known["message"]:
            known["message"] = f"Sacred's last word of it was {self.status}"
        return {"step": self.experiment, **known, "traceback": self.trace}

    def logged(self, files: Digest | None) -> LoggedRun:
        """It as a recorder takes it."""
        return LoggedRun(
            name=self.experiment,
            is_failed=self.status != "COMPLETED",
            started_ms=_milliseconds(self.started_at),
            ended_ms=_milliseconds(self.ended_at),
            params=self.params,
            points=self.points,
            tags=self.tags,
            files=files,
        )


def sacred_run(
    document: Mapping[str, Any],
    *,
    where: str,
    id: str,
    config: Any,
    points: Sequence[Point],
    files: Mapping[str, Path],
    problems: Sequence[str],
) -> SacredRun | Unreadable:
    """Reads the document of a run; both observers, of files and of MongoDB, write the same one.

    Args:
        document: ``run.json``, or an entry of the collection ``runs``.
        where: Its place, for people.
        id: Sacred's own.
        config: The run's config.
        points: Its metrics, in the order of their times.
        files: Path in the record to file.
        problems: What could not be read so far.
    """
    begun = document.get("start_time")
    if not begun:
        return Unreadable(where, f"it has not begun: its status is {document.get('status', 'not there')}")
    try:
        started_at = parse_moment(str(begun))
        ended_at = parse_moment(str(document.get("stop_time") or document.get("heartbeat") or begun))
    except UsageError as error:
        return Unreadable(where, str(error))
    about = _mapping(document.get("experiment"))
    trace = document.get("fail_trace") or ""
    result = document.get("result")
    values = list(points)
    if (number := _number(result)) is not None and all(point.name != "result" for point in values):
        values.append(Point("result", number, _milliseconds(ended_at), 0))
    repositories = [_mapping(each) for each in about.get("repositories") or ()]
    return SacredRun(
        where=where,
        experiment=str(about.get("name") or "sacred"),
        id=id,
        status=str(document.get("status") or "UNKNOWN"),
        started_at=started_at,
        ended_at=max(started_at, ended_at),
        params=config_params(config),
        points=tuple(values),
        tags=_tags(document, about, id),
        commit=next((str(each["commit"]) for each in repositories if each.get("commit")), None),
        libraries=_libraries(about.get("dependencies") or ()),
        trace=trace if isinstance(trace, str) else "".join(str(line) for line in trace),
        files=files,
        problems=tuple(problems),
    )


def config_params(config: Any) -> dict[str, str]:
    """A config as params: what lies inside of something as ``OUTER.INNER``, values that are no text as JSON.

    >>> config_params({"fit": {"rate": 0.1}, "layers": [8, 4], "name": "small"})
    {'fit.rate': '0.1', 'layers': '[8, 4]', 'name': 'small'}
    """
    params: dict[str, str] = {}
    for name, value in _flat(config, ""):
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
        params[_free(_record_name(name), params)] = text
    return params


def metric_points(metrics: Any, problems: list[str]) -> list[Point]:
    """Every value of every metric in the order of their times; what cannot be told is added to the problems."""
    points: list[Point] = []
    names: dict[str, str] = {}
    for name, told in _mapping(metrics).items():
        names[(own := _free(_record_name(str(name)), names))] = ""
        told = _mapping(told)
        steps, times, values = (told.get(part) or () for part in ("steps", "timestamps", "values"))
        if not len(steps) == len(times) == len(values):
            problems.append(
                f"the metric {name!r} has {len(steps)} steps, {len(times)} times and {len(values)} values: "
                "what is there of each was taken"
            )
        lost = 0
        for step, at, value in zip(steps, times, values, strict=False):
            value = value["value"] if isinstance(value, dict) and "value" in value else value  # a NumPy number
            try:
                points.append(Point(own, float(value), _milliseconds(parse_moment(str(at))), int(step)))
            except (TypeError, ValueError, OverflowError):
                lost += 1
        if lost:
            problems.append(f"{lost} values of the metric {name!r} are no numbers; they are in its file alone")
    return sorted(points, key=lambda point: point.at_ms)


def inside(*parts: str) -> str:
    """A path below a folder: without what would lead out of it.

    >>> inside("sacred/sources", "../../lib/fit.py")
    'sacred/sources/lib/fit.py'
    """
    steps = [step for part in parts for step in PurePosixPath(part).parts if step not in ("/", "..", ".")]
    return "/".join(steps)


def _tags(document: Mapping[str, Any], about: Mapping[str, Any], id: str) -> dict[str, str]:
    host, meta = _mapping(document.get("host")), _mapping(document.get("meta"))
    told = {
        "sacred.experiment": about.get("name"),
        "sacred.id": id,
        "sacred.status": document.get("status"),
        "sacred.command": document.get("command"),
        "sacred.result": document.get("result"),
        "sacred.comment": meta.get("comment"),
        "sacred.mainfile": about.get("mainfile"),
        "sacred.repositories": about.get("repositories"),
        "sacred.dependencies": about.get("dependencies"),
        **{f"sacred.host.{name}": value for name, value in host.items()},
    }
    return {
        _record_name(name): value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for name, value in told.items()
        if value not in (None, "", [], {})
    }


def _libraries(told: Sequence[Any]) -> dict[str, str]:
    pairs = (str(each).partition("==") for each in told)
    return {name: version for name, _, version in pairs}


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value and not any(str(key).startswith("py/") for key in value):
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    elif name:
        yield name, value


def _record_name(name: str) -> str:
    """The nearest name that MLflow takes; the name itself is in the file that it is from."""
    own = _NAME.sub("_", name)[:_NAME_LENGTH]
    is_path = posixpath.normpath(own) == own and not own.startswith(("/", "..")) and own != "."
    return own if is_path else own.replace("/", "_").replace("..", "__").replace(".", "_") or "_"


def _free(name: str, taken: Mapping[str, object]) -> str:
    """The name, or one with a number where another name has become the same."""
    if name not in taken:
        return name
    return next(each for number in range(2, len(taken) + 3) if (each := f"{name}_{number}") not in taken)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
