"""What a step may use, and how often it is tried: declared beside a step, honoured by engines, in no fingerprint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict

from kairos.errors import UsageError, did_you_mean
from kairos.values import parse_duration

__all__ = ["LimitOptions", "Limits", "read_limits", "size_text"]

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {f"{unit[0]}iB": 2 ** (10 * power) for power, unit in enumerate(("KB", "MB", "GB", "TB"), start=1)}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B|B)\s*")
_LONGEST_WAIT_S = 3600.0


class LimitOptions(TypedDict, total=False):
    """What ``source``, ``step`` and ``model`` take beside their own options; all may be left out."""

    cpus: int
    """Processors: threads that numeric libraries may use, and what an engine sets apart; by default 1."""
    gpus: int
    """Graphics cards of its own, named to it in ``CUDA_VISIBLE_DEVICES``; by default none."""
    memory: str | int | None
    """Most that the step's process may occupy, ``"2GB"`` or bytes; it is ended when it has more."""
    timeout: str | None
    """Longest that one try may take, ``"10m"``; its process is ended then."""
    retries: int
    """How often it is tried again after it has failed; by default never."""
    retry_wait: str
    """Wait before the first new try, doubled before each further one; by default ``"1s"``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a step may use, and how often it is tried."""

    cpus: int = 1
    gpus: int = 0
    memory_bytes: int | None = None
    timeout: timedelta | None = None
    retries: int = 0
    retry_wait: timedelta = timedelta(seconds=1)

    def wait_s(self, tries: int) -> float:
        """Seconds before the next try, after so many that failed; an hour at most.

        >>> [Limits().wait_s(tries) for tries in (1, 2, 3)]
        [1.0, 2.0, 4.0]
        """
        return min(self.retry_wait.total_seconds() * 2.0 ** (min(tries, 60) - 1), _LONGEST_WAIT_S)


def read_limits(kind: str, options: Mapping[str, Any]) -> Limits:
    """Reads what a decorator was given.

    Args:
        kind: The decorator's name, for messages.
        options: By name.

    Raises:
        UsageError: an option is unknown, or its value cannot be used.
    """
    known = LimitOptions.__optional_keys__
    for name in options:
        if name not in known:
            accepted = ", ".join(sorted(known))
            raise UsageError(f"@{kind} has no option {name!r}.", accepted=accepted, hint=did_you_mean(name, known))
    memory, timeout = options.get("memory"), options.get("timeout")
    return Limits(
        cpus=_whole(kind, "number of processors", "cpus", options.get("cpus", 1), least=1),
        gpus=_whole(kind, "number of graphics cards", "gpus", options.get("gpus", 0), least=0),
        memory_bytes=None if memory is None else _size(kind, memory),
        timeout=None if timeout is None else _length(kind, "timeout", timeout),
        retries=_whole(kind, "number of retries", "retries", options.get("retries", 0), least=0),
        retry_wait=parse_duration(options.get("retry_wait", "1s")),
    )


def size_text(size_bytes: int) -> str:
    """A size as people write it.

    >>> size_text(2_000_000_000), size_text(1_530_000), size_text(12)
    ('2 GB', '1.53 MB', '12 B')
    """
    for unit in ("TB", "GB", "MB", "KB"):
        if size_bytes >= _UNITS[unit]:
            return f"{size_bytes / _UNITS[unit]:.3g} {unit}"
    return f"{size_bytes} B"


def _whole(kind: str, what: str, name: str, value: Any, *, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"@{kind} needs a whole {what}.", given=value, accepted=f"{name}={least} or more")
    return value


def _size(kind: str, value: Any) -> int:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    size = round(float(match[1]) * _UNITS[match[2]]) if match else value
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        raise UsageError(
            f"@{kind} cannot read its memory limit.", given=value, accepted="a number and MB, GB or GiB, as in '2GB'"
        )
    return size


def _length(kind: str, name: str, value: str) -> timedelta:
    length = parse_duration(value)
    if not length:
        raise UsageError(f"@{kind} gives a step no time at all.", given=f"{name}={value!r}", accepted="more than 0s")
    return length
