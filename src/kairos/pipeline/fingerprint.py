"""The name of a computation: two runs of a step with equal fingerprints may share their result.

Format 1 is the SHA-256 of the parts as canonical JSON, with the format's number and the step's name. Params keep
their types (``1`` is not ``1.0``, ``True`` or ``"1"``; ``None`` is a value), so different parts never give equal bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kairos.pipeline.typed import typed, untyped
from kairos.values import Json, canonical_json

__all__ = ["FORMAT", "Fingerprint", "explain_change", "fingerprint"]

FORMAT = "1"


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """All that a step's result depends on."""

    step: str
    code: Mapping[str, str] = field(default_factory=dict)
    """Project definition to SHA-256 of its normalised source."""
    params: Mapping[str, Json] = field(default_factory=dict)
    """Param to its value as typed JSON."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Parameter to the identity of its artifact, or ``"file:PATH"`` to the digest of a file."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    """Distribution to version."""
    options: Mapping[str, Json] = field(default_factory=dict)
    """What else was declared or set: kind, target, dropped columns, how a model is finished."""
    seed: int = 0
    window: str | None = None
    """``START..END`` for a source that takes a window."""

    @cached_property
    def digest(self) -> str:
        """64 hexadecimal digits."""
        return hashlib.sha256(canonical_json({"format": FORMAT, **self.plain()})).hexdigest()

    def plain(self) -> dict[str, Json]:
        """The parts as a JSON object."""
        return {
            "step": self.step,
            "code": dict(self.code),
            "params": dict(self.params),
            "inputs": dict(self.inputs),
            "libraries": dict(self.libraries),
            "options": dict(self.options),
            "seed": self.seed,
            "window": self.window,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Json]) -> Fingerprint:
        """Undoes ``plain``."""
        return cls(**plain)


def fingerprint(
    step: str,
    *,
    code: Mapping[str, str],
    params: Mapping[str, Any],
    inputs: Mapping[str, str],
    libraries: Mapping[str, str],
    options: Mapping[str, Any],
    seed: int,
    window: str | None,
) -> Fingerprint:
    """The fingerprint of a step whose params and options are Python values.

    Raises:
        UsageError: a value has no typed JSON form.
    """
    return Fingerprint(
        step=step,
        code=dict(code),
        params={name: typed(value) for name, value in params.items()},
        inputs=dict(inputs),
        libraries=dict(libraries),
        options={name: typed(value) for name, value in options.items()},
        seed=seed,
        window=window,
    )


def explain_change(old: Fingerprint | None, new: Fingerprint) -> list[str]:
    """What changed from one fingerprint of a step to the next, one line each; empty if nothing did.

    >>> explain_change(Fingerprint(step="a", params={"lag": 1}), Fingerprint(step="a", params={"lag": 2}))
    ['param lag: 1 -> 2']
    """
    if old is None:
        return ["it has not run before"]
    lines: list[str] = []
    lines += _changes("code of", old.code, new.code, show=lambda _: "")
    lines += _changes("param", old.params, new.params, show=_show_value)
    lines += _changes("input", old.inputs, new.inputs, show=_short)
    lines += _changes("library", old.libraries, new.libraries, show=str)
    lines += _changes("option", old.options, new.options, show=_show_value)
    if old.seed != new.seed:
        lines.append(f"seed: {old.seed} -> {new.seed}")
    if old.window != new.window:
        lines.append(f"window: {old.window} -> {new.window}")
    return lines


def _show_value(value: Json) -> str:
    return repr(untyped(value))


def _changes(what: str, old: Mapping[str, Any], new: Mapping[str, Any], *, show: Callable[[Any], str]) -> list[str]:
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            lines.append(f"{what} {name}: no longer used")
        elif name not in old:
            lines.append(f"{what} {name}: new {show(new[name])}".rstrip())
        elif not _is_same(old[name], new[name]):
            before, after = show(old[name]), show(new[name])
            lines.append(f"{what} {name}: {before} -> {after}" if before or after else f"{what} {name}: changed")
    return lines


def _is_same(old: Json, new: Json) -> bool:
    if type(old) is str and type(new) is str:  # nearly all are
        return old == new
    return canonical_json(old) == canonical_json(new)  # 1 is not 1.0


def _short(identity: str) -> str:
    if " " in identity:  # a watermark, which was written to be read
        return identity
    kind, _, rest = identity.rpartition(":")
    if ":" in kind:
        kind, _, rest = identity.partition(":")
    return f"{kind}:{rest[:8]}" if kind else rest[:8]
